"""Servers as child processes: one that says in its first line where it listens, and one that is told its port."""

import contextlib
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

START_DEADLINE_SECONDS = 20
STOP_DEADLINE_SECONDS = 30


class Target:
    """Starts `command`, waits for its first line, and ends it with the block: `with Target([...]) as target:`."""

    def __init__(self, command: list[str]):
        self.command = command

    def __enter__(self) -> "Target":
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        # A server that says nothing is ended, which ends the wait for its first line.
        silence = threading.Timer(START_DEADLINE_SECONDS, self.process.kill)
        silence.start()
        line = self.process.stdout.readline()
        silence.cancel()
        address = re.search(r"(wss?|https?)://(\S+?)/?$", line.strip())
        if address is None:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"{self.command}: the first line names no address: {line!r}")
        scheme = "wss" if address[1] in ("wss", "https") else "ws"
        self.url = f"{scheme}://{address[2]}"
        self.host, _, port = address[2].rpartition(":")
        self.port = int(port)
        return self

    def stop(self) -> int:
        """Ends it as an operator does and returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=STOP_DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return -signal.SIGKILL

    def __exit__(self, *_failure: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextlib.contextmanager
def running(command: list[str], ports: list[int], log: pathlib.Path, **options: object):
    """Starts a server that says nothing of use, waits until it listens on `ports`, and ends it with the block.

    What it prints goes to the file `log`; `options` are those of Popen.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=log.parent, **options)
    try:
        deadline = time.monotonic() + START_DEADLINE_SECONDS
        for port in ports:
            while not listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise DoesNotListen(f"{command[0]} does not listen on port {port}:\n{log.read_text(errors='replace')}")
                time.sleep(0.02)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class DoesNotListen(RuntimeError):
    """A server ended, or said nothing for too long. Perhaps somebody else was faster to take a port that was free."""


def with_other_ports(play, tries: int = 3):
    """Calls `play`, which chooses free ports, again if somebody else was faster to take one."""
    for tries_left in reversed(range(tries)):
        try:
            return play()
        except DoesNotListen:
            if tries_left == 0:
                raise
    raise AssertionError("unreachable")


def listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody has. All are taken at once and then let go, so that they differ."""
    with contextlib.ExitStack() as stack:
        return [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(count)]
