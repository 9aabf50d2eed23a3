#!/usr/bin/env python3
"""Writes the demonstration scene: a still life on a wooden table in a photographer's studio.

    python3 Examples/make-scene.py FOLDER

The folder then holds still-life.gltf with its .bin and textures, and studio.hdr, the light of the
room (render with --env FOLDER/studio.hdr). Everything is computed here, with the standard library
only, and comes out the same on every run.
"""

import json
import math
import os
import random
import struct
import sys
import zlib
from array import array

SEED = 7


# ---------------------------------------------------------------------------------------------
# Geometry: each function returns (positions, normals, texture coordinates, indices).


def grid_indices(columns, rows):
    """Two triangles for each cell of a grid of (columns + 1) × (rows + 1) vertices."""
    indices = array("I")
    for row in range(rows):
        start = row * (columns + 1)
        for column in range(columns):
            a = start + column
            b = a + columns + 1
            indices.extend((a, b, a + 1, a + 1, b, b + 1))
    return indices


def lathe(profile, columns, repeat=(1, 1)):
    """Turns a profile of (radius, height) points, from the top or inside to the bottom."""
    positions, normals, uvs = array("f"), array("f"), array("f")
    last = len(profile) - 1
    length, lengths = 0.0, [0.0]
    for (r0, y0), (r1, y1) in zip(profile, profile[1:]):
        length += math.hypot(r1 - r0, y1 - y0)
        lengths.append(length)
    circle = [
        (math.cos(2 * math.pi * k / columns), math.sin(2 * math.pi * k / columns))
        for k in range(columns + 1)
    ]
    for row, (radius, height) in enumerate(profile):
        r0, y0 = profile[max(row - 1, 0)]
        r1, y1 = profile[min(row + 1, last)]
        dr, dy = r1 - r0, y1 - y0
        scale = math.hypot(dr, dy)
        nr, ny = -dy / scale, dr / scale
        v = repeat[1] * lengths[row] / length
        for column, (c, s) in enumerate(circle):
            positions.extend((radius * s, height, radius * c))
            normals.extend((nr * s, ny, nr * c))
            uvs.extend((repeat[0] * column / columns, v))
    return positions, normals, uvs, grid_indices(columns, last)


def spline(points, steps):
    """A Catmull-Rom curve through points."""
    padded = [points[0]] + points + [points[-1]]
    curve = []
    for p0, p1, p2, p3 in zip(padded, padded[1:], padded[2:], padded[3:]):
        for step in range(steps):
            t = step / steps
            curve.append(
                tuple(
                    0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t
                           + (3 * b - a - 3 * c + d) * t * t * t)
                    for a, b, c, d in zip(p0, p1, p2, p3)
                )
            )
    curve.append(points[-1])
    return curve


def sphere(columns, rows, repeat=(1, 1)):
    """Of radius 1 around the origin."""
    profile = [
        (math.sin(math.pi * k / rows), math.cos(math.pi * k / rows)) for k in range(rows + 1)
    ]
    return lathe(profile, columns, repeat)


def torus_knot(p, q, radius, tube, columns, rows):
    """A (p, q) torus knot with a round tube, its lowest point at height 0."""

    def center(t):
        reach = radius * (2 + math.cos(q * t)) * 0.5
        return (reach * math.cos(p * t), reach * math.sin(p * t), radius * math.sin(q * t) * 0.5)

    def cross(a, b):
        return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])

    def unit(a):
        size = math.sqrt(a[0] * a[0] + a[1] * a[1] + a[2] * a[2])
        return (a[0] / size, a[1] / size, a[2] / size)

    positions, normals, uvs = array("f"), array("f"), array("f")
    circle = [
        (math.cos(2 * math.pi * k / rows), math.sin(2 * math.pi * k / rows))
        for k in range(rows + 1)
    ]
    for column in range(columns + 1):
        t = 2 * math.pi * column / columns
        here, ahead = center(t), center(t + 0.001)
        along = tuple(b - a for a, b in zip(here, ahead))
        side = cross(along, tuple(a + b for a, b in zip(here, ahead)))
        side = unit(side)
        out = unit(cross(side, along))
        for row, (c, s) in enumerate(circle):
            n = tuple(c * a + s * b for a, b in zip(out, side))
            positions.extend(h + tube * a for h, a in zip(here, n))
            normals.extend(n)
            uvs.extend((12 * column / columns, row / rows))
    lowest = min(positions[1::3])
    for index in range(1, len(positions), 3):
        positions[index] -= lowest
    indices = grid_indices(rows, columns)
    indices.reverse()
    return positions, normals, uvs, indices


