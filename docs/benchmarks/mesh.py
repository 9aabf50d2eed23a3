#!/usr/bin/env python3
"""Measures what the mesh costs and how even it is. Standard library only.

    python3 mesh.py one     MESHD PAIRS  RENDER-ARGUMENTS…   a mesh of one node against --local
    python3 mesh.py unequal MESHD SHARES RENDER-ARGUMENTS…   nodes of these shares of a processor

RENDER-ARGUMENTS are those of `meshd render`, without -o and --stats: a scene, --size, --spp. SHARES
are percents of one processor, such as 100,50,25,25; control groups enforce them, which needs root.
Both print a line for each run.
"""

import contextlib
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

# A line as soon as it is known, into files too.
sys.stdout.reconfigure(line_buffering=True)


def render(program, arguments, folder, label, *more):
    """Runs one frame; its statistics, and the wall and processor seconds of the whole process."""
    figures = f"{folder}/{label}.json"
    before, start = os.times(), time.monotonic()
    subprocess.run(
        [program, "render", *arguments, "-o", f"{folder}/{label}.exr", "--stats", figures,
         "--quiet", *more], check=True)
    wall, after = time.monotonic() - start, os.times()
    processor = (after.children_user - before.children_user
                 + after.children_system - before.children_system)
    with open(figures) as file:
        return json.load(file), wall, processor


def one(program, pairs, arguments):
    walls, processors, hashes = [], [], set()
    with tempfile.TemporaryDirectory() as folder:
        mesh = ["--no-mdns", "--state", folder + "/state"]
        for pair in range(int(pairs)):
            runs = {}
            # Whatever drifts hits both alike: the order changes with each pair.
            for label in ("local", "mesh") if pair % 2 == 0 else ("mesh", "local"):
                runs[label] = render(
                    program, arguments, folder, label, *(["--local"] if label == "local" else mesh))
                hashes.add(runs[label][0]["filmHash"])
            walls.append(runs["mesh"][1] / runs["local"][1])
            processors.append(runs["mesh"][2] / runs["local"][2])
            print(f"local {runs['local'][1]:.2f} s ({runs['local'][2]:.2f} CPU-s), "
                  f"mesh {runs['mesh'][1]:.2f} s ({runs['mesh'][2]:.2f} CPU-s), first picture "
                  f"{runs['mesh'][0]['firstPictureSeconds']:.2f} s")
    same = "the same film" if len(hashes) == 1 else "DIFFERENT FILMS"
    print(f"mesh/local: wall {statistics.median(walls):.3f}, "
          f"processor {statistics.median(processors):.3f} (medians); {same}")


@contextlib.contextmanager
def control_group(name, percent):
    """A group limited to so many percent of a processor; yields the file to join it by."""
    version_two = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    if version_two:
        root = "/sys/fs/cgroup"
        with contextlib.suppress(OSError):
            with open(root + "/cgroup.subtree_control", "w") as file:
                file.write("+cpu")
    else:
        root = (glob.glob("/sys/fs/cgroup/cpu") or glob.glob("/sys/fs/cgroup/cpu*"))[0]
    group = f"{root}/{name}"
    os.mkdir(group)
    try:
        period = 20_000
        limits = (
            {"cpu.max": f"{period * percent // 100} {period}"} if version_two else
            {"cpu.cfs_period_us": str(period), "cpu.cfs_quota_us": str(period * percent // 100)})
        for file, value in limits.items():
            with open(f"{group}/{file}", "w") as opened:
                opened.write(value)
        yield group + "/cgroup.procs"
    finally:
        for _ in range(50):
            with contextlib.suppress(OSError):
                os.rmdir(group)
                break
            time.sleep(0.1)


def join_mesh(program, states):
    """Puts the nodes of these state folders into one mesh."""
    code = subprocess.run([program, "init", "--state", states[0]], check=True,
                          capture_output=True, text=True).stdout
    for state in states[1:]:
        subprocess.run([program, "join", "-", "--state", state], input=code, check=True,
                       capture_output=True, text=True)


def unequal(program, shares, arguments):
    shares = [int(share) for share in shares.split(",")]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        join_mesh(program, [f"{folder}/{number}" for number in range(len(shares))])
        for number, share in enumerate(shares):
            procs = stack.enter_context(
                control_group(f"meshd-bench-{os.getpid()}-{number}", share))
            node = subprocess.Popen(
                ["/bin/sh", "-c", f'echo $$ >{procs}; exec "$@"', "sh", program, "up",
                 "--name", f"{share}%", "--listen", f"127.0.0.1:{47_000 + number}", "--no-mdns",
                 "--peer", "127.0.0.1:47000", "--state", f"{folder}/{number}"],
                stderr=subprocess.DEVNULL)
            stack.callback(node.wait)
            stack.callback(node.terminate)
        state = ["--state", f"{folder}/0"]
        deadline = time.monotonic() + 30
        while True:
            answer = subprocess.run(
                [program, "nodes", "--json", *state], capture_output=True, check=False)
            alive = [] if answer.returncode else [
                node for node in json.loads(answer.stdout) if node["status"] == "alive"]
            if len(alive) == len(shares):
                break
            if time.monotonic() > deadline:
                sys.exit("the nodes do not find each other")
            time.sleep(0.2)
        # The first frame brings the scene to all nodes; the second is the one that counts.
        for label in ("cold", "warm"):
            figures, wall, _ = render(program, arguments, folder, label, *state)
            samples = sum(node["samples"] for node in figures["nodes"])
            parts = ", ".join(
                f"{node['name']} node {100 * node['samples'] / samples:.1f} % of the samples, "
                f"{node['bytesSent'] / 1e6:.1f} MB sent" for node in figures["nodes"])
            print(f"{label}: {wall:.2f} s, first picture {figures['firstPictureSeconds']:.2f} s, "
                  f"makespan/ideal {figures['makespanOverIdeal']:.3f}, {figures['rounds']} rounds, "
                  f"{figures['roundsAbandoned']} abandoned, "
                  f"{figures['unitsRenderedAgain']} units twice; {parts}")
        alone, _, _ = render(program, arguments, folder, "alone", "--local")
        same = alone["filmHash"] == figures["filmHash"]
        print("the film is " + ("that of one machine" if same else "NOT that of one machine"))


if __name__ == "__main__":
    if len(sys.argv) < 5 or sys.argv[1] not in ("one", "unequal"):
        sys.exit(__doc__)
    (one if sys.argv[1] == "one" else unequal)(sys.argv[2], sys.argv[3], sys.argv[4:])
