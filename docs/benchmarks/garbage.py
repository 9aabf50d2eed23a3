#!/usr/bin/env python3
"""Measures a frame on a daemon that strangers bombard. Standard library only; needs root, iproute2.

    sudo python3 garbage.py MESHD SCENE [--pairs 3] [--size 640x480] [--spp 64] [--bytes 1356]

A daemon in a network namespace renders a frame, again and again, alternating with and without
garbage from another namespace over a link of 1 Gbit/s. Four kinds of it, at line rate or as fast as
one processor sends:

    random     datagrams of random bytes
    imitated   datagrams that begin as the mesh's own do, with its key's name, which is on the wire,
               and a sender's salt that nobody knows
    recorded   the same with the salt and a counter of a packet that the daemon may have opened: a
               second node's, seen on the wire
    repeated   that packet itself, as it was

each with 1,000 TCP connections that say nothing, from 20 addresses, opened again a second after they
were closed. The daemon and the sender are bound to processors of their own; the daemon has a thread
less than the machine has processors. Prints for each kind the ratio of the frames' times, that of the
daemon's processor times, datagrams a second, the daemon's peak memory without and with, and the share
of a processor that its loop took, without and with: what garbage costs the daemon itself.
"""

import argparse
import contextlib
import hashlib
import hmac
import importlib.util
import json
import os
import random
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

here = os.path.dirname(os.path.abspath(__file__))
specification = importlib.util.spec_from_file_location("allreduce", here + "/allreduce.py")
allreduce = importlib.util.module_from_spec(specification)
specification.loader.exec_module(allreduce)

PORT = 7700
VICTIM = allreduce.address(1)
CONNECTIONS, SOURCES = 1_000, 20
sys.stdout.reconfigure(line_buffering=True)


# What strangers do: this script runs itself in their namespace.

def flood(prefix, size):
    """Datagrams until it is killed: a begin, in hexadecimal, and random bytes."""
    prefix = bytes.fromhex(prefix)
    bodies = [random.randbytes(size) for _ in range(4_096)]
    # The salt is another one in each, unless it is part of the begin.
    datagrams = [(prefix + body)[:size] for body in bodies]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((VICTIM, PORT))
        while True:
            for datagram in datagrams:
                with contextlib.suppress(OSError):
                    sender.send(datagram)


def hold():
    """Connections that say nothing, until it is killed."""
    waiting = selectors.DefaultSelector()
    due = [(0, number % SOURCES) for number in range(CONNECTIONS)]
    while True:
        now = time.monotonic()
        for moment, source in [entry for entry in due if entry[0] <= now]:
            due.remove((moment, source))
            silent = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            silent.setblocking(False)
            silent.bind((allreduce.address(100 + source), 0))
            with contextlib.suppress(BlockingIOError):
                silent.connect((VICTIM, PORT))
            waiting.register(silent, selectors.EVENT_READ, source)
        for key, _ in waiting.select(timeout=0.1):
            waiting.unregister(key.fileobj)
            key.fileobj.close()
            due.append((time.monotonic() + 1, key.data))


# The measurement.

def key_name(folder):
    """The name of the mesh's key: it is in each packet (docs/WIRE.md)."""
    with open(folder + "/mesh-key") as file:
        key = next(bytes.fromhex(line.split()[1]) for line in file if line.startswith("key "))
    secret = hmac.digest(bytes(32), key, hashlib.sha256)
    return hmac.digest(secret, b"meshd v1 key id\x01", hashlib.sha256)[:4].hex()


def seen_packet(lab):
    """A packet that goes to the daemon, as the wire shows it."""
    script = ("import socket,time\n"
              "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3))\n"
              "while True:\n"
              "    f=s.recv(1<<16)\n"
              "    if len(f)>72 and f[23]==17 and f[26:30]!=bytes([10,78,0,1]) "
              "and f[36:38]==bytes([7700>>8,7700&255]) and f[42:43]==bytes([0xe3]):\n"
              "        print(f[42:14+int.from_bytes(f[16:18],'big')].hex());break\n")
    return allreduce.run("timeout", "30", *lab.inside(1, sys.executable, "-c", script)).strip()


