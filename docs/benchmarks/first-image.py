#!/usr/bin/env python3
"""Measures how soon the first image is there, on real nodes. Standard library only; needs root.

    sudo python3 first-image.py MESHD SCENE [NODES …] [--size 640x360]

A daemon of one thread runs in each of NODES network namespaces, whose links are shaped to 1 Gbit/s
both ways. One of them submits a frame whose scene all of them know from a frame before. What it takes
to the first image stands beside what it is made of: one pass by all processors of this machine, with
the preparation of the scene, and one reduction of a film of that size, as `meshd bench net` measures
it in the same namespaces. (Three round trips, a tenth of a millisecond each here, are left out.)
"""

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
specification = importlib.util.spec_from_file_location("allreduce", here + "/allreduce.py")
allreduce = importlib.util.module_from_spec(specification)
specification.loader.exec_module(allreduce)

FRAMES = 7
sys.stdout.reconfigure(line_buffering=True)


def figures(command):
    return json.loads(allreduce.run(*command))


def render(lab, number, options, folder, *more):
    path = f"{folder}/frame.json"
    subprocess.run(
        lab.inside(number, options.program, "render", options.scene, "--size", options.size,
                   "-o", f"{folder}/frame.exr", "--stats", path, "--quiet", *more), check=True)
    with open(path) as file:
        return json.load(file)


def alive(lab, options, state):
    answer = subprocess.run(
        lab.inside(1, options.program, "nodes", "--json", *state), capture_output=True,
        check=False)
    return 0 if answer.returncode else sum(
        node["status"] == "alive" for node in json.loads(answer.stdout))


def measure(count, options):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        lab = allreduce.Lab(count, 1_000, stack)
        options.rounds, options.rate = FRAMES, 1_000
        reduction = allreduce.measure_meshd(
            lab, options, "--size", options.size, "--all-planes")["medianSeconds"]
        code = subprocess.run(
            [options.program, "init", "--state", f"{folder}/1"], check=True,
            capture_output=True, text=True).stdout
        for number in range(2, count + 1):
            subprocess.run(
                [options.program, "join", "-", "--state", f"{folder}/{number}"], input=code,
                check=True, capture_output=True, text=True)
        for number in range(1, count + 1):
            node = subprocess.Popen(
                lab.inside(
                    number, options.program, "up", "--threads", "1", "--name", f"n{number}",
                    "--listen", f"{allreduce.address(number)}:7700", "--no-mdns", "--peer",
                    f"{allreduce.address(1)}:7700", "--state", f"{folder}/{number}"),
                stderr=subprocess.DEVNULL)
            stack.callback(node.wait)
            stack.callback(node.terminate)
        state = ["--state", f"{folder}/1"]
        deadline = time.monotonic() + 30
        while alive(lab, options, state) < count:
            if time.monotonic() > deadline:
                sys.exit("the nodes do not find each other")
            time.sleep(0.2)
        work = ["--spp", "16"]
        render(lab, 1, options, folder, *work, *state)
        first = [
            render(lab, 1, options, folder, *work, *state)["firstPictureSeconds"]
            for _ in range(FRAMES)]
        alone = [
            render(lab, 1, options, folder, "--spp", "1", "--local")["firstPictureSeconds"]
            for _ in range(FRAMES)]
        one_pass = statistics.median(alone)
        bound = one_pass + reduction
        middle = statistics.median(first)
        print(f"| {count} | {1e3 * middle:.0f} ms ({1e3 * min(first):.0f}–{1e3 * max(first):.0f}) "
              f"| {1e3 * bound:.0f} ms | {1e3 * one_pass:.0f} ms | {1e3 * reduction:.0f} ms |")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program")
    parser.add_argument("scene")
    parser.add_argument("nodes", type=int, nargs="*", default=[2, 4, 8])
    parser.add_argument("--size", default="640x360")
    options = parser.parse_args()
    print("| nodes | first image | bound | one pass, alone | one reduction |")
    print("| --- | --- | --- | --- | --- |")
    for count in options.nodes:
        measure(count, options)


main()