def rounded_box(half, radius, arc=8):
    """A box with round edges, standing on height 0; each face has the unit square of texture."""
    positions, normals, uvs, indices = array("f"), array("f"), array("f"), array("I")

    def ticks(size):
        inner = size - radius
        corner = [inner + radius * math.tan(math.pi / 4 * k / arc) for k in range(arc + 1)]
        return [-x for x in reversed(corner)] + corner

    faces = [((0, 1, 2), 1), ((0, 1, 2), -1), ((1, 2, 0), 1), ((1, 2, 0), -1),
             ((2, 0, 1), 1), ((2, 0, 1), -1)]
    for (a, b, c), sign in faces:
        us, vs = ticks(half[a]), ticks(half[b])
        if sign < 0:
            us = us[::-1]
        base = len(positions) // 3
        for v in vs:
            for u in us:
                point = [0.0, 0.0, 0.0]
                point[a], point[b], point[c] = u, v, sign * half[c]
                inner = [max(-h + radius, min(h - radius, x)) for h, x in zip(half, point)]
                away = [x - y for x, y in zip(point, inner)]
                size = math.sqrt(sum(x * x for x in away))
                normal = [x / size for x in away]
                normals.extend(normal)
                positions.extend(y + radius * n for y, n in zip(inner, normal))
                positions[-2] += half[1]
                uvs.extend((0.5 + 0.5 * sign * u / half[a], 0.5 - 0.5 * v / half[b]))
        columns = len(us) - 1
        cells = grid_indices(columns, len(vs) - 1)
        for k in range(0, len(cells), 3):
            # Counter-clockwise as seen from outside.
            indices.extend((base + cells[k], base + cells[k + 2], base + cells[k + 1]))
    return positions, normals, uvs, indices


def quad(width, height):
    """A rectangle around the origin that faces +z."""
    x, y = width / 2, height / 2
    return (
        array("f", (-x, -y, 0, x, -y, 0, x, y, 0, -x, y, 0)), array("f", (0, 0, 1) * 4),
        array("f", (0, 1, 1, 1, 1, 0, 0, 0)), array("I", (0, 1, 2, 0, 2, 3)),
    )


def sweep(width, front, back, height, bend):
    """A floor that bends up into a wall without an edge."""
    profile = [(front, 0.0, 0.0, 1.0)]
    for k in range(33):
        angle = math.pi / 2 * k / 32
        profile.append((
            back + bend - bend * math.sin(angle), bend - bend * math.cos(angle),
            math.sin(angle), math.cos(angle)))
    profile.append((back, height, 1.0, 0.0))
    positions, normals, uvs = array("f"), array("f"), array("f")
    for z, y, nz, ny in profile:
        for x in (-width / 2, width / 2):
            positions.extend((x, y, z))
            normals.extend((0, ny, nz))
            uvs.extend((x, z))
    indices = array("I")
    for row in range(len(profile) - 1):
        a = 2 * row
        indices.extend((a, a + 1, a + 2, a + 1, a + 3, a + 2))
    return positions, normals, uvs, indices


