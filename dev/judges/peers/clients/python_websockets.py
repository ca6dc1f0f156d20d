"""Python `websockets` as the client of an echo server.

    python_websockets.py PREFIX URL TABLE CA_FILE

Prints `ok - NAME` or `not ok - NAME: why` for each case; the exit code is 1 if one failed.

Its asyncio client, because the threaded one reads and writes one TLS connection from two threads at once. Python before 3.13
does not guard against that: about one connection in a hundred loses what it sent, whatever the server.
"""

import asyncio
import ssl
import sys

from websockets.asyncio.client import ClientConnection, connect

from table import parts, payload, play, want

DEADLINE_SECONDS = 20


async def comes_back(socket: ClientConnection, message: str | bytes) -> None:
    answer = await socket.recv()
    want(type(answer) is type(message), f"sent {type(message).__name__}, received {type(answer).__name__}")
    want(answer == message, f"{len(answer)} units came back, other than the {len(message)} sent")


async def echo(socket: ClientConnection, written: str) -> None:
    await socket.send(payload(written))
    await comes_back(socket, payload(written))


async def fragments(socket: ClientConnection, written: str, count: str) -> None:
    await socket.send(parts(payload(written), int(count)))
    await comes_back(socket, payload(written))


async def ping(socket: ClientConnection, written: str) -> None:
    await (await socket.ping(payload(written)))


async def many(socket: ClientConnection, count: str) -> None:
    for number in range(int(count)):
        await socket.send(str(number))
    for number in range(int(count)):
        await comes_back(socket, str(number))


async def close(socket: ClientConnection, code: str, reason: str = "") -> None:
    if code == "-":
        # `websockets` always sends a code when it closes by itself, so a Close without one is made by hand.
        async with socket.send_context(expected_state=socket.protocol.state):
            socket.protocol.send_close()
        await socket.wait_closed()
    else:
        await socket.close(int(code), reason)
    wanted = 1005 if code == "-" else int(code)
    want(socket.close_code == wanted, f"closed with {socket.close_code}, not {wanted}")


def main(prefix: str, url: str, table: str, ca_file: str) -> int:
    tls = ssl.create_default_context(cafile=ca_file) if url.startswith("wss:") else None

    def on_a_connection(verb):
        async def run(*values: str) -> None:
            async with asyncio.timeout(DEADLINE_SECONDS), connect(url, ssl=tls, max_size=None) as socket:
                await verb(socket, *values)

        return lambda *values: asyncio.run(run(*values))

    verbs = {"echo": echo, "fragments": fragments, "ping": ping, "many": many, "close": close}
    return play(prefix, table, {name: on_a_connection(verb) for name, verb in verbs.items()})


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
