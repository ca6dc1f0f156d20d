"""Python `websockets` as the client of an echo server.

    python_websockets.py PREFIX URL TABLE CA_FILE

Prints `ok - NAME` or `not ok - NAME: why` for each case; the exit code is 1 if one failed.
"""

import ssl
import sys

from websockets.sync.client import ClientConnection, connect

from table import parts, payload, play, want

DEADLINE_SECONDS = 20


def comes_back(socket: ClientConnection, message: str | bytes) -> None:
    answer = socket.recv(timeout=DEADLINE_SECONDS)
    want(type(answer) is type(message), f"sent {type(message).__name__}, received {type(answer).__name__}")
    want(answer == message, f"{len(answer)} units came back, other than the {len(message)} sent")


def verbs(url: str, tls: ssl.SSLContext | None) -> dict:
    def opened() -> ClientConnection:
        return connect(url, ssl=tls, max_size=None, open_timeout=DEADLINE_SECONDS, close_timeout=DEADLINE_SECONDS)

    def echo(written: str) -> None:
        with opened() as socket:
            socket.send(payload(written))
            comes_back(socket, payload(written))

    def fragments(written: str, count: str) -> None:
        with opened() as socket:
            socket.send(parts(payload(written), int(count)))
            comes_back(socket, payload(written))

    def ping(written: str) -> None:
        with opened() as socket:
            want(socket.ping(payload(written)).wait(DEADLINE_SECONDS), "no Pong with this payload")

    def many(count: str) -> None:
        with opened() as socket:
            for number in range(int(count)):
                socket.send(str(number))
            for number in range(int(count)):
                comes_back(socket, str(number))

    def close(code: str, reason: str = "") -> None:
        with opened() as socket:
            # `websockets` always sends a code when it closes by itself, so a Close without one is made by hand.
            if code == "-":
                with socket.protocol_mutex:
                    socket.protocol.send_close()
                    socket.send_data()
                socket.recv_events_thread.join(DEADLINE_SECONDS)
            else:
                socket.close(int(code), reason)
            wanted = 1005 if code == "-" else int(code)
            want(socket.close_code == wanted, f"closed with {socket.close_code}, not {wanted}")

    return {"echo": echo, "fragments": fragments, "ping": ping, "many": many, "close": close}


def main(prefix: str, url: str, table: str, ca_file: str) -> int:
    tls = ssl.create_default_context(cafile=ca_file) if url.startswith("wss:") else None
    return play(prefix, table, verbs(url, tls))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
