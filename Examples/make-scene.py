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
import sys
from array import array

# The parts beside this file; nothing is left behind in the folder.
sys.dont_write_bytecode = True

from pictures import hammered, mosaic, studio, wood
from shapes import (
    lathe, quad, rounded_box, sphere, spline, sweep, tabletop, torus_knot)


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
