"""libcurl, by the PyPI package curl-cffi, as the client of an echo server.

    curl.py PREFIX URL TABLE CA_FILE

Prints `ok - NAME` or `not ok - NAME: why` for each case; the exit code is 1 if one failed.
"""

import select
import struct
import sys
import time

from curl_cffi import Curl, CurlError, CurlInfo, CurlOpt
from curl_cffi.const import CurlECode, CurlWsFlag

from table import parts, payload, play, want

CLOSE_CODE = struct.Struct("!H")
DEADLINE_SECONDS = 20


class Peer:
    """A connection by libcurl's own calls: the package's WebSocket object leaves empty messages and Pongs out."""

    def __init__(self, url: str, ca_file: str):
        self.curl = Curl()
        self.curl.setopt(CurlOpt.URL, url.encode())
        self.curl.setopt(CurlOpt.CONNECT_ONLY, 2)
        self.curl.setopt(CurlOpt.CAINFO, ca_file.encode())
        self.curl.setopt(CurlOpt.TIMEOUT, DEADLINE_SECONDS)
        self.curl.perform()
        self.socket = self.curl.getinfo(CurlInfo.ACTIVESOCKET)
        self.deadline = time.monotonic() + DEADLINE_SECONDS

    def send_frame(self, content: bytes, flags: int) -> None:
        while True:
            try:
                sent = self.curl.ws_send(content, flags)
            except CurlError as full:
                self.wait(full, for_room=True)
                continue
            content = content[sent:]
            if not content:
                return

    def receive(self) -> tuple[bytes, int]:
        """A whole message or control frame, and its kind."""
        content = b""
        while True:
            try:
                chunk, frame = self.curl.ws_recv()
            except CurlError as nothing_yet:
                self.wait(nothing_yet, for_room=False)
                continue
            content += chunk
            if frame.bytesleft == 0 and not frame.flags & CurlWsFlag.CONT:
                return content, frame.flags

    def wait(self, error: CurlError, for_room: bool) -> None:
        if error.code != CurlECode.AGAIN:
            raise error
        want(time.monotonic() < self.deadline, f"not done after {DEADLINE_SECONDS} s")
        # A record that was decrypted already is not seen on the socket, hence the short wait.
        select.select([] if for_room else [self.socket], [self.socket] if for_room else [], [], 0.05)

    def send(self, message: str | bytes, more: bool = False) -> None:
        kind = CurlWsFlag.TEXT if isinstance(message, str) else CurlWsFlag.BINARY
        self.send_frame(message.encode() if isinstance(message, str) else message, kind | (CurlWsFlag.CONT if more else 0))

    def comes_back(self, message: str | bytes) -> None:
        content, flags = self.receive()
        want(not flags & CurlWsFlag.CLOSE, f"closed with {content!r} instead of an answer")
        want(flags & (CurlWsFlag.TEXT if isinstance(message, str) else CurlWsFlag.BINARY), f"the answer has the flags {flags}")
        wanted = message.encode() if isinstance(message, str) else message
        want(content == wanted, f"{len(content)} bytes came back, other than the {len(wanted)} sent")

    def end(self, code: int | None, reason: str = "") -> None:
        body = b"" if code is None else CLOSE_CODE.pack(code) + reason.encode()
        self.send_frame(body, CurlWsFlag.CLOSE)
        content, flags = self.receive()
        want(flags & CurlWsFlag.CLOSE, f"{content[:40]!r} came in the place of Close")
        want(content[:2] == body[:2], f"the answer to Close is {content!r}")
        self.curl.close()


def verbs(url: str, ca_file: str) -> dict:
    def echo(written: str) -> None:
        peer = Peer(url, ca_file)
        peer.send(payload(written))
        peer.comes_back(payload(written))
        peer.end(1000)

    def fragments(written: str, count: str) -> None:
        peer = Peer(url, ca_file)
        pieces = parts(payload(written), int(count))
        for number, part in enumerate(pieces, start=1):
            peer.send(part, more=number < len(pieces))
        peer.comes_back(payload(written))
        peer.end(1000)

    def ping(written: str) -> None:
        peer = Peer(url, ca_file)
        peer.send_frame(payload(written).encode(), CurlWsFlag.PING)
        content, flags = peer.receive()
        want(flags & CurlWsFlag.PONG, f"{content[:40]!r} came in the place of a Pong")
        want(content == payload(written).encode(), f"the Pong carries {content!r}")
        peer.end(1000)

    def many(count: str) -> None:
        peer = Peer(url, ca_file)
        for number in range(int(count)):
            peer.send(str(number))
        for number in range(int(count)):
            peer.comes_back(str(number))
        peer.end(1000)

    def close(code: str, reason: str = "") -> None:
        Peer(url, ca_file).end(None if code == "-" else int(code), reason)

    return {"echo": echo, "fragments": fragments, "ping": ping, "many": many, "close": close}


def main(prefix: str, url: str, table: str, ca_file: str) -> int:
    return play(prefix, table, verbs(url, ca_file))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