def tabletop(radius, thickness, edge, texture_size):
    """A round board with a rounded rim, its top at height 0, textured from above."""
    profile = [(k * (radius - edge) / 12, 0.0) for k in range(12)]
    profile[0] = (1e-4, 0.0)
    for k in range(17):
        angle = math.pi * k / 16
        profile.append((
            radius - edge + edge * math.sin(angle),
            -thickness / 2 + thickness / 2 * math.cos(angle)))
    profile.append((1e-4, -thickness))
    positions, normals, _, indices = lathe(profile, 160)
    uvs = array("f")
    for k in range(0, len(positions), 3):
        uvs.extend((positions[k] / texture_size, positions[k + 2] / texture_size))
    return positions, normals, uvs, indices


# ---------------------------------------------------------------------------------------------
# Pictures.


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


# ---------------------------------------------------------------------------------------------
# The file.


class Scene:
    """Collects a glTF document and its binary buffer."""

    def __init__(self):
        self.binary = bytearray()
        self.document = {
            "asset": {"version": "2.0", "generator": "meshd Examples/make-scene.py"},
            "extensionsUsed": ["KHR_materials_emissive_strength"],
            "scene": 0, "scenes": [{"nodes": []}], "nodes": [], "meshes": [], "accessors": [],
            "bufferViews": [], "materials": [], "textures": [], "images": [],
            "samplers": [{"magFilter": 9729, "minFilter": 9987}], "cameras": [],
        }

    def add(self, key, value):
        self.document[key].append(value)
        return len(self.document[key]) - 1

    def accessor(self, values, kind, width):
        view = self.add("bufferViews", {
            "buffer": 0, "byteOffset": len(self.binary), "byteLength": 4 * len(values)})
        if sys.byteorder == "big":
            values = array(values.typecode, values)
            values.byteswap()
        self.binary += values.tobytes()
        accessor = {
            "bufferView": view, "componentType": 5125 if values.typecode == "I" else 5126,
            "count": len(values) // width, "type": kind}
        if kind == "VEC3":
            accessor["min"] = [min(values[k::3]) for k in range(3)]
            accessor["max"] = [max(values[k::3]) for k in range(3)]
        return self.add("accessors", accessor)

    def geometry(self, surface):
        """Stores a surface once; a mesh gives it a material."""
        positions, normals, uvs, indices = surface
        return {
            "attributes": {
                "POSITION": self.accessor(positions, "VEC3", 3),
                "NORMAL": self.accessor(normals, "VEC3", 3),
                "TEXCOORD_0": self.accessor(uvs, "VEC2", 2)},
            "indices": self.accessor(indices, "SCALAR", 1)}

    def mesh(self, name, geometry, material):
        return self.add("meshes", {"name": name, "primitives": [dict(geometry, material=material)]})

    def texture(self, name):
        return {"index": self.add("textures", {"sampler": 0, "source": self.add("images", {"uri": name})})}

    def material(self, name, color=(1, 1, 1), metallic=0.0, roughness=0.5, **textures):
        surface = {"baseColorFactor": [*color, 1], "metallicFactor": metallic,
                   "roughnessFactor": roughness}
        for key in ("baseColorTexture", "metallicRoughnessTexture"):
            if key in textures:
                surface[key] = textures.pop(key)
        return self.add("materials", dict(name=name, pbrMetallicRoughness=surface, **textures))

    def light(self, name, color, strength):
        return self.add("materials", {
            "name": name, "emissiveFactor": list(color),
            "pbrMetallicRoughness": {"baseColorFactor": [0, 0, 0, 1], "metallicFactor": 0},
            "extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": strength}}})

    def node(self, name, **content):
        node = self.add("nodes", dict(name=name, **content))
        self.document["scenes"][0]["nodes"].append(node)
        return node

    def write(self, folder, name):
        self.document["buffers"] = [{"uri": name + ".bin", "byteLength": len(self.binary)}]
        with open(os.path.join(folder, name + ".bin"), "wb") as file:
            file.write(self.binary)
        with open(os.path.join(folder, name + ".gltf"), "w") as file:
            json.dump(self.document, file, indent=1)
            file.write("\n")


