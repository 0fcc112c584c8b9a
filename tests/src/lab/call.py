"""A call through rtpengine, and the two phones that talk in it: call.py NAME ADDRESS FILE

Offer and answer go to rtpengine's control port, as a proxy does it. From then on both phones send
RTP, fifty packets a second, and RTCP once a second, to the ports that rtpengine has for them at
ADDRESS; FILE says what has come to each, and from where. SIGTERM hangs up.
"""

import json
import os
import select
import signal
import socket
import struct
import sys
import time

NG = ("127.0.0.1", 2223)
PACE = 0.02
TRIES = 100
# The phones lie in the range of the media server's ports and are another user's.
PHONES = range(60001, 65000, 4)


def bencode(value):
    if isinstance(value, dict):
        pairs = b"".join(bencode(k) + bencode(v) for k, v in sorted(value.items()))
        return b"d" + pairs + b"e"
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    if isinstance(value, int):
        return b"i%de" % value
    data = value.encode()
    return b"%d:%s" % (len(data), data)


def bdecode(data, at=0):
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at : at + 1] != b"e":
            item, at = bdecode(data, at)
            items.append(item)
        return (dict(zip(items[::2], items[1::2])) if kind == b"d" else items), at + 1
    end = data.index(b":", at)
    size = int(data[at:end])
    return data[end + 1 : end + 1 + size].decode(), end + 1 + size


def ask(command, **more):
    """One request, sent again with its cookie until it is answered."""
    cookie = os.urandom(8).hex().encode()
    request = {key.replace("_", "-"): value for key, value in more.items()}
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    control.settimeout(1)
    for _ in range(TRIES):
        try:
            control.sendto(cookie + b" " + bencode({"command": command, **request}), NG)
            answer = control.recv(65535)
        except OSError:
            time.sleep(0.1)
            continue
        if answer.startswith(cookie + b" "):
            answer, _ = bdecode(answer, len(cookie) + 1)
            if answer["result"] != "ok":
                sys.exit("rtpengine refused %s: %s" % (command, answer))
            return answer
    sys.exit("rtpengine does not answer")


class Phone:
    """Two sockets of one side: media and its control, and where rtpengine takes them."""

    def __init__(self, address):
        for port in PHONES:
            self.port = port
            self.sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in "rc"]
            try:
                for offset, end in enumerate(self.sockets):
                    end.bind((address, port + offset))
                break
            except OSError:
                for end in self.sockets:
                    end.close()
        else:
            sys.exit("no port is free for a phone")
        self.address = address
        self.sent = 0
        self.came = {"rtp": 0, "rtcp": 0}

    def describe(self):
        lines = ["v=0", "o=- 1 1 IN IP4 %s" % self.address, "s=-", "c=IN IP4 %s" % self.address]
        lines += ["t=0 0", "m=audio %d RTP/AVP 8" % self.port, "a=rtpmap:8 PCMA/8000", "a=sendrecv"]
        return "\r\n".join(lines) + "\r\n"

    def learn(self, description):
        """Where the other side is to be reached: rtpengine, at two ports."""
        media = [line for line in description.splitlines() if line.startswith("m=audio ")]
        self.peer = int(media[0].split()[1])

    def talk(self):
        self.sent += 1
        head = struct.pack("!BBHII", 0x80, 8, self.sent & 0xFFFF, self.sent * 160, self.port)
        self.sockets[0].sendto(head + b"\xd5" * 160, (self.address, self.peer))
        if self.sent % 50 == 1:
            report = struct.pack("!BBHI", 0x80, 201, 1, self.port)
            self.sockets[1].sendto(report, (self.address, self.peer + 1))

    def listen(self, end):
        _, (address, port) = end.recvfrom(2048)
        kind = "rtp" if end is self.sockets[0] else "rtcp"
        if (address, port) == (self.address, self.peer + (kind == "rtcp")):
            self.came[kind] += 1


def main():
    name, address, file = sys.argv[1:]
    hung_up = []
    signal.signal(signal.SIGTERM, lambda *_: hung_up.append(True))
    caller, callee = Phone(address), Phone(address)
    same = {"call_id": name, "from_tag": "caller", "ICE": "remove"}
    callee.learn(ask("offer", sdp=caller.describe(), **same)["sdp"])
    caller.learn(ask("answer", sdp=callee.describe(), to_tag="callee", **same)["sdp"])
    phones = (caller, callee)
    owner = {end: phone for phone in phones for end in phone.sockets}
    due = time.monotonic()
    while not hung_up:
        ready, _, _ = select.select(list(owner), [], [], max(0, due - time.monotonic()))
        for end in ready:
            owner[end].listen(end)
        if time.monotonic() < due:
            continue
        due = max(due + PACE, time.monotonic())
        for phone in phones:
            phone.talk()
        told = {"caller": caller.came, "callee": callee.came}
        told["ports"] = [phone.peer + offset for phone in phones for offset in (0, 1)]
        with open(file + ".new", "w") as out:
            json.dump(told, out)
        os.replace(file + ".new", file)
    ask("delete", call_id=name, from_tag="caller", delete_delay=0)
    os.unlink(file)


main()
