#!/usr/bin/env python3
"""What somebody at the lab's cables does. Standard library only; root, in the switch's namespace.

    lab-wire.py capture FILE           writes every frame that a host sends: its length in four bytes,
                                       the lowest first, and the frame
    lab-wire.py between A B SEED       is the cable between two ports that are in no bridge; drops,
                                       delays, repeats and changes packets, with right checksums, and
                                       sends recorded ones again, also in its own name
    lab-wire.py plain INTERFACE        has the system compute checksums and cut segments by itself;
                                       in the namespace of a host

The first two say `ready` when they are, go on until SIGTERM, and then print what they did, as JSON.
"""

import array
import fcntl
import json
import random
import select
import signal
import socket
import struct
import sys

ALL, OUTGOING, FORCED_BUFFER = 3, 4, 33
STRANGER, STRANGER_MAC = bytes([10, 77, 0, 66]), bytes([2, 0, 0, 0, 0, 66])


def until_told():
    def end(*_):
        raise KeyboardInterrupt
    signal.signal(signal.SIGTERM, end)
    print("ready", flush=True)


def raw_socket(interface=None):
    # Without a protocol it hears nothing until it is bound; with one, all interfaces.
    protocol = 0 if interface else socket.htons(ALL)
    cable = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, protocol)
    cable.setsockopt(socket.SOL_SOCKET, FORCED_BUFFER, 64 << 20)
    if interface:
        cable.bind((interface, ALL))
    return cable


