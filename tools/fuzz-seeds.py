#!/usr/bin/env python3
"""Writes the fuzz seeds of scenes and images to Tests/FuzzCorpora.

The standard library makes PNG, Radiance, glTF and plain OpenEXR; JPEG needs libturbojpeg, and
OpenEXR's other codecs need g++ with libopenexr-dev. What is missing is left out, with a line.
"""
import ctypes
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

CORPORA = pathlib.Path(__file__).resolve().parent.parent / "Tests" / "FuzzCorpora"


def write(target, name, data):
    folder = CORPORA / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(data)


def png():
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(
            ">I", zlib.crc32(kind + data))

    def image(colour, depth, interlace=0, extra=b"", filters=(0, 1, 2, 3, 4)):
        channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        width, height = 9, 5
        passes = [(width, height)]
        if interlace:  # Adam7
            steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4),
                     (1, 0, 2, 2), (0, 1, 1, 2)]
            passes = [((width - x + dx - 1) // dx, (height - y + dy - 1) // dy)
                      for x, y, dx, dy in steps]
        rows = b""
        for w, h in passes:
            if w == 0 or h == 0:
                continue
            size = (w * channels * depth + 7) // 8
            for y in range(h):
                rows += bytes([filters[y % len(filters)]])
                rows += bytes((y * 31 + x * 7) % 251 if colour != 3 else (y + x) % 2
                              for x in range(size))
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
        return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra +
                chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))

    for colour, depths in ((0, (1, 2, 4, 8, 16)), (2, (8, 16)), (4, (8, 16)), (6, (8, 16))):
        for depth in depths:
            write("png", f"{colour}-{depth}", image(colour, depth, depth == 8))
    for depth in (1, 4, 8):
        write("png", f"3-{depth}", image(
            3, depth, extra=chunk(b"PLTE", bytes(6)) + chunk(b"tRNS", b"\0\x80")))
    extras = (chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"sRGB", b"\0") +
              chunk(b"tEXt", b"Title\0meshd") + chunk(b"pHYs", struct.pack(">IIB", 1, 1, 0)) +
              chunk(b"zTXt", b"Title\0\0" + zlib.compress(b"meshd" * 9)) +
              chunk(b"tRNS", struct.pack(">HHH", 1, 2, 3)) +
              chunk(b"iTXt", b"T\0\1\0e\0t\0" + zlib.compress(b"meshd")) +
              chunk(b"sBIT", b"\x08\x08\x08"))
    write("png", "chunks", image(2, 8, extra=extras))


def jpeg():
    try:
        library = ctypes.CDLL("libturbojpeg.so.0")
    except OSError as error:
        print(f"no JPEG: {error}", file=sys.stderr)
        return
    library.tjInitCompress.restype = ctypes.c_void_p
    library.tjCompress2.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int,
        ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_ulong), ctypes.c_int,
        ctypes.c_int, ctypes.c_int]
    handle = library.tjInitCompress()
    width, height = 19, 11
    pixels = bytes((x * 13 + y * 7 + c * 50) % 256
                   for y in range(height) for x in range(width) for c in range(3))
    for sampling, name in ((0, "444"), (1, "422"), (2, "420"), (3, "grey"), (4, "440")):
        for flags, kind in ((0, "baseline"), (16384, "progressive")):
            data, size = ctypes.c_void_p(), ctypes.c_ulong()
            library.tjCompress2(handle, pixels, width, 0, height, 0, ctypes.byref(data),
                                ctypes.byref(size), sampling, 40, flags)
            write("jpeg", f"{name}-{kind}", ctypes.string_at(data, size.value))


