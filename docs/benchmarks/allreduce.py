#!/usr/bin/env python3
"""The all-reduce of a film over real sockets, beside MPI's. Standard library only.

    allreduce.py [N ...]      for as many nodes (4 8), each in a network namespace on a bridge

    --program MESHD   the program to measure (.build/release/meshd)
    --mpi PROGRAM     an MPI program that prints `median=SECONDS` of MPI_Allreduce over as many
                      Float32 as the film has; the one below, if there is mpicc
    --pairs K         runs of each, in turn (3)
    --rounds K        all-reduces in a run, of which the median counts (7)
    --rate MBIT       of each node's link, both ways (1000)
    --plain           without TLS, as MPI

Needs root and iproute2; for MPI's rows mpirun of Open MPI, whose segmented ring is its best for
films. Prints a row of a table for each number of nodes.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

MPI_SOURCE = r"""
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
static int ascending(const void *a, const void *b) {
    double x = *(double *)a, y = *(double *)b;
    return x < y ? -1 : x > y;
}
int main(int argc, char **argv) {
    MPI_Init(&argc, &argv);
    int rank, nodes, rounds = atoi(argv[1]);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &nodes);
    size_t count = 1920u * 1080u * 4u;
    float *own = malloc(count * 4), *sum = malloc(count * 4);
    double *times = malloc(rounds * sizeof *times);
    for (size_t i = 0; i < count; i++) own[i] = rank + 1, sum[i] = 0;
    for (int round = -1; round < rounds; round++) {  // The first is not measured.
        MPI_Barrier(MPI_COMM_WORLD);
        double start = MPI_Wtime(), mine, slowest;
        MPI_Allreduce(own, sum, count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        mine = MPI_Wtime() - start;
        MPI_Reduce(&mine, &slowest, 1, MPI_DOUBLE, MPI_MAX, 0, MPI_COMM_WORLD);
        if (round >= 0) times[round] = slowest;
    }
    qsort(times, rounds, sizeof *times, ascending);
    if (rank == 0 && sum[count - 1] == nodes * (nodes + 1) / 2)
        printf("median=%.4f\n", times[rounds / 2]);
    MPI_Finalize();
    return 0;
}
"""

# What mpirun starts in place of ssh. Open MPI tells hosts apart by their names.
AGENT = """#!/bin/sh
host=$1; shift
exec ip netns exec {prefix}-n${{host##*.}} unshare -u /bin/sh -c "hostname n${{host##*.}}; $*"
"""


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def address(number):
    return f"10.78.0.{number}"


class Lab:
    """Network namespaces on a bridge, their links shaped both ways."""

    def __init__(self, count, rate, stack):
        self.prefix, self.count = f"allreduce-{os.getpid()}", count
        hub = self.prefix + "-switch"
        run("ip", "netns", "add", hub)
        stack.callback(run, "ip", "netns", "del", hub)
        run("ip", "-n", hub, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
        run("ip", "-n", hub, "link", "set", "bridge", "up")
        shape = ["root", "tbf", "rate", f"{rate}mbit", "burst", "128k", "latency", "50ms"]
        for number in range(1, count + 1):
            host, port = self.host(number), f"port{number}"
            run("ip", "netns", "add", host)
            stack.callback(run, "ip", "netns", "del", host)
            run("ip", "-n", hub, "link", "add", port, "type", "veth",
                "peer", "name", "eth0", "netns", host)
            run("ip", "-n", hub, "link", "set", port, "master", "bridge", "up")
            run("ip", "-n", host, "link", "set", "lo", "up")
            run("ip", "-n", host, "addr", "add", f"{address(number)}/24", "dev", "eth0")
            run("ip", "-n", host, "link", "set", "eth0", "up")
            run("ip", "netns", "exec", hub, "tc", "qdisc", "add", "dev", port, *shape)
            run("ip", "netns", "exec", host, "tc", "qdisc", "add", "dev", "eth0", *shape)

    def host(self, number):
        return f"{self.prefix}-n{number}"

    def inside(self, number, *words):
        return ["ip", "netns", "exec", self.host(number), *words]


def measure_meshd(lab, options, *more):
    leader = f"{address(1)}:7700"
    plain = ["--plain"] if options.plain else []
    members = [
        subprocess.Popen(
            lab.inside(number, options.program, "bench", "net", "--join", leader, *plain),
            stdin=subprocess.DEVNULL)
        for number in range(2, lab.count + 1)]
    try:
        return json.loads(run(*lab.inside(
            1, options.program, "bench", "net", "--listen", leader, "--nodes", str(lab.count),
            "--rounds", str(options.rounds), "--rate", str(options.rate), "--json", *plain, *more)))
    finally:
        for member in members:
            member.kill()
            member.wait()


def measure_mpi(lab, options, folder):
    agent = folder + "/agent"
    with open(agent, "w") as file:
        file.write(AGENT.format(prefix=lab.prefix))
    os.chmod(agent, 0o755)
    settings = {
        "pml": "ob1", "btl": "tcp,self", "btl_tcp_if_include": "10.78.0.0/24",
        "oob_tcp_if_include": "10.78.0.0/24", "mpi_yield_when_idle": "1",
        "plm_rsh_agent": agent, "plm_rsh_no_tree_spawn": "1", "orte_keep_fqdn_hostnames": "1",
        "coll_tuned_use_dynamic_rules": "1", "coll_tuned_allreduce_algorithm": "5"}
    flags = [word for name, value in settings.items() for word in ("--mca", name, value)]
    hosts = ",".join(f"{address(number)}:1" for number in range(1, lab.count + 1))
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", *flags,
               "-np", str(lab.count), "--host", hosts, options.mpi, str(options.rounds)]
    output = subprocess.run(
        lab.inside(1, "unshare", "-u", "/bin/sh", "-c", 'hostname n1; exec "$@"', "sh", *command),
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True).stdout
    return float(re.search(r"median=([\d.]+)", output)[1])


def compile_mpi(folder):
    if not shutil.which("mpicc") or not shutil.which("mpirun"):
        return None
    with open(folder + "/allreduce.c", "w") as file:
        file.write(MPI_SOURCE)
    run("mpicc", "-O3", "-march=native", "-o", folder + "/allreduce", folder + "/allreduce.c")
    return folder + "/allreduce"


def spread(values):
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


def measure(count, options, folder):
    ours, theirs, report = [], [], None
    with contextlib.ExitStack() as stack:
        lab = Lab(count, options.rate, stack)
        for _ in range(options.pairs):
            if options.mpi:
                theirs.append(measure_mpi(lab, options, folder))
            report = measure_meshd(lab, options)
            ours.append(report["medianSeconds"])
    ratio = spread([a / b for a, b in zip(ours, theirs)]) if theirs else "not measured"
    print(f"| {count} | {spread(ours)} | {spread(theirs) if theirs else 'not measured'} | {ratio} "
          f"| {report['linkSeconds']:.3f} | {report['bytesOverRing']:.2f} "
          f"| {max(report['filmsReceived']):.2f} | {max(report['filmsSent']):.2f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("nodes", type=int, nargs="*", default=[4, 8])
    parser.add_argument("--program", default=".build/release/meshd")
    parser.add_argument("--mpi")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("network namespaces need root")
    options.program = os.path.abspath(options.program)
    with tempfile.TemporaryDirectory() as folder:
        options.mpi = os.path.abspath(options.mpi) if options.mpi else compile_mpi(folder)
        print("| nodes | meshd, s | MPI ring, s | meshd / MPI | busiest link, s "
              "| bytes / raw ring | films in | films out |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for count in options.nodes:
            measure(count, options, folder)


if __name__ == "__main__":
    main()
