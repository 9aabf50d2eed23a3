"""Textures (PNG) and the environment (Radiance) of the demonstration scene, as bytes."""

import math
import random
import struct
import zlib

SEED = 7

def png(width, height, rows):
    """An 8-bit RGB image from rows of bytes, each line stored as differences to its left."""
    raw = bytearray()
    for row in rows:
        raw.append(1)
        raw.extend(row[:3])
        raw.extend((a - b) & 255 for a, b in zip(row[3:], row))
    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(bytes(raw), 6)) + chunk(b"IEND", b""))


def smooth_noise(randomness, count, knots):
    """A periodic random curve: `count` values in 0…1 through `knots` random ones."""
    values = [randomness.random() for _ in range(knots)]
    curve = []
    for k in range(count):
        place = k * knots / count
        a = int(place)
        t = place - a
        t = t * t * (3 - 2 * t)
        curve.append(values[a % knots] * (1 - t) + values[(a + 1) % knots] * t)
    return curve


def wood(size, planks):
    """Planks along the columns: their colours, and roughness with dark, rough gaps between."""
    randomness = random.Random(SEED)
    width = size // planks
    palette = []
    for k in range(256):
        t = k / 255
        palette.append(bytes(
            int(255 * (dark + (light - dark) * t ** 1.2))
            for dark, light in ((0.20, 0.62), (0.105, 0.385), (0.055, 0.205))))
    roughness = [bytes((255, int(150 - 45 * k / 255), 0)) for k in range(256)]
    grains, tones, joints, waves = [], [], [], []
    for _ in range(planks):
        coarse = smooth_noise(randomness, 4 * width, 44)
        fine = smooth_noise(randomness, 4 * width, 2 * width)
        grains.append([0.62 * a + 0.38 * b for a, b in zip(coarse, fine)])
        tones.append(randomness.uniform(-62, 58))
        joints.append(randomness.randrange(size))
        bend = smooth_noise(randomness, size, 4)
        ripple = smooth_noise(randomness, size, 23)
        waves.append([26 * a + 3 * b for a, b in zip(bend, ripple)])
    speckle = [randomness.uniform(-9, 9) for _ in range(8191)]
    colors, surfaces = [], []
    at = 0
    for row in range(size):
        color, surface = bytearray(), bytearray()
        for plank in range(planks):
            grain, wave = grains[plank], int(waves[plank][row] * width / 64)
            tone = 118 + tones[plank]
            distance = abs(row - joints[plank])
            is_joint = min(distance, size - distance) < 2
            for column in range(width):
                at += 1
                if at == 8191:
                    at = 0
                value = tone + 120 * (grain[column + wave] - 0.5) + speckle[at]
                if is_joint or column < 2:
                    value *= 0.12
                level = 0 if value < 0 else 255 if value > 255 else int(value)
                color += palette[level]
                surface += roughness[level]
        colors.append(bytes(color))
        surfaces.append(bytes(surface))
    return png(size, size, colors), png(size, size, surfaces)


def normal_map(size, height, depth):
    """The normals of a periodic height field, given as rows of numbers."""
    rows = []
    for y in range(size):
        above, here, below = height[y - 1], height[y], height[(y + 1) % size]
        row = bytearray()
        for x in range(size):
            dx = depth * (here[x - 1] - here[(x + 1) % size])
            dy = depth * (below[x] - above[x])
            scale = 127 / math.sqrt(1 + dx * dx + dy * dy)
            row += bytes((int(128 + dx * scale), int(128 + dy * scale), int(128 + scale)))
        rows.append(bytes(row))
    return png(size, size, rows)


def hammered(size, cells):
    """Round dents in a jittered grid: the distance to the nearest of their centres."""
    randomness = random.Random(SEED + 1)
    centers = {
        (i, j): (i + randomness.uniform(0.2, 0.8), j + randomness.uniform(0.2, 0.8))
        for i in range(cells) for j in range(cells)
    }
    height = []
    for y in range(size):
        row = []
        v = y * cells / size
        j = int(v)
        for x in range(size):
            u = x * cells / size
            i = int(u)
            nearest = 9.0
            for dj in (-1, 0, 1):
                for di in (-1, 0, 1):
                    cx, cy = centers[(i + di) % cells, (j + dj) % cells]
                    ex = abs(u - cx)
                    ey = abs(v - cy)
                    ex = min(ex, cells - ex)
                    ey = min(ey, cells - ey)
                    d = ex * ex + ey * ey
                    if d < nearest:
                        nearest = d
            row.append(min(nearest, 0.7))
        height.append(row)
    return normal_map(size, height, 5)