def hdr():
    def head(width, height, lines=()):
        text = ["#?RADIANCE", "FORMAT=32-bit_rle_rgbe", *lines, "",
                f"-Y {height} +X {width}", ""]
        return "\n".join(text).encode()

    plain = bytes((i * 29) % 200 + 10 for i in range(4 * 5 * 3))
    write("hdr", "plain", head(5, 3) + plain)
    write("hdr", "exposure", head(5, 3, ["EXPOSURE= 2", "# a comment"]) + plain)
    write("hdr", "turned", (head(5, 3) + plain).replace(b"-Y 3 +X 5", b"+Y 3 -X 5"))
    pixel = b"\x20\x30\x40\x80"
    old = pixel + b"\1\1\1\2" + b"\1\1\1\0" + 2 * pixel
    write("hdr", "old-runs", head(5, 2) + old + 5 * pixel)
    runs = b""
    for _ in range(2):
        runs += b"\2\2\0\x0a"
        for component in range(4):
            runs += bytes([128 + 6, component + 100]) + b"\4" + bytes(range(4))
    write("hdr", "new-runs", head(10, 2) + runs)


def exr_plain(compression, tiled=False):
    """5 x 3 pixels of half, scanlines or one tile, codecs none, RLE, ZIPS and ZIP."""
    def attribute(name, kind, data):
        return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(data)) + data

    width, height = 5, 3
    channels = b"".join(c + b"\0" + struct.pack("<iB3xii", 1, 0, 1, 1) for c in (b"B", b"G", b"R"))
    box = struct.pack("<4i", 0, 0, width - 1, height - 1)
    header = (attribute("channels", "chlist", channels + b"\0") +
              attribute("compression", "compression", bytes([compression])) +
              attribute("dataWindow", "box2i", box) + attribute("displayWindow", "box2i", box) +
              attribute("lineOrder", "lineOrder", b"\0") +
              attribute("pixelAspectRatio", "float", struct.pack("<f", 1)) +
              attribute("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0)) +
              attribute("screenWindowWidth", "float", struct.pack("<f", 1)))
    if tiled:
        header += attribute("tiles", "tiledesc", struct.pack("<IIB", 8, 8, 0))
    start = struct.pack("<II", 20000630, 2 | (0x200 if tiled else 0)) + header + b"\0"

    def line(y):
        return b"".join(struct.pack("<e", x + y * c) for c in range(3) for x in range(width))

    def packed(data):
        if compression == 0:
            return data
        mixed = bytearray(data[::2] + data[1::2])
        for i in range(len(mixed) - 1, 0, -1):
            mixed[i] = (mixed[i] - mixed[i - 1] + 128) & 255
        if compression == 1:  # Runs of literals only.
            made = b"".join(bytes([256 - len(mixed[i:i + 100])]) + bytes(mixed[i:i + 100])
                            for i in range(0, len(mixed), 100))
        else:
            made = zlib.compress(bytes(mixed))
        return made if len(made) < len(data) else data

    if tiled:
        chunks = [struct.pack("<4i", 0, 0, 0, 0) + struct.pack("<i", len(d)) + d
                  for d in [packed(b"".join(line(y) for y in range(height)))]]
    elif compression == 3:
        data = packed(b"".join(line(y) for y in range(height)))
        chunks = [struct.pack("<ii", 0, len(data)) + data]
    else:
        chunks = []
        for y in range(height):
            data = packed(line(y))
            chunks.append(struct.pack("<ii", y, len(data)) + data)
    offset = len(start) + 8 * len(chunks)
    table = b""
    for chunk in chunks:
        table += struct.pack("<Q", offset)
        offset += len(chunk)
    return start + table + b"".join(chunks)


EXR_PROGRAM = r"""
#include <ImfRgbaFile.h>
#include <ImfTiledRgbaFile.h>
#include <string>
using namespace Imf;
int main(int, char **argv) {
    const char *names[] = {"none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa",
                           "dwab"};
    Rgba pixels[40 * 36];
    for (int i = 0; i < 40 * 36; i++) pixels[i] = Rgba(i % 7, (i / 9) % 5, i % 3, 1);
    for (int c = 0; c < 10; c++) {
        std::string base = std::string(argv[1]) + "/seed-codec-" + names[c];
        for (int grey = 0; grey < 2; grey++) {
            Header header(12, 36, 1, Imath::V2f(0, 0), 1, INCREASING_Y, Compression(c));
            RgbaOutputFile file((base + (grey ? "-grey" : "-rgb")).c_str(), header,
                                grey ? WRITE_Y : WRITE_RGB);
            file.setFrameBuffer(pixels, 1, 12);
            file.writePixels(36);
        }
        // OpenEXRCore 3.1.5 refuses B44 in tiles that are cut.
        int side = c == 6 || c == 7 ? 16 : 9;
        Header header(side, side, 1, Imath::V2f(0, 0), 1, INCREASING_Y, Compression(c));
        TiledRgbaOutputFile file((base + "-tiles").c_str(), header, WRITE_RGB, 8, 8, ONE_LEVEL);
        file.setFrameBuffer(pixels, 1, side);
        file.writeTiles(0, file.numXTiles() - 1, 0, file.numYTiles() - 1);
    }
}
"""


def exr():
    for compression, name in enumerate(("none", "rle", "zips", "zip")):
        write("exr", f"lines-{name}", exr_plain(compression))
        write("exr", f"tile-{name}", exr_plain(compression, tiled=True))
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "seeds.cpp"
        source.write_text(EXR_PROGRAM)
        try:
            subprocess.run(
                ["g++", "-I/usr/include/OpenEXR", "-I/usr/include/Imath", str(source), "-o",
                 f"{folder}/seeds", "-lOpenEXR-3_1", "-lImath-3_1", "-lIex-3_1"], check=True)
            subprocess.run([f"{folder}/seeds", str(CORPORA / "exr")], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"no other codecs of OpenEXR: {error}", file=sys.stderr)


def gltf():
    """Scenes that use all that the import knows; s.bin and i.png are the target's."""
    corner = {"attributes": {"POSITION": 0}, "indices": 1}
    whole = {
        "asset": {"version": "2.0"}, "scene": 0, "scenes": [{"nodes": [0, 1, 2, 3, 4, 5, 6]}],
        "extensionsUsed": ["KHR_lights_punctual", "KHR_materials_emissive_strength",
                           "KHR_materials_specular", "KHR_mesh_quantization"],
        "nodes": [
            {"mesh": 0, "matrix": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0.1, 0, 0, 1]},
            {"mesh": 0, "translation": [0, 0.5, -1], "rotation": [0, 0, 0.7, 0.7],
             "scale": [2, -1, 1], "children": [7], "name": "n"},
            {"mesh": 1, "scale": [3, 3, 3]}, {"camera": 0, "translation": [0, 0, 3]},
            {"translation": [0, 2, 0], "extensions": {"KHR_lights_punctual": {"light": 0}}},
            {"translation": [1, 2, 0], "extensions": {"KHR_lights_punctual": {"light": 1}}},
            {"rotation": [-0.7, 0, 0, 0.7], "extensions": {"KHR_lights_punctual": {"light": 2}}},
            {"camera": 1, "mesh": 2}],
        "meshes": [
            {"primitives": [dict(corner, material=0)]},
            {"primitives": [
                {"attributes": {"POSITION": 0, "NORMAL": 0, "TEXCOORD_0": 2, "TANGENT": 3},
                 "mode": 5, "material": 1},
                {"attributes": {"POSITION": 0}, "mode": 6, "material": 2}]},
            {"primitives": [{"attributes": {"POSITION": 4, "TEXCOORD_0": 2, "COLOR_0": 0},
                             "material": 1, "targets": [{"POSITION": 0}]}]}],
        "materials": [
            {"pbrMetallicRoughness": {"baseColorFactor": [0.8, 0.7, 0.6, 0.9],
                                      "metallicFactor": 0.5, "roughnessFactor": 0.1},
             "alphaMode": "MASK", "alphaCutoff": 0.5},
            {"emissiveFactor": [1, 0.5, 0.2], "doubleSided": True,
             "normalTexture": {"index": 0, "scale": 0.5},
             "emissiveTexture": {"index": 0, "texCoord": 0},
             "pbrMetallicRoughness": {"baseColorTexture": {"index": 0},
                                      "metallicRoughnessTexture": {"index": 1}},
             "extensions": {"KHR_materials_emissive_strength": {"emissiveStrength": 4}}},
            {"pbrMetallicRoughness": {"baseColorFactor": [1, 1, 1, 0.5], "metallicFactor": 0,
                                      "roughnessFactor": 0}, "alphaMode": "BLEND",
             "extensions": {"KHR_materials_specular": {"specularFactor": 0.5}}}],
        "textures": [{"source": 0, "sampler": 0}, {"source": 0}],
        "images": [{"uri": "i.png"}],
        "samplers": [{"magFilter": 9728, "wrapS": 33071, "wrapT": 33648}],
        "cameras": [{"type": "perspective", "perspective": {"yfov": 0.8}},
                    {"type": "orthographic", "orthographic": {"ymag": 2}}],
        "extensions": {"KHR_lights_punctual": {"lights": [
            {"type": "spot", "color": [1, 1, 0.5], "intensity": 20, "range": 30,
             "spot": {"innerConeAngle": 0.2, "outerConeAngle": 0.7}},
            {"type": "point", "intensity": 5}, {"type": "directional", "intensity": 1}]}},
        "accessors": [
            {"bufferView": 0, "byteOffset": 0, "componentType": 5126, "count": 3, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 3, "type": "SCALAR"},
            {"bufferView": 2, "componentType": 5121, "normalized": True, "count": 3,
             "type": "VEC2"},
            {"bufferView": 2, "componentType": 5120, "normalized": True, "count": 3,
             "type": "VEC4"},
            {"componentType": 5126, "count": 3, "type": "VEC3", "sparse": {
                "count": 2, "indices": {"bufferView": 1, "componentType": 5123},
                "values": {"bufferView": 0}}}],
        "bufferViews": [
            {"buffer": 0, "byteOffset": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 6},
            {"buffer": 0, "byteOffset": 44, "byteLength": 200, "byteStride": 8}],
        "buffers": [{"uri": "s.bin", "byteLength": 1066}]}
    least = {
        "asset": {"version": "2.0"}, "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [corner]}],
        "accessors": whole["accessors"][:2], "bufferViews": whole["bufferViews"][:2],
        "buffers": whole["buffers"]}
    data = "data:application/octet-stream;base64,AAAAAAAAAAAAAAAAAACAPwAAAAAAAAAAAAAAAAAAgD8AAAAA"
    inline = dict(least, buffers=[{"uri": data, "byteLength": 36}],
                  bufferViews=whole["bufferViews"][:1], accessors=whole["accessors"][:1],
                  meshes=[{"primitives": [{"attributes": {"POSITION": 0}}]}])
    for name, scene in (("whole", whole), ("least", least), ("inline", inline)):
        text = json.dumps(scene, separators=(",", ":")).encode()
        for target in ("gltf", "scene"):
            write(target, name, text)
    floats = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0) + struct.pack("<3H", 0, 1, 2)
    for name, scene in (("whole", whole), ("least", least)):
        scene = dict(scene, buffers=[{"byteLength": 244}])
        if "images" in scene:
            scene["images"] = [{"bufferView": 2, "mimeType": "image/png"}]
            scene["materials"] = whole["materials"][:1]
            scene["meshes"] = whole["meshes"][:1]
            scene["nodes"] = [whole["nodes"][0]]
            scene["scenes"] = [{"nodes": [0]}]
        text = json.dumps(scene, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        binary = floats + bytes((i * 37 + 11) % 256 for i in range(202))
        total = 12 + 8 + len(text) + 8 + len(binary)
        write("glb", name, b"glTF" + struct.pack("<II", 2, total) +
              struct.pack("<I", len(text)) + b"JSON" + text +
              struct.pack("<I", len(binary)) + b"BIN\0" + binary)


for make in (png, jpeg, hdr, exr, gltf):
    make()