def capture(path):
    frames = dropped = 0
    cable = raw_socket()
    with open(path, "wb") as file:
        try:
            until_told()
            while True:
                frame, (interface, _, kind, *_) = cable.recvfrom(1 << 17)
                # What a host sends comes in at its port; the other copies are the switch's.
                if kind != OUTGOING and interface.startswith("port"):
                    file.write(struct.pack("<I", len(frame)) + frame)
                    frames += 1
        except KeyboardInterrupt:
            # PACKET_STATISTICS
            dropped = struct.unpack("II", cable.getsockopt(263, 6, 8))[1]
    print(json.dumps({"frames": frames, "dropped": dropped}))


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    # One's complement sums do not mind the order of bytes.
    total = sum(array.array("H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack("=H", total ^ 0xffff)


class Packet:
    """UDP or TCP in IPv4 in Ethernet; `payload` is where its content begins."""

    def __init__(self, frame):
        self.frame, self.kind = bytearray(frame), None
        if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[14] >> 4 != 4:
            return
        header = (frame[14] & 15) * 4
        self.end = 14 + struct.unpack_from(">H", frame, 16)[0]
        self.transport = 14 + header
        # No fragments.
        if self.end > len(frame) or struct.unpack_from(">H", frame, 20)[0] & 0x3fff:
            return
        if frame[23] == 17:
            self.kind, self.payload, self.sum = "udp", self.transport + 8, self.transport + 6
        elif frame[23] == 6 and len(frame) >= self.transport + 20:
            self.kind, self.sum = "tcp", self.transport + 16
            self.payload = self.transport + (frame[self.transport + 12] >> 4) * 4

    def content(self):
        return bytes(self.frame[self.payload:self.end])

    def replace(self, content=None, source=None):
        """Another content, as long as its own, or another sender: with the right checksums."""
        frame = bytearray(self.frame)
        if content is not None:
            frame[self.payload:self.end] = content
        if source is not None:
            frame[6:12], frame[26:30] = STRANGER_MAC, source
        frame[24:26] = b"\0\0"
        frame[24:26] = checksum(bytes(frame[14:self.transport]))
        frame[self.sum:self.sum + 2] = b"\0\0"
        pseudo = bytes(frame[26:34]) + bytes([0, frame[23]])
        pseudo += struct.pack(">H", self.end - self.transport)
        frame[self.sum:self.sum + 2] = checksum(pseudo + bytes(frame[self.transport:self.end]))
        return bytes(frame)


class Between:
    # Of a hundred packets with content; of TCP few are changed, since each costs a connection.
    RATES = {
        "udp": {"dropped": 5, "delayed": 5, "repeated": 5, "replayed": 5, "flipped": 5,
                "posed": 5},
        "tcp": {"dropped": 0.3, "delayed": 0.3, "repeated": 0.3, "flipped": 0.02,
                "replaced": 0.02},
    }
    RECORDED = 256

    def __init__(self, ports, seed):
        self.cables = [raw_socket(port) for port in ports]
        self.random = random.Random(seed)
        self.recorded = {"udp": [[], []], "tcp": [[], []]}
        self.late = []
        self.counts = {f"{kind} {what}": 0 for kind, rates in self.RATES.items() for what in rates}
        self.counts.update({"frames": 0, "answers to the stranger": 0})

    def send(self, side, frame):
        try:
            self.cables[side].send(frame)
        except OSError:
            pass

    def run(self):
        until_told()
        while True:
            ready = select.select(self.cables, [], [], 0.02)[0]
            if not ready:
                self.release()
            for cable in ready:
                side = self.cables.index(cable)
                frame, (_, _, kind, *_) = cable.recvfrom(1 << 16)
                if kind != OUTGOING:
                    self.pass_on(frame, side)

    def release(self, most=0):
        while len(self.late) > most:
            self.send(*self.late.pop(self.random.randrange(len(self.late))))

    def pass_on(self, frame, side):
        self.counts["frames"] += 1
        if self.is_for_stranger(frame, side):
            return
        packet = Packet(frame)
        to = 1 - side
        if packet.kind is None or packet.payload >= packet.end:
            return self.send(to, frame)
        for what in self.choose(packet.kind):
            frame = self.attack(what, packet, frame, side)
        if frame is not None:
            self.send(to, frame)
        self.release(most=4)
        kept = self.recorded[packet.kind][side]
        if len(kept) < self.RECORDED:
            kept.append(packet)
        else:
            kept[self.random.randrange(self.RECORDED)] = packet

    def choose(self, kind):
        number = self.random.random() * 100
        for what, rate in self.RATES[kind].items():
            number -= rate
            if number < 0:
                return [what]
        return []

    def attack(self, what, packet, frame, side):
        """What goes on in place of the packet."""
        kept = self.recorded[packet.kind]
        like = [other for other in kept[side]
                if other.end - other.payload == packet.end - packet.payload]
        if (what == "replaced" and not like) or not kept[side]:
            return frame
        self.counts[f"{packet.kind} {what}"] += 1
        if what == "dropped":
            return None
        if what == "delayed":
            self.late.append((1 - side, frame))
            return None
        if what == "repeated":
            self.send(1 - side, frame)
            return frame
        if what == "flipped":
            content = bytearray(packet.content())
            content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
            return packet.replace(content)
        if what == "replaced":
            return packet.replace(self.random.choice(like).content())
        old = self.random.choice(kept[side])
        posed = old.replace(source=STRANGER) if what == "posed" else bytes(old.frame)
        self.send(1 - side, posed)
        return frame

    def is_for_stranger(self, frame, side):
        """Answers who asks where the stranger is, and takes what goes there."""
        if frame[:6] == STRANGER_MAC:
            self.counts["answers to the stranger"] += 1
            return True
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\1" and frame[38:42] == STRANGER:
            self.send(side, frame[6:12] + STRANGER_MAC + frame[12:20] + b"\0\2" + STRANGER_MAC
                      + STRANGER + frame[22:32])
            return True
        return False


def plain(interface):
    # SIOCETHTOOL with the transmitter's checksums, TCP and general segments: off.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in (0x17, 0x1f, 0x24):
            value = array.array("B", struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
            fcntl.ioctl(any_socket, 0x8946, request + bytes(16))


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "capture":
        capture(sys.argv[2])
    elif sys.argv[1] == "plain":
        plain(sys.argv[2])
    else:
        between = Between(sys.argv[2:4], int(sys.argv[4]))
        try:
            between.run()
        except KeyboardInterrupt:
            print(json.dumps(between.counts))


if __name__ == "__main__":
    main()
