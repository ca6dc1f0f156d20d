"""An echo server by Python `websockets`: the peer of our client.

    python_websockets.py [CERT_FILE KEY_FILE]

Its first line names the address. It echoes, except for texts that begin with `please ` (see ../table.tsv). SIGTERM ends it.
"""

import asyncio
import contextlib
import re
import signal
import ssl
import sys

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def answer(socket: ServerConnection) -> None:
    # However the client ends the connection, it is the client that judges.
    with contextlib.suppress(ConnectionClosed):
        await echo(socket)


async def echo(socket: ServerConnection) -> None:
    async for message in socket:
        asked = re.fullmatch(r"please (\w+) (\S+) ?(.*)", message, re.DOTALL) if isinstance(message, str) else None
        if asked is None:
            await socket.send(message)
        elif asked[1] == "close":
            await socket.close(int(asked[2]), asked[3])
        elif asked[1] == "ping":
            await (await socket.ping(asked[2]))
            await socket.send(f"ponged {asked[2]}")
        elif asked[1] == "fragment":
            length = -(-len(asked[3]) // int(asked[2]))
            await socket.send([asked[3][at:at + length] for at in range(0, len(asked[3]), length)])


async def main(files: list[str]) -> None:
    tls = None
    if files:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(*files)
    async with serve(answer, "127.0.0.1", 0, ssl=tls, max_size=None) as server:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"listening on {'wss' if files else 'ws'}://127.0.0.1:{port}", flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