def looking(position, target):
    """The matrix of something at a position whose −z looks at a target, y up."""
    back = [p - t for p, t in zip(position, target)]
    size = math.sqrt(sum(x * x for x in back))
    back = [x / size for x in back]
    right = [back[2], 0.0, -back[0]]
    size = math.hypot(*right)
    right = [x / size for x in right]
    up = [back[1] * right[2] - back[2] * right[1], back[2] * right[0] - back[0] * right[2],
          back[0] * right[1] - back[1] * right[0]]
    return [*right, 0, *up, 0, *back, 0, *position, 1]


def turned(degrees):
    """A rotation around the vertical."""
    return [0, math.sin(math.radians(degrees) / 2), 0, math.cos(math.radians(degrees) / 2)]


def main(folder):
    os.makedirs(folder, exist_ok=True)

    def save(name, data):
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)

    color, surface = wood(768, 6)
    save("wood.png", color)
    save("wood-surface.png", surface)
    color, surface, normals = mosaic(240, 5)
    save("mosaic.png", color)
    save("mosaic-surface.png", surface)
    save("mosaic-normal.png", normals)
    save("hammered-normal.png", hammered(192, 9))
    save("studio.hdr", studio(512, 256))

    scene = Scene()
    furnish(scene)
    scene.write(folder, "still-life")


