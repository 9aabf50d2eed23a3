#!/usr/bin/env python3
"""Writes the two scenes of docs/BENCHMARKS.md. Needs numpy.

    python3 scenes.py FOLDER

cornell.glb: a Cornell box of 36 triangles with one area light. spheres.glb: 49 displaced spheres on a
plane, a million triangles, with an area light; render it with --env FOLDER/sky.hdr, a constant.
All materials are diffuse, all normals flat. The same files on every run.
"""

import json
import os
import struct
import sys

import numpy as np

# Exact in the mantissas of a Radiance picture: every renderer reads the same light.
SKY = (116, 141, 180)


def quad(a, b, c, d):
    return np.array([a, b, c, d], float), np.array([[0, 1, 2], [0, 2, 3]])


def box(centre, size, degrees):
    """A box that is turned around the vertical."""
    angle = np.radians(degrees)
    turn = np.array([
        [np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = [t for a, b, c, d in faces for t in ((a, b, c), (a, c, d))]
    return corners * np.array(size) / 2 @ turn.T + np.array(centre), np.array(triangles)


def merge(parts):
    offsets = np.cumsum([0] + [len(vertices) for vertices, _ in parts])
    return (np.concatenate([vertices for vertices, _ in parts]),
            np.concatenate([faces + offset for (_, faces), offset in zip(parts, offsets)]))


def icosphere(level):
    """An icosahedron, each triangle divided in four `level` times, on the unit sphere."""
    t = (1 + 5 ** 0.5) / 2
    vertices = np.array([
        [-1, t, 0], [1, t, 0], [-1, -t, 0], [1, -t, 0], [0, -1, t], [0, 1, t], [0, -1, -t],
        [0, 1, -t], [t, 0, -1], [t, 0, 1], [-t, 0, -1], [-t, 0, 1]], float)
    faces = np.array([
        [0, 11, 5], [0, 5, 1], [0, 1, 7], [0, 7, 10], [0, 10, 11], [1, 5, 9], [5, 11, 4],
        [11, 10, 2], [10, 7, 6], [7, 1, 8], [3, 9, 4], [3, 4, 2], [3, 2, 6], [3, 6, 8], [3, 8, 9],
        [4, 9, 5], [2, 4, 11], [6, 2, 10], [8, 6, 7], [9, 8, 1]])
    vertices /= np.linalg.norm(vertices, axis=1)[:, None]
    for _ in range(level):
        edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
        unique, place = np.unique(edges, axis=0, return_inverse=True)
        middles = vertices[unique[:, 0]] + vertices[unique[:, 1]]
        middles /= np.linalg.norm(middles, axis=1)[:, None]
        ab, bc, ca = place.reshape(3, -1) + len(vertices)
        a, b, c = faces.T
        vertices = np.concatenate([vertices, middles])
        faces = np.concatenate([
            np.stack(corners, 1) for corners in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))])
    return vertices, faces


def write_glb(path, objects, origin, target, field_of_view, aspect):
    """objects: (name, (vertices, faces), albedo, emission)."""
    binary = b""
    document = {
        "asset": {"version": "2.0", "generator": "meshd docs/benchmarks/scenes.py"},
        "extensionsUsed": ["KHR_materials_emissive_strength"], "scene": 0, "nodes": [],
        "meshes": [], "materials": [], "accessors": [], "bufferViews": []}

    def add(key, value):
        document[key].append(value)
        return len(document[key]) - 1

    def accessor(values, component, kind, count, **more):
        nonlocal binary
        view = add("bufferViews", {
            "buffer": 0, "byteOffset": len(binary), "byteLength": values.nbytes})
        binary += values.tobytes()
        return add("accessors", {
            "bufferView": view, "componentType": component, "type": kind, "count": count, **more})

    for name, (vertices, faces), albedo, emission in objects:
        positions = vertices.astype("<f4")
        indices = faces.astype("<u4")
        material = {"name": name, "pbrMetallicRoughness": {
            "baseColorFactor": [*albedo, 1], "metallicFactor": 0, "roughnessFactor": 1}}
        if max(emission) > 0:
            strength = max(emission)
            material["emissiveFactor"] = [e / strength for e in emission]
            material["extensions"] = {
                "KHR_materials_emissive_strength": {"emissiveStrength": strength}}
        primitive = {
            "attributes": {"POSITION": accessor(
                positions, 5126, "VEC3", len(positions), min=positions.min(0).tolist(),
                max=positions.max(0).tolist())},
            "indices": accessor(indices, 5125, "SCALAR", indices.size),
            "material": add("materials", material)}
        add("nodes", {"name": name, "mesh": add("meshes", {"primitives": [primitive]})})

    back = np.array(origin, float) - np.array(target)
    back /= np.linalg.norm(back)
    right = np.cross([0, 1, 0], back)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3] = np.stack([right, np.cross(back, right), back, origin], 1)
    document["cameras"] = [{"type": "perspective", "perspective": {
        "yfov": np.radians(field_of_view), "znear": 0.01, "aspectRatio": aspect}}]
    add("nodes", {"name": "Camera", "camera": 0, "matrix": matrix.T.flatten().tolist()})
    document["scenes"] = [{"nodes": list(range(len(document["nodes"])))}]
    document["buffers"] = [{"byteLength": len(binary)}]
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    with open(path, "wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, 28 + len(text) + len(binary)))
        file.write(struct.pack("<I4s", len(text), b"JSON") + text)
        file.write(struct.pack("<I4s", len(binary), b"BIN\0") + binary)


def cornell(path):
    white, black = (0.725, 0.71, 0.68), (0, 0, 0)
    walls = merge([
        quad((-1, -1, 1), (1, -1, 1), (1, -1, -1), (-1, -1, -1)),
        quad((-1, 1, 1), (-1, 1, -1), (1, 1, -1), (1, 1, 1)),
        quad((-1, -1, -1), (1, -1, -1), (1, 1, -1), (-1, 1, -1)),
        box((0.33, -0.7, 0.35), (0.6, 0.6, 0.6), -17),
        box((-0.35, -0.4, -0.3), (0.6, 1.2, 0.6), 18)])
    left = quad((-1, -1, 1), (-1, -1, -1), (-1, 1, -1), (-1, 1, 1))
    right = quad((1, -1, -1), (1, -1, 1), (1, 1, 1), (1, 1, -1))
    light = quad((-0.25, 0.99, 0.2), (-0.25, 0.99, -0.2), (0.25, 0.99, -0.2), (0.25, 0.99, 0.2))
    write_glb(path, [
        ("white", walls, white, black), ("red", left, (0.63, 0.065, 0.05), black),
        ("green", right, (0.14, 0.45, 0.091), black), ("light", light, black, (17, 12, 4)),
    ], (0, 0, 3.9), (0, 0, 0), 39.3, 1)


def spheres(path):
    random = np.random.default_rng(7)
    sphere, faces = icosphere(5)
    albedos = [(0.8, 0.3, 0.2), (0.25, 0.6, 0.3), (0.25, 0.35, 0.75), (0.7, 0.7, 0.65)]
    parts = [[] for _ in albedos]
    for place in range(49):
        # Five octaves of four sine waves each.
        height = np.zeros(len(sphere))
        for octave in range(5):
            for _ in range(4):
                wave = sphere @ (random.normal(size=3) * 3 * 2 ** octave)
                height += np.sin(wave + random.uniform(0, 6.28)) * 0.045 / 1.7 ** octave
        radius = 0.85 * (1 + 0.2 * random.uniform(-1, 1))
        column, row = divmod(place, 7)
        vertices = sphere * (1 + height)[:, None] * radius + np.array([
            (column - 3) * 2 + random.uniform(-0.15, 0.15), 0,
            (row - 3) * 2 + random.uniform(-0.15, 0.15)])
        vertices[:, 1] -= vertices[:, 1].min()
        parts[place % 4].append((vertices, faces))
    black = (0, 0, 0)
    plane = quad((-20, 0, 20), (20, 0, 20), (20, 0, -20), (-20, 0, -20))
    light = quad((-3, 8, 3), (-3, 8, -3), (3, 8, -3), (3, 8, 3))
    write_glb(path, [("plane", plane, (0.5, 0.5, 0.5), black)] + [
        (f"spheres {index}", merge(parts[index]), albedo, black)
        for index, albedo in enumerate(albedos)
    ] + [("light", light, black, (9, 8, 7))], (0, 5.5, 12), (0, 0.6, 0), 38, 960 / 540)


def sky(path):
    with open(path, "wb") as file:
        file.write(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2 +X 4\n" + bytes([*SKY, 128]) * 8)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    cornell(folder + "/cornell.glb")
    spheres(folder + "/spheres.glb")
    sky(folder + "/sky.hdr")
