"""Python `websockets` as the client: plays the traffic, prints one line of JSON.

    client.py URL SEED MESSAGES OPTIONS_AS_JSON
"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from traffic import Traffic


async def play(url: str, seed: int, count: int, options: dict) -> dict:
    deflate = ClientPerMessageDeflateFactory(**({"client_max_window_bits": True} | options))
    # Without a bound on what waits: a batch is in flight before its first answer is looked at.
    async with connect(url, extensions=[deflate], compression=None, max_size=None, max_queue=None) as socket:
        traffic, answered, size = Traffic(seed), 0, 0
        for batch in traffic.batches(count):
            for message in batch:
                await socket.send(message.payload if message.parts == 1 else message.pieces())
            for message in batch:
                received = await socket.recv()
                if received != message.payload:
                    return {"failure": f"message {answered}: {type(message.payload).__name__} of {len(message.payload)} "
                                       f"came back as {type(received).__name__} of {len(received)}"}
                answered += 1
                size += message.bytes
        return {"messages": answered, "bytes": size, "state": traffic.state}


def main(url: str, seed: str, count: str, options: str) -> None:
    try:
        outcome = asyncio.run(play(url, int(seed), int(count), json.loads(options)))
    except (ConnectionClosed, OSError) as error:
        outcome = {"failure": f"{type(error).__name__}: {error}"}
    print(json.dumps(outcome))


if __name__ == "__main__":
    main(*sys.argv[1:])
