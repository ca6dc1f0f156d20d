"""The server under test: a child process that says in its first line where it listens."""

import re
import signal
import subprocess
import threading

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
