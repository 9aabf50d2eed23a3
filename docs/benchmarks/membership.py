#!/usr/bin/env python3
"""Measures the failure detector of real daemons, and of Serf beside it. Standard library only.

    membership.py detect N RUNS       until all others list a node as gone whose process is killed,
                                      and one whose cable is pulled
    membership.py loss PERCENT SECONDS N
                                      false failures while each node loses that much of its input
    membership.py stop SECONDS N      false failures while processes stop for so long, in turn
    membership.py idle N SECONDS      bytes on the wire of each node when nothing happens

    --program MESHD   the program to measure (.build/release/meshd); its daemons run without a frame
    --serf SERF       Serf, an agent per node with its LAN profile; the one in PATH unless given
    --only meshd|serf the one and not the other
    --during SECONDS  how long `stop` goes on (180)
    --mdns            D-Bus and Avahi on each host, and daemons that use them in place of --peer

Each node is a network namespace on a bridge; that needs root, iproute2 and nftables. N may be a
list such as 5,10,20. What a node thinks is read from its log; a line's time is that of its arrival
here. Prints a row of a table for each measurement.
"""

import argparse
import contextlib
import json
import os
import re
import selectors
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

# A line as soon as it is known, into files too.
sys.stdout.reconfigure(line_buffering=True)

PORT = 7700

OVERFLOW = """The kernel's table of neighbours, which all namespaces share, was full, so that packets
were lost: the figures count for nothing. Run fewer labs at once (N nodes take N × N places of
net.ipv4.neigh.default.gc_thresh3)."""

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={0}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""
AVAHI = """[server]
host-name={0}
use-ipv4=yes
use-ipv6=no
allow-interfaces=eth0
[publish]
publish-hinfo=no
publish-workstation=no
"""
# `ip netns exec` gives each program mounts of its own, so another /run is seen by this Avahi only.
START_AVAHI = """mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon &&
mount --bind "$0/services" /etc/avahi/services &&
exec avahi-daemon -f "$0/avahi.conf" --no-drop-root --no-chroot --no-rlimits"""


class Meshd:
    label = "meshd"
    # Of a line of the log: who came, went or is suspected.
    patterns = {
        "joined": re.compile(r"(n\d+) (?:\([^)]*\) joined|is back)$"),
        "gone": re.compile(r"(n\d+) (?:is gone|left)$"),
        "suspected": re.compile(r"(n\d+) does not answer$"),
    }

    def __init__(self, program, mdns):
        self.program, self.mdns, self.code = os.path.abspath(program), mdns, None
        if mdns:
            self.label += ", mDNS"

    def command(self, host, folder):
        # The first two are everybody's introduction, and each other's.
        peer = 2 if host.number == 1 else 1
        self.admit(folder + "/state")
        discovery = [] if self.mdns else ["--no-mdns", "--peer", f"{address(peer)}:{PORT}"]
        return [self.program, "up", "--name", host.name, "--listen", f"{host.address}:{PORT}",
                "--threads", "1", "--state", folder + "/state", *discovery]


    def admit(self, state):
        """Puts a node into the mesh, which the first one makes."""
        if os.path.exists(state + "/mesh-key"):
            return
        words = ["init"] if self.code is None else ["join", "-"]
        done = subprocess.run([self.program, *words, "--state", state], input=self.code,
                              check=True, capture_output=True, text=True)
        self.code = self.code or done.stdout


class Serf:
    label = "Serf"
    patterns = {
        "joined": re.compile(r"EventMemberJoin: (n\d+) "),
        "gone": re.compile(r"EventMember(?:Failed|Leave): (n\d+) "),
        "suspected": re.compile(r"memberlist: Suspect (n\d+) "),
    }

    def __init__(self, program):
        self.program = program

    def command(self, host, folder):
        join = [] if host.number == 1 else [
            f"-retry-join={address(1)}:{PORT}", "-retry-interval=1s"]
        return [self.program, "agent", f"-node={host.name}", f"-bind={host.address}:{PORT}",
                "-rpc-addr=127.0.0.1:7373", "-profile=lan", "-log-level=debug", *join]


