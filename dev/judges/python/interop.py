"""Python `websockets` as the client of `sotong echo`.

    interop.py BINARY

Prints `ok - NAME` or `not ok - NAME: why` for each case; the exit code is 1 if one failed.
"""

import asyncio
import os
import sys
import traceback
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_in_thread

from target import Target

CASE_DEADLINE_SECONDS = 30
MESSAGE_BYTES_MAX = 100_000
KOREAN = "소통은 양쪽으로 흐르는 이해다"


async def echoes(url: str, *messages: str | bytes | list) -> None:
    """Sends each message, a list in fragments, and wants each back as it was."""
    async with connect(url, max_size=None) as socket:
        for message in messages:
            await socket.send(message)
            whole = type(message[0])().join(message) if isinstance(message, list) else message
            answer = await socket.recv()
            assert answer == whole, f"sent {describe(whole)}, received {describe(answer)}"


def describe(message: str | bytes) -> str:
    return f"{type(message).__name__} of {len(message)}: {message[:40]!r}"


async def close_is_answered(url: str, code: int, reason: str) -> None:
    async with connect(url) as socket:
        await socket.close(code, reason)
        # The RFC asks for the code, not for the reason (section 5.5.1).
        assert socket.close_code == code, f"answered with {socket.close_code}"


async def ends_with(url: str, code: int, *messages: str | bytes | list) -> None:
    async with connect(url) as socket:
        try:
            for message in messages:
                await socket.send(message)
            await socket.recv()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code == code, f"{closed!r}"
            return
        raise AssertionError(f"an answer came instead of the end with {code}")


async def ping_measures(url: str) -> None:
    async with connect(url) as socket:
        for payload in (b"", b"ping", b"x" * 125):
            seconds = await (await socket.ping(payload))
            assert 0 <= seconds < 5, f"a pong after {seconds} s"


async def ping_between_fragments(url: str) -> None:
    async with connect(url) as socket:
        async def parts():
            yield "first, "
            await (await socket.ping())
            yield "last"

        await socket.send(parts())
        assert await socket.recv() == "first, last"


async def keeps_order(url: str) -> None:
    async with connect(url, max_queue=None) as socket:
        async def send():
            for number in range(2_000):
                await socket.send(str(number))

        sending = asyncio.create_task(send())
        received = [int(await socket.recv()) for _ in range(2_000)]
        await sending
        assert received == list(range(2_000))


async def hundred_at_once(url: str) -> None:
    """All 100 are open before any of them sends; then each exchanges 50 messages of its own."""
    sockets = await asyncio.gather(*(connect(url) for _ in range(100)))

    async def talk(name: int, socket) -> None:
        for number in range(50):
            message = f"{name}: message {number}" if number % 2 else f"{name}: {number}".encode() * 100
            await socket.send(message)
            answer = await socket.recv()
            assert answer == message, f"{name} received {describe(answer)}"
        await socket.close()
        assert socket.close_code == 1000

    await asyncio.gather(*(talk(name, socket) for name, socket in enumerate(sockets)))


async def slow_reader_gets_all(url: str) -> None:
    """The peer does not read for a while: the server has to wait, and must lose nothing."""
    messages = [os.urandom(64 * 1024) for _ in range(64)]
    async with connect(url, max_queue=1, max_size=None) as socket:
        sending = asyncio.create_task(send_all(socket, messages))
        # The other connection is served all the while.
        await echoes(url, "not disturbed")
        for message in messages:
            assert await socket.recv() == message
        await sending


async def send_all(socket, messages: list) -> None:
    for message in messages:
        await socket.send(message)


async def threads_work_too(url: str) -> None:
    def talk() -> None:
        with connect_in_thread(url) as socket:
            socket.send([b"one ", b"two"])
            assert socket.recv() == b"one two"
            socket.send(KOREAN)
            assert socket.recv() == KOREAN

    await asyncio.to_thread(talk)


async def foreign_origin_is_refused(url: str) -> None:
    try:
        async with connect(url, origin="http://evil.example"):
            raise AssertionError("a page of another origin was let in")
    except InvalidStatus as refusal:
        assert refusal.response.status_code == 403, refusal


async def unknown_protocol_is_not_taken(url: str) -> None:
    async with connect(url, subprotocols=["chat.v9"]) as socket:
        assert socket.subprotocol is None


