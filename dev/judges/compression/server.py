"""Python `websockets` as the echo server, with compression. Its first line names the address; SIGTERM ends it.

    server.py OPTIONS_AS_JSON

Each fourth length comes back in three fragments.
"""

import asyncio
import contextlib
import json
import signal
import sys

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory


async def echo(socket: ServerConnection) -> None:
    # However the client ends the connection, it is the client that is judged.
    with contextlib.suppress(ConnectionClosed):
        async for message in socket:
            third = len(message) // 3
            if len(message) % 4 == 3:
                await socket.send([message[:third], message[third:2 * third], message[2 * third:]])
            else:
                await socket.send(message)


async def main(options: dict) -> None:
    deflate = ServerPerMessageDeflateFactory(**options)
    async with serve(echo, "127.0.0.1", 0, extensions=[deflate], compression=None, max_size=None) as server:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        print(f"listening on ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", flush=True)
        await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