def address(number):
    return f"10.78.0.{number}"


def run(*words):
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


class Host:
    """A network namespace with a cable to the switch, and the process that is its node."""

    def __init__(self, lab, number):
        self.lab, self.number = lab, number
        self.name, self.address = f"n{number}", address(number)
        self.namespace = f"{lab.prefix}-{self.name}"
        self.folder = f"{lab.folder}/{self.name}"
        # Whom it lists as present; its own name is not among them.
        self.view, self.process, self.services = set(), None, []
        os.makedirs(self.folder + "/services")
        hub = lab.hub
        run("ip", "netns", "add", self.namespace)
        lab.stack.callback(run, "ip", "netns", "del", self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        run("ip", "-n", hub, "link", "add", f"port{number}", "type", "veth",
            "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "-n", hub, "link", "set", f"port{number}", "master", "bridge", "up")
        run("ip", "-n", self.namespace, "addr", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self.namespace, "link", "set", "eth0", "up")
        # Multicast goes where no route is, too.
        run("ip", "-n", self.namespace, "route", "add", "default", "dev", "eth0")

    def spawn(self, command, **options):
        environment = dict(
            os.environ, MESHD_LOG="info", HOME=self.folder,
            DBUS_SYSTEM_BUS_ADDRESS=f"unix:path={self.folder}/bus")
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *command], env=environment,
            stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, **options)
        self.lab.stack.callback(process.wait)
        self.lab.stack.callback(process.kill)
        return process

    def start_services(self):
        with open(self.folder + "/dbus.conf", "w") as file:
            file.write(BUS.format(self.folder))
        with open(self.folder + "/avahi.conf", "w") as file:
            file.write(AVAHI.format(self.name))
        self.spawn(["dbus-daemon", f"--config-file={self.folder}/dbus.conf", "--nofork",
                    "--nopidfile", "--nosyslog"], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not os.path.exists(self.folder + "/bus"):
            if time.monotonic() > deadline:
                sys.exit("D-Bus does not start")
            time.sleep(0.05)
        self.spawn(["/bin/sh", "-c", START_AVAHI, self.folder], stdout=subprocess.DEVNULL)

    def start(self):
        self.view = set()
        self.process = self.spawn(
            self.lab.kind.command(self, self.folder), stdout=subprocess.PIPE, bufsize=0)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.lab.pipes.register(self.process.stdout, selectors.EVENT_READ, [self, b""])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def cable(self, state):
        run("ip", "-n", self.lab.hub, "link", "set", f"port{self.number}", state)

    def lose(self, percent):
        rules = ("add table inet loss; "
                 "add chain inet loss input { type filter hook input priority 0; }; "
                 f"add rule inet loss input iifname eth0 numgen random mod 100 < {percent} drop")
        run("ip", "netns", "exec", self.namespace, "nft", rules)

    def traffic(self):
        """Bytes of Ethernet frames, and frames: received and sent."""
        counters = json.loads(run("ip", "-n", self.namespace, "-s", "-j", "link", "show", "eth0"))
        figures = counters[0]["stats64"]
        return [figures[way][what] for way in ("rx", "tx") for what in ("bytes", "packets")]


class Lab:
    """A mesh of N nodes that know each other; `events` has (time, observer, kind, subject)."""

    def __init__(self, kind, count, stack):
        self.kind, self.stack = kind, stack
        self.prefix = f"membership-{os.getpid()}"
        self.hub = self.prefix + "-switch"
        self.folder = stack.enter_context(tempfile.TemporaryDirectory())
        self.pipes, self.events = selectors.DefaultSelector(), []
        run("ip", "netns", "add", self.hub)
        stack.callback(run, "ip", "netns", "del", self.hub)
        run("ip", "-n", self.hub, "link", "add", "bridge", "type", "bridge", "mcast_snooping", "0")
        run("ip", "-n", self.hub, "link", "set", "bridge", "up")
        self.hosts = [Host(self, number) for number in range(1, count + 1)]
        if getattr(kind, "mdns", False):
            for host in self.hosts:
                host.start_services()
            self.watch(5)
        for host in self.hosts:
            host.start()
        self.await_whole()

    def watch(self, seconds, until=lambda: False):
        """Reads the logs for so long; whether `until` came true, which ends it."""
        deadline = time.monotonic() + seconds
        while not until():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in self.pipes.select(left):
                chunk = key.fileobj.read(1 << 16)
                if chunk:
                    self.take(key.data, chunk)
                elif chunk == b"":
                    self.pipes.unregister(key.fileobj)
        return True

    def take(self, pipe, chunk):
        host, now = pipe[0], time.monotonic()
        *lines, pipe[1] = (pipe[1] + chunk).split(b"\n")
        for line in lines:
            for kind, pattern in self.kind.patterns.items():
                match = pattern.search(line.decode(errors="replace").rstrip())
                if not match or match[1] == host.name:
                    continue
                self.events.append((now, host.name, kind, match[1]))
                if kind == "joined":
                    host.view.add(match[1])
                elif kind == "gone":
                    host.view.discard(match[1])

    def await_whole(self):
        others = len(self.hosts) - 1
        if not self.watch(90, lambda: all(len(host.view) == others for host in self.hosts)):
            sys.exit(f"{self.kind.label}: the nodes do not find each other: "
                     + ", ".join(f"{host.name} sees {len(host.view)}" for host in self.hosts))

    def await_absence(self, victim):
        """Until all others list it as gone; the seconds until the first and the last of them."""
        start, begin = time.monotonic(), len(self.events)
        others = [host for host in self.hosts if host is not victim]
        if not self.watch(90, lambda: all(victim.name not in host.view for host in others)):
            sys.exit(f"{self.kind.label}: {victim.name} is not missed by all within 90 s")
        times = [instant - start for instant, observer, kind, subject in self.events[begin:]
                 if kind == "gone" and subject == victim.name and observer != victim.name]
        return min(times), max(times)

    def false_failures(self, begin):
        """What was said since `begin`: failures, members concerned, and suspicions."""
        events = self.events[begin:]
        failures = [event for event in events if event[2] == "gone"]
        victims = sorted({event[3] for event in failures}, key=lambda name: int(name[1:]))
        return len(failures), victims, sum(event[2] == "suspected" for event in events)


def neighbours_refused():
    """How often the kernel had no room for a neighbour's hardware address, since it started."""
    with open("/proc/net/stat/arp_cache") as file:
        title, *processors = file.read().split("\n")
    column = title.split().index("table_fulls")
    return sum(int(line.split()[column], 16) for line in processors if line)


def spread(values):
    values = sorted(values)
    return f"{statistics.median(values):.2f} ({values[0]:.2f}–{values[-1]:.2f})"


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def detect(lab, runs):
    killed, cut = [], []
    for number in range(runs):
        victim = lab.hosts[1 + number * 3 % (len(lab.hosts) - 1)]
        # Whatever the others' timers do: each run meets them at another time.
        lab.watch(2 + number * 0.37 % 1)
        victim.kill()
        killed.append(lab.await_absence(victim))
        victim.start()
        lab.await_whole()
        lab.watch(2 + number * 0.61 % 1)
        victim.cable("down")
        cut.append(lab.await_absence(victim))
        victim.cable("up")
        lab.await_whole()
    return runs, *(spread([times[end] for times in case])
                   for case in (killed, cut) for end in (0, 1))


def loss(lab, percent, seconds):
    for host in lab.hosts:
        host.lose(percent)
    before, begin = [host.traffic() for host in lab.hosts], len(lab.events)
    lab.watch(seconds)
    sent = [(host.traffic()[2] - old[2]) / seconds for host, old in zip(lab.hosts, before)]
    failures, victims, suspicions = lab.false_failures(begin)
    return (f"{percent} % for {seconds:g} s", failures, ", ".join(victims) or "–", suspicions,
            f"{statistics.median(sent):.0f}")


def stop(lab, pause, during):
    begin, end, stops = len(lab.events), time.monotonic() + during, 0
    while time.monotonic() < end:
        host = lab.hosts[stops * 3 % len(lab.hosts)]
        host.process.send_signal(signal.SIGSTOP)
        lab.watch(pause)
        host.process.send_signal(signal.SIGCONT)
        lab.watch(8.3)
        stops += 1
    failures, victims, suspicions = lab.false_failures(begin)
    return f"{stops} × {pause:g} s", failures, ", ".join(victims) or "–", suspicions


def idle(lab, seconds):
    # The first comparison of views, and what the kernel and Avahi say of themselves, are over.
    lab.watch(20)
    before, start = [host.traffic() for host in lab.hosts], time.monotonic()
    lab.watch(seconds)
    after, duration = [host.traffic() for host in lab.hosts], time.monotonic() - start
    rates = [[(new - old) / duration for new, old in zip(*pair)] for pair in zip(after, before)]
    return (f"{seconds:g}",
            *(f"{statistics.median(node[what] for node in rates):.0f} "
              f"({max(node[what] for node in rates):.0f})" for what in (2, 0)),
            f"{statistics.median(node[3] for node in rates):.1f}")


TESTS = {
    "detect": (detect, ["N", "RUNS"], [
        "", "nodes", "runs", "process killed: first, s", "all, s", "cable pulled: first, s",
        "all, s"]),
    "loss": (loss, ["PERCENT", "SECONDS", "N"], [
        "", "nodes", "input lost", "false failures", "of", "suspicions", "bytes/s sent"]),
    "stop": (stop, ["SECONDS", "N"], [
        "", "nodes", "stops", "false failures", "of", "suspicions"]),
    "idle": (idle, ["N", "SECONDS"], [
        "", "nodes", "s", "bytes/s sent, median (most)", "received", "frames/s sent"]),
}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("test", choices=TESTS)
    parser.add_argument("figures", nargs="+")
    parser.add_argument("--program", default=".build/release/meshd")
    parser.add_argument("--serf", default=shutil.which("serf"))
    parser.add_argument("--only", choices=["meshd", "serf"])
    parser.add_argument("--during", type=float, default=180)
    parser.add_argument("--mdns", action="store_true")
    options = parser.parse_args()
    measure, names, titles = TESTS[options.test]
    if len(names) != len(options.figures):
        parser.error(f"{options.test} takes {' '.join(names)}")
    figures = dict(zip(names, options.figures))
    rest = {
        "detect": lambda: [int(figures["RUNS"])],
        "loss": lambda: [int(figures["PERCENT"]), float(figures["SECONDS"])],
        "stop": lambda: [float(figures["SECONDS"]), options.during],
        "idle": lambda: [float(figures["SECONDS"])],
    }[options.test]()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    # A signal ends it as an error does: with the lab removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kinds = []
    if options.only != "serf":
        kinds.append(Meshd(options.program, options.mdns))
    if options.only != "meshd" and options.serf and not options.mdns:
        kinds.append(Serf(options.serf))
    row(*titles)
    row(*("---" for _ in titles))
    for count in map(int, figures["N"].split(",")):
        for kind in kinds:
            refused = neighbours_refused()
            with contextlib.ExitStack() as stack:
                cells = measure(Lab(kind, count, stack), *rest)
            if neighbours_refused() > refused:
                sys.exit(OVERFLOW)
            row(kind.label, count, *cells)


if __name__ == "__main__":
    main()