def processor_seconds(process):
    with open(f"/proc/{process.pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def loop_seconds(process):
    """Of the thread that the sockets are on; it also adds tiles and writes the picture's bytes."""
    folder = f"/proc/{process.pid}/task/"
    for thread in os.listdir(folder):
        with open(folder + thread + "/stat") as file:
            name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
        if name == "mesh-loop":
            fields = rest.split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    sys.exit("the daemon has no loop")


def memory(process):
    with open(f"/proc/{process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) >> 10


def received(lab):
    link = json.loads(allreduce.run(
        "ip", "-n", lab.host(1), "-s", "-j", "link", "show", "eth0"))
    return link[0]["stats64"]["rx"]["packets"]


class Victim:
    def __init__(self, lab, options, folder, stack):
        self.lab, self.options, self.folder = lab, options, folder
        self.cores = sorted(os.sched_getaffinity(0))
        self.state = folder + "/state"
        allreduce.run(options.program, "init", "--state", self.state)
        self.process = self.start(1, self.state, len(self.cores) - 1, stack)
        self.wait(self.state, 1)

    def start(self, number, state, threads, stack, *more):
        process = subprocess.Popen(
            self.lab.inside(
                number, "taskset", "-c", ",".join(map(str, self.cores[:-1])),
                self.options.program, "up", "--listen", f"{allreduce.address(number)}:{PORT}",
                "--no-mdns", "--threads", str(threads), "--state", state, *more),
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process

    def wait(self, state, count):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            answer = subprocess.run([self.options.program, "nodes", "--json", "--state", state],
                                    capture_output=True, check=False)
            if answer.returncode == 0 and sum(
                    node["status"] == "alive" for node in json.loads(answer.stdout)) == count:
                return
            time.sleep(0.2)
        sys.exit("the daemon does not answer")

    def frame(self):
        """Seconds of a frame, the daemon's processor seconds in it, datagrams a second, MiB,
        and the processor seconds of the daemon's loop."""
        with open(f"/proc/{self.process.pid}/clear_refs", "w") as file:
            file.write("5")
        path = self.folder + "/frame.json"
        before, count, start = processor_seconds(self.process), received(self.lab), time.monotonic()
        looped = loop_seconds(self.process)
        subprocess.run(
            [self.options.program, "render", self.options.scene, "--size", self.options.size,
             "--spp", str(self.options.spp), "-o", self.folder + "/frame.exr", "--stats", path,
             "--quiet", "--state", self.state], check=True)
        taken = time.monotonic() - start
        with open(path) as file:
            report = json.load(file)
        if not report["complete"]:
            sys.exit("the frame is not complete")
        return (report["wallSeconds"], processor_seconds(self.process) - before,
                (received(self.lab) - count) / taken, memory(self.process),
                loop_seconds(self.process) - looped, report["filmHash"])

    @contextlib.contextmanager
    def garbage(self, prefix, size):
        core = str(self.cores[-1])
        me = ["taskset", "-c", core, sys.executable, os.path.abspath(__file__)]
        strangers = [
            subprocess.Popen(self.lab.inside(2, *me, "--flood", prefix, str(size))),
            subprocess.Popen(self.lab.inside(2, *me, "--hold"))]
        try:
            time.sleep(2)
            yield
        finally:
            for stranger in strangers:
                stranger.kill()
                stranger.wait()
            # Until the last of it has been dealt with.
            time.sleep(3)


def measure(kind, prefix, size, victim):
    rows, hashes = [], set()
    for pair in range(victim.options.pairs):
        figures = {}
        for bombarded in [False, True] if pair % 2 == 0 else [True, False]:
            with victim.garbage(prefix, size) if bombarded else contextlib.nullcontext():
                *figures[bombarded], film = victim.frame()
                hashes.add(film)
        (quiet, loud) = figures[False], figures[True]
        rows.append((quiet[0], loud[0], quiet[0] / loud[0], quiet[1] / loud[1], loud[2], quiet[3],
                     loud[3], quiet[4] / quiet[0], loud[4] / loud[0]))
    if len(hashes) != 1:
        sys.exit("the films differ")
    middle = [statistics.median(column) for column in zip(*rows)]
    ratios = [row[2] for row in rows]
    print(f"| {kind} | {middle[0]:.2f} | {middle[1]:.2f} | {middle[2]:.3f} ({min(ratios):.3f}–"
          f"{max(ratios):.3f}) | {middle[3]:.3f} | {middle[4]:,.0f} | {middle[5]:.0f} "
          f"| {middle[6]:.0f} | {middle[7]:.1%} | {middle[8]:.1%} |")


def main():
    if len(sys.argv) > 1 and sys.argv[1] == "--flood":
        return flood(sys.argv[2] if sys.argv[2] != "-" else "", int(sys.argv[3]))
    if len(sys.argv) > 1 and sys.argv[1] == "--hold":
        return hold()
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("program")
    parser.add_argument("scene")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--size", default="640x480")
    parser.add_argument("--spp", type=int, default=64)
    parser.add_argument("--bytes", type=int, default=1_362)
    parser.add_argument("--kinds", default="random,imitated,recorded,repeated")
    options = parser.parse_args()
    if os.geteuid() != 0 or os.cpu_count() < 2:
        sys.exit("this needs root and two processors")
    options.program = os.path.abspath(options.program)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        lab = allreduce.Lab(3, 1_000, stack)
        for source in range(SOURCES):
            allreduce.run("ip", "-n", lab.host(2), "addr", "add",
                          f"{allreduce.address(100 + source)}/24", "dev", "eth0")
        victim = Victim(lab, options, folder, stack)
        name = key_name(victim.state)
        prefixes = {"random": "-", "imitated": "e300" + name}
        sizes = {}
        print("| garbage | frame without, s | with, s | speed | speed by processor time "
              "| datagrams a second | peak memory without, MiB | with "
              "| the loop's processor without | with |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        for kind in options.kinds.split(","):
            if kind in ["recorded", "repeated"] and kind not in prefixes:
                # A second member; it is gone before frames are rendered.
                with contextlib.ExitStack() as member:
                    state = folder + "/second"
                    os.makedirs(state, mode=0o700)
                    with open(victim.state + "/mesh-key") as file:
                        text = file.read()
                    with open(os.open(state + "/mesh-key", os.O_CREAT | os.O_WRONLY, 0o600),
                              "w") as file:
                        file.write(text)
                    victim.start(3, state, 1, member, "--peer", f"{VICTIM}:{PORT}")
                    seen = seen_packet(lab)
                    prefixes["recorded"] = seen[:36] + struct.pack(">Q", 1 << 30)[2:].hex()
                    prefixes["repeated"], sizes["repeated"] = seen, len(seen) // 2
                    victim.wait(victim.state, 2)
                victim.wait(victim.state, 1)
            measure(kind, prefixes[kind], sizes.get(kind, options.bytes), victim)


if __name__ == "__main__":
    main()
