"""Surfaces of the demonstration scene.

Each function returns (positions, normals, texture coordinates, indices), counter-clockwise as
seen from outside.
"""

import math
from array import array

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