def mosaic(size, tiles):
    """Glazed tiles in four colours with sunken joints: colours, surface and normals."""
    randomness = random.Random(SEED + 2)
    glazes = [(0.90, 0.86, 0.76), (0.05, 0.26, 0.33), (0.86, 0.42, 0.12), (0.10, 0.45, 0.44)]
    tones = {}
    for i in range(tiles):
        for j in range(tiles):
            glaze = glazes[(i * 3 + j * 2 + i * j) % 4]
            shade = randomness.uniform(0.9, 1.06)
            tones[i, j] = bytes(
                min(255, int(255 * max(c * shade, 0) ** (1 / 2.2))) for c in glaze)
    width = size // tiles
    colors, surfaces, height = [], [], []
    for y in range(size):
        color, surface, line = bytearray(), bytearray(), []
        for x in range(size):
            fx, fy = x % width, y % width
            edge = min(fx, fy, width - 1 - fx, width - 1 - fy)
            line.append(min(edge / (width * 0.11), 1.0))
            if edge < width * 0.045:
                color += b"\x86\x80\x76"
                surface += b"\xff\xd8\x00"
            else:
                color += tones[x // width, y // width]
                surface += b"\xff\x26\x00"
        colors.append(bytes(color))
        surfaces.append(bytes(surface))
        height.append(line)
    return png(size, size, colors), png(size, size, surfaces), normal_map(size, height, 2.2)


def studio(width, height):
    """The room as a Radiance picture: dusk-blue above, warm at the horizon, three soft boxes."""
    def lit(x, low, high, soft):
        """1 inside of low…high, 0 outside, with soft edges."""
        t = min((x - low) / soft, (high - x) / soft) + 0.5
        t = max(0.0, min(1.0, t))
        return t * t * (3 - 2 * t)

    # Azimuth (0 is ahead, −z, growing to the right) and elevation in degrees, then radiance.
    boxes = [
        ((-150, -78), (18, 62), (7.2, 7.0, 6.6)),
        ((70, 108), (4, 66), (3.0, 4.3, 5.6)),
        ((165, 215), (34, 58), (4.2, 3.7, 3.0)),
    ]
    lines = []
    for row in range(height):
        elevation = 90 - 180 * (row + 0.5) / height
        up = max(0.0, math.sin(math.radians(elevation)))
        glow = math.exp(-((elevation - 2) / 16) ** 2)
        ground = 1.0 if elevation > 0 else math.exp(elevation / 8)
        base = tuple(
            (a * up + b * (1 - up)) * (0.25 + 0.75 * ground) + c * glow
            for a, b, c in ((0.07, 0.13, 0.20), (0.09, 0.13, 0.13), (0.15, 0.17, 0.08)))
        bands = [(box, lit(elevation, *box[1], 5)) for box in boxes]
        line = []
        for column in range(width):
            azimuth = 360 * (column + 0.5) / width - 180
            r, g, b = base
            for (span, _, color), share in bands:
                if share > 0:
                    turn = (azimuth - span[0]) % 360 + span[0]
                    amount = share * lit(turn, span[0], span[1], 5)
                    if amount > 0:
                        r, g, b = r + amount * color[0], g + amount * color[1], b + amount * color[2]
            mantissa, exponent = math.frexp(max(r, g, b))
            scale = 256 * mantissa / max(r, g, b)
            line.append((int(r * scale), int(g * scale), int(b * scale), exponent + 128))
        lines.append(line)
    out = bytearray(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y %d +X %d\n" % (height, width))
    for line in lines:
        out += struct.pack(">BBH", 2, 2, width)
        for part in range(4):
            values = bytes(pixel[part] for pixel in line)
            start = 0
            while start < width:
                end = start + 1
                while end < width and end - start < 127 and values[end] == values[start]:
                    end += 1
                if end - start > 2:
                    out += bytes((128 + end - start, values[start]))
                else:
                    end = start + 1
                    while end < width and end - start < 128 and not (
                            end + 2 < width and values[end] == values[end + 1] == values[end + 2]):
                        end += 1
                    out += bytes((end - start,)) + values[start:end]
                start = end
    return bytes(out)
