"""`sotong connect` between pipes, against somebody else's echo server."""

import contextlib
import json
import pathlib
import subprocess
import threading
from typing import BinaryIO

DEADLINE_SECONDS = 30
LINES = "hello\n소통은 양쪽으로 흐르는 이해다\n\n🦑\n" + "".join(f"line {number}\n" for number in range(500))


def run(binary: str, url: str, ca: pathlib.Path, options: list[str], stdin: bytes, wanted: int, wanted_code: int = 0) -> bytes:
    """Gives it `stdin`, waits until it has printed `wanted` bytes or ended, then lets stdin end; returns what it printed.

    Stdin stays open so long because its end is a Close, and some servers answer that before what came in front of it.
    """
    tls = ["--ca", str(ca)] if url.startswith("wss:") else []
    command = [binary, "connect", url, *tls, *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline = threading.Timer(DEADLINE_SECONDS, process.kill)
        deadline.start()
        try:
            writer = threading.Thread(target=write, args=(process.stdin, stdin))
            writer.start()
            printed = process.stdout.read(wanted)
            writer.join()
            rest, errors = process.communicate()
        finally:
            deadline.cancel()
            process.kill()
    if process.returncode != wanted_code:
        raise AssertionError(f"exit code {process.returncode}, not {wanted_code}: {errors.decode(errors='replace')}")
    return printed + rest


def write(pipe: BinaryIO, content: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        pipe.write(content)
        pipe.flush()


def same(seen: object, wanted: object) -> None:
    if seen != wanted:
        raise AssertionError(f"{str(seen)[:200]} came, not {str(wanted)[:200]}")


def comes_back(binary: str, url: str, ca: pathlib.Path, options: list[str], sent: bytes, wanted: bytes) -> None:
    same(run(binary, url, ca, options, sent, len(wanted)), wanted)


def lines(*about: object) -> None:
    comes_back(*about, [], LINES.encode(), LINES.encode())


def line_of_a_mebibyte(*about: object) -> None:
    line = "통".encode() * 349_525 + b"\n"
    comes_back(*about, [], line, line)


def binary(*about: object) -> None:
    # As they came, with nothing behind them.
    comes_back(*about, ["--binary"], b"\x00\xff\x1b\n\x80\n", b"\x00\xff\x1b\x80")


def server_closes(*about: object) -> None:
    printed = run(*about, ["--json"], b"please close 3000 a library says so\n", -1, wanted_code=6)
    events = [json.loads(line) for line in printed.splitlines()]
    same([event["event"] for event in events], ["open", "close"])
    same({key: events[-1][key] for key in ("code", "reason", "first", "clean")},
         {"code": 3000, "reason": "a library says so", "first": "server", "clean": True})


CASES = {
    "lines of text": lines,
    "a line of 1 MiB": line_of_a_mebibyte,
    "binary messages": binary,
    "--json tells how the server closed": server_closes,
}


def play(prefix: str, binary_file: str, url: str, ca: pathlib.Path) -> int:
    """Returns the number of failures."""
    failures = 0
    for name, case in CASES.items():
        try:
            case(binary_file, url, ca)
            print(f"ok - {prefix}sotong connect: {name}", flush=True)
        except Exception as failure:  # whatever it is, the next case is played
            failures += 1
            print(f"not ok - {prefix}sotong connect: {name}: {type(failure).__name__} {' '.join(str(failure).split())[:500]}", flush=True)
    return failures