def furnish(scene):
    """Places everything: the table's top is at height 0, its middle at the origin."""
    dents = scene.texture("hammered-normal.png")
    oak = scene.material(
        "oak", roughness=0.92, baseColorTexture=scene.texture("wood.png"),
        metallicRoughnessTexture=scene.texture("wood-surface.png"))
    tiles = scene.material(
        "mosaic", roughness=1.0, baseColorTexture=scene.texture("mosaic.png"),
        metallicRoughnessTexture=scene.texture("mosaic-surface.png"),
        normalTexture=scene.texture("mosaic-normal.png"))
    gold = scene.material("polished gold", (1.0, 0.72, 0.32), 1, 0.13)
    steel = scene.material("polished steel", (0.93, 0.94, 0.95), 1, 0.03)
    brass = scene.material(
        "hammered brass", (0.91, 0.63, 0.34), 1, 0.24, normalTexture=dict(dents, scale=0.55),
        doubleSided=True)
    copper = scene.material("brushed copper", (0.86, 0.36, 0.22), 1, 0.34)
    glaze = scene.material(
        "teal glaze", (0.006, 0.105, 0.13), 0, 0.10, normalTexture=dict(dents, scale=0.16))
    basalt = scene.material("basalt", (0.022, 0.024, 0.028), 0, 0.16)
    lacquer = scene.material("red lacquer", (0.42, 0.008, 0.008), 0, 0.06)
    peel = scene.material(
        "orange peel", (0.80, 0.20, 0.008), 0, 0.38, normalTexture=dict(dents, scale=0.22))
    pearl = scene.material("pearl", (0.86, 0.83, 0.78), 0, 0.2)
    paper = scene.material("studio paper", (0.036, 0.066, 0.088), 0, 0.95)

    # The room.
    scene.node("backdrop", mesh=scene.mesh(
        "backdrop", scene.geometry(sweep(40, 14, -6.5, 14, 4)), paper),
        translation=[0, -1.35, 0])
    scene.node("table", mesh=scene.mesh(
        "table", scene.geometry(tabletop(2.42, 0.16, 0.1, 1.9)), oak), rotation=turned(24))

    # In the middle, on a block of stone.
    scene.node("plinth", mesh=scene.mesh(
        "plinth", scene.geometry(rounded_box((0.46, 0.11, 0.46), 0.03)), basalt),
        translation=[-0.02, 0, -0.3], rotation=turned(33))
    scene.node("knot", mesh=scene.mesh(
        "knot", scene.geometry(torus_knot(2, 3, 0.37, 0.118, 512, 40)), gold),
        translation=[-0.02, 0.22, -0.3], rotation=turned(-18))

    # On the left.
    scene.node("vase", mesh=scene.mesh("vase", scene.geometry(lathe(spline([
        (0.105, 1.0), (0.125, 1.22), (0.165, 1.35), (0.19, 1.372), (0.196, 1.352), (0.165, 1.26),
        (0.128, 1.12), (0.15, 0.98), (0.27, 0.80), (0.385, 0.58), (0.40, 0.40), (0.33, 0.19),
        (0.22, 0.045), (0.205, 0.01), (0.19, 0.0), (0.01, 0.0)], 9), 144, (6, 6))),
        glaze), translation=[-1.22, 0, -0.42])
    scene.node("die", mesh=scene.mesh(
        "die", scene.geometry(rounded_box((0.27, 0.27, 0.27), 0.045)), tiles),
        translation=[-0.86, 0, 0.66], rotation=turned(28))

    # On the right: spheres, and a bowl of fruit.
    ball = scene.geometry(sphere(96, 48, (7, 4)))
    scene.node("steel ball", mesh=scene.mesh("steel ball", ball, steel),
               translation=[0.76, 0.31, 0.42], scale=[0.31] * 3)
    scene.node("red ball", mesh=scene.mesh("red ball", ball, lacquer),
               translation=[0.12, 0.19, 0.92], scale=[0.19] * 3)
    scene.node("copper ball", mesh=scene.mesh("copper ball", ball, copper),
               translation=[1.52, 0.17, 0.12], scale=[0.17] * 3)
    bowl = spline([(0.01, 0.045), (0.17, 0.055), (0.34, 0.14), (0.45, 0.27), (0.50, 0.40),
                   (0.508, 0.412), (0.514, 0.40), (0.465, 0.255), (0.355, 0.11), (0.19, 0.02),
                   (0.17, 0.0), (0.01, 0.0)], 7)
    scene.node("bowl", mesh=scene.mesh("bowl", scene.geometry(lathe(bowl, 144, (9, 6))), brass),
               translation=[1.3, 0, -0.62])
    orange = scene.mesh("orange", ball, peel)
    for x, y, z, size in ((-0.17, 0.29, -0.12, 0.17), (0.19, 0.30, -0.1, 0.175),
                          (0.0, 0.30, 0.2, 0.175), (0.02, 0.545, 0.0, 0.17)):
        scene.node("orange", mesh=orange, translation=[1.3 + x, y, -0.62 + z], scale=[size] * 3,
                   rotation=turned(400 * x))

    # A string of beads along the front: three meshes of one geometry, many nodes.
    bead = scene.geometry(sphere(32, 16))
    beads = [scene.mesh("pearl", bead, pearl), scene.mesh("gold bead", bead, gold),
             scene.mesh("red bead", bead, lacquer)]
    for k in range(49):
        angle = math.radians(-64 + 128 * k / 48)
        reach = 1.62 + 0.13 * math.sin(5.2 * angle)
        kind = 1 if k % 6 == 3 else 2 if k % 12 == 0 else 0
        size = 0.048 if kind == 0 else 0.058
        scene.node("bead", mesh=beads[kind], scale=[size] * 3,
                   translation=[reach * math.sin(angle), size, reach * math.cos(angle) - 0.12])

    # Two area lights; a quad shines along +z, so it stands with its back to what it lights.
    def softbox(name, width, height, color, strength, position, target):
        away = [2 * p - t for p, t in zip(position, target)]
        scene.node(name, matrix=looking(position, away), mesh=scene.mesh(
            name, scene.geometry(quad(width, height)), scene.light(name, color, strength)))

    softbox("key light", 2.2, 1.6, (1.0, 0.92, 0.80), 10, (-3.0, 3.5, 2.2), (0, 0.3, 0))
    softbox("rim light", 0.8, 2.4, (0.72, 0.86, 1.0), 7, (4.3, 3.1, -2.3), (0, 0.4, -0.2))

    camera = scene.add("cameras", {"type": "perspective", "perspective": {
        "yfov": math.radians(35), "aspectRatio": 16 / 9, "znear": 0.05}})
    scene.node("Camera", camera=camera, matrix=looking((0.70, 2.02, 4.42), (0.06, 0.40, -0.05)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: make-scene.py FOLDER")
    main(sys.argv[1])
