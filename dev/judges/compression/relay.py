"""Stands between a client and a server, passes everything on, and notes what was agreed on and which messages were compressed."""

import re
import socket
import threading
from dataclasses import dataclass

COMPRESSED, FINAL = 0x40, 0x80


@dataclass
class Direction:
    """What one side has sent."""

    compressed: int = 0
    plain: int = 0
    wire_bytes: int = 0
    head: str = ""


class Relay:
    """`with Relay("127.0.0.1", port) as relay:` takes connections at `relay.url`, and tells of the one that became a WebSocket."""

    def __init__(self, host: str, port: int):
        self.target = (host, port)
        self.directions: list[tuple[Direction, Direction]] = []

    def __enter__(self) -> "Relay":
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.sockets = []
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_failure: object) -> None:
        # A thread that waits in a call is woken by a shutdown, not by a close.
        for each in [self.listener, *self.sockets]:
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def accept(self) -> None:
        # A browser connects more often than it is asked to.
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.target)
            except OSError:
                return
            self.sockets += [near, far]
            client, server = Direction(), Direction()
            self.directions.append((client, server))
            for source, sink, direction in ((near, far, client), (far, near, server)):
                source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=pass_on, args=(source, sink, direction), daemon=True).start()

    @property
    def client(self) -> Direction:
        return self.upgraded()[0]

    @property
    def server(self) -> Direction:
        return self.upgraded()[1]

    def upgraded(self) -> tuple[Direction, Direction]:
        return next((both for both in self.directions if " 101 " in both[1].head), (Direction(), Direction()))

    def negotiated(self) -> str:
        """The one header that says it; empty if nothing was agreed on."""
        said = re.search(r"^sec-websocket-extensions:\s*(.*?)\s*$", self.server.head, re.IGNORECASE | re.MULTILINE)
        return said[1] if said else ""


def pass_on(source: socket.socket, sink: socket.socket, direction: Direction) -> None:
    reader = noting(direction)
    next(reader)
    try:
        while data := source.recv(1 << 16):
            reader.send(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # one of the two has gone; the client tells what that means


def noting(direction: Direction):
    """Reads the head of the handshake and then the headers of the frames, of what it is sent piece by piece."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += yield
    head, _, data = data.partition(b"\r\n\r\n")
    direction.head = head.decode("latin-1")
    while True:
        while len(data) < 2 or len(data) < (header := header_bytes(data)):
            data += yield
        if data[0] & 0x0F in (1, 2):
            if data[0] & COMPRESSED:
                direction.compressed += 1
            else:
                direction.plain += 1
        left = header + payload_bytes(data)
        direction.wire_bytes += left
        while left > len(data):
            left -= len(data)
            data = yield
        data = data[left:]


def header_bytes(data: bytes) -> int:
    return 2 + {126: 2, 127: 8}.get(data[1] & 0x7F, 0) + (4 if data[1] & 0x80 else 0)


def payload_bytes(data: bytes) -> int:
    short = data[1] & 0x7F
    width = {126: 2, 127: 8}.get(short, 0)
    return int.from_bytes(data[2:2 + width], "big") if width else short