async def drains(target: Target) -> None:
    sockets = await asyncio.gather(*(connect(target.url) for _ in range(20)))
    code = await asyncio.to_thread(target.stop)
    await asyncio.gather(*(socket.wait_closed() for socket in sockets))
    assert {socket.close_code for socket in sockets} == {1001}, {socket.close_code for socket in sockets}
    assert code == 0, f"the server ended with {code}"


Case = tuple[str, Callable[[], Awaitable[None]]]


def cases(target: Target, limited: Target) -> list[Case]:
    url = target.url
    return [
        ("text", lambda: echoes(url, "hello")),
        ("empty messages", lambda: echoes(url, "", b"")),
        ("Korean text", lambda: echoes(url, KOREAN, KOREAN * 10_000)),
        ("binary", lambda: echoes(url, bytes(range(256)), os.urandom(1 << 20))),
        ("text of 1 MiB", lambda: echoes(url, "a" * (1 << 20))),
        ("lengths around the borders", lambda: echoes(url, *(os.urandom(n) for n in (125, 126, 127, 65535, 65536)))),
        ("text in fragments", lambda: echoes(url, ["one, ", "two, ", "three"])),
        ("binary in 1,000 fragments", lambda: echoes(url, [os.urandom(9) for _ in range(1_000)])),
        ("empty fragments", lambda: echoes(url, ["", "some", ""])),
        ("pings come back", lambda: ping_measures(url)),
        ("a ping between fragments", lambda: ping_between_fragments(url)),
        ("2,000 messages keep their order", lambda: keeps_order(url)),
        ("100 connections at once", lambda: hundred_at_once(url)),
        ("a slow reader gets everything", lambda: slow_reader_gets_all(url)),
        ("the threaded client", lambda: threads_work_too(url)),
        ("close 1000", lambda: close_is_answered(url, 1000, "done")),
        ("close 1001", lambda: close_is_answered(url, 1001, "leaving")),
        ("close 3000", lambda: close_is_answered(url, 3000, "a library says so")),
        ("close 4999", lambda: close_is_answered(url, 4999, "the application says so")),
        ("close with a Korean reason", lambda: close_is_answered(url, 1000, "안녕히 계세요")),
        ("text that is not UTF-8 ends with 1007", lambda: ends_with_bad_text(url)),
        ("a message at the limit", lambda: echoes(limited.url, b"x" * MESSAGE_BYTES_MAX)),
        ("a message above the limit ends with 1009", lambda: ends_with(limited.url, 1009, b"x" * (MESSAGE_BYTES_MAX + 1))),
        ("fragments above the limit end with 1009", lambda: ends_with(limited.url, 1009, [b"x" * MESSAGE_BYTES_MAX, b"x"])),
        ("a page of another origin is refused", lambda: foreign_origin_is_refused(url)),
        ("a sub-protocol that nobody knows is not taken", lambda: unknown_protocol_is_not_taken(url)),
        # The last one ends the server.
        ("SIGTERM tells 20 clients 1001 and ends with 0", lambda: drains(target)),
    ]


async def ends_with_bad_text(url: str) -> None:
    async with connect(url) as socket:
        # `text=True` sends bytes in a text frame as they are.
        await socket.send(b"Hi\xff", text=True)
        try:
            await socket.recv()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None and closed.rcvd.code == 1007, f"{closed!r}"
            return
        raise AssertionError("an answer came instead of the end with 1007")


async def play(prefix: str, all_cases: list[Case]) -> int:
    failures = 0
    for name, case in all_cases:
        try:
            async with asyncio.timeout(CASE_DEADLINE_SECONDS):
                await case()
            print(f"ok - {prefix}{name}", flush=True)
        except Exception as failure:  # whatever it is, the next case is played
            failures += 1
            place = traceback.extract_tb(failure.__traceback__)[-1]
            print(f"not ok - {prefix}{name}: {type(failure).__name__} {failure} (line {place.lineno} of {os.path.basename(place.filename)})", flush=True)
    return failures


def main(binary: str) -> int:
    failures = 0
    for style in ("event", "pull"):
        command = [binary, "echo", "--listen", "127.0.0.1:0", "--style", style]
        with Target(command) as target, Target([*command, "--message-bytes-max", str(MESSAGE_BYTES_MAX)]) as limited:
            failures += asyncio.run(play(f"websockets, {style}: ", cases(target, limited)))
    return 1 if failures else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: interop.py BINARY")
    sys.exit(main(sys.argv[1]))
