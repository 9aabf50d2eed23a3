#!/usr/bin/env python3
"""Renders a scene of scenes.py with Mitsuba 3 and prints its speed, as one line of JSON.

    python3 render-mitsuba.py SCENE.glb [--size WxH] [--spp N] [--max-depth N] [--sky] [--variant V]
                              [--runs N] [--threads N]

Reads what scenes.py writes, not glTF in general. As in meshd: diffuse, a box filter, no Russian
roulette, one-sided lights. The first run, which compiles, is not counted; the median of the others
is printed. Needs mitsuba and numpy; the llvm variants need libLLVM (apt: libllvm19).
"""

import argparse
import json
import os
import resource
import statistics
import struct
import tempfile
import time

import numpy as np

options = argparse.ArgumentParser()
options.add_argument("scene")
options.add_argument("--size", default="512x512")
options.add_argument("--spp", type=int, default=16)
options.add_argument("--max-depth", type=int, default=8)
options.add_argument("--sky", action="store_true", help="the constant light of sky.hdr")
options.add_argument("--variant", default="llvm_ad_rgb")
options.add_argument("--runs", type=int, default=4)
options.add_argument("--threads", type=int, default=os.cpu_count())
options = options.parse_args()

os.environ.setdefault("DRJIT_LIBLLVM_PATH", "/usr/lib/x86_64-linux-gnu/libLLVM.so.19.1")
import drjit
import mitsuba

mitsuba.set_variant(options.variant)
drjit.set_thread_count(options.threads)


def read_glb(path):
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack_from("<I", data, 12)[0]
    return json.loads(data[20:20 + size]), data[28 + size:]


def array(document, binary, index, kind):
    accessor = document["accessors"][index]
    view = document["bufferViews"][accessor["bufferView"]]
    values = np.frombuffer(binary, kind, view["byteLength"] // 4, view["byteOffset"])
    return values.reshape(-1, 3)


def write_ply(path, positions, indices):
    faces = np.empty(len(indices), dtype=[("count", "u1"), ("corners", "<i4", 3)])
    faces["count"] = 3
    faces["corners"] = indices
    with open(path, "wb") as file:
        file.write(
            "ply\nformat binary_little_endian 1.0\n"
            f"element vertex {len(positions)}\nproperty float x\nproperty float y\n"
            f"property float z\nelement face {len(indices)}\n"
            "property list uchar int vertex_indices\nend_header\n".encode())
        file.write(positions.tobytes() + faces.tobytes())


def load(path, width, height):
    document, binary = read_glb(path)
    scene = {"type": "scene", "integrator": {
        "type": "path", "max_depth": options.max_depth, "rr_depth": 1_000_000}}
    folder = tempfile.TemporaryDirectory()
    for number, node in enumerate(document["nodes"]):
        if "camera" in node:
            matrix = np.array(node["matrix"]).reshape(4, 4).T
            lens = document["cameras"][node["camera"]]["perspective"]
            scene["sensor"] = {
                "type": "perspective", "fov": float(np.degrees(lens["yfov"])), "fov_axis": "y",
                "to_world": mitsuba.ScalarTransform4f().look_at(
                    origin=matrix[:3, 3].tolist(),
                    target=(matrix[:3, 3] - matrix[:3, 2]).tolist(), up=matrix[:3, 1].tolist()),
                "film": {
                    "type": "hdrfilm", "width": width, "height": height,
                    "rfilter": {"type": "box"}, "pixel_format": "rgb",
                    "component_format": "float32"},
                "sampler": {"type": "independent", "sample_count": options.spp}}
            continue
        primitive = document["meshes"][node["mesh"]]["primitives"][0]
        material = document["materials"][primitive["material"]]
        name = f"{folder.name}/{number}.ply"
        write_ply(
            name, array(document, binary, primitive["attributes"]["POSITION"], "<f4"),
            array(document, binary, primitive["indices"], "<u4"))
        colour = material["pbrMetallicRoughness"]["baseColorFactor"][:3]
        shape = {"type": "ply", "filename": name, "face_normals": True, "bsdf": {
            "type": "twosided", "inner": {
                "type": "diffuse", "reflectance": {"type": "rgb", "value": colour}}}}
        if "emissiveFactor" in material:
            strength = material["extensions"]["KHR_materials_emissive_strength"][
                "emissiveStrength"]
            shape["emitter"] = {"type": "area", "radiance": {
                "type": "rgb", "value": [strength * e for e in material["emissiveFactor"]]}}
        scene[f"shape{number}"] = shape
    if options.sky:
        scene["sky"] = {"type": "constant", "radiance": {
            "type": "rgb", "value": [116 / 256, 141 / 256, 180 / 256]}}
    loaded = mitsuba.load_dict(scene)
    if "llvm" in options.variant:
        drjit.sync_thread()
    return loaded


def processor_time():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


width, height = map(int, options.size.split("x"))
scene = load(options.scene, width, height)
wall, processor, means = [], [], []
for run in range(1 + options.runs):
    start, start_processor = time.monotonic(), processor_time()
    image = np.array(mitsuba.render(scene, spp=options.spp, seed=run))
    wall.append(time.monotonic() - start)
    processor.append(processor_time() - start_processor)
    means.append(image.reshape(-1, 3).mean(0))
samples = width * height * options.spp * 1e-6
print(json.dumps({
    "renderer": f"Mitsuba {mitsuba.__version__} {options.variant}",
    "megasamplesPerCPUSecond": round(samples / statistics.median(processor[1:]), 3),
    "megasamplesPerSecond": round(samples / statistics.median(wall[1:]), 3),
    "mean": [round(float(value), 4) for value in np.mean(means, 0)],
}))
