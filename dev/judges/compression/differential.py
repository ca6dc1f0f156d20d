"""Plays the same random traffic between Sotong and somebody else's WebSocket, compressed, in both directions.

    differential.py PEER --binary SOTONG --client JUDGED_CLIENT [--messages N] [--seed N] [--all]

PEER is python, ws, bun or chromium; `--runtime PATH` starts it (Python's interpreter, node, bun; for chromium node, and CHROMIUM
names the browser). Each row of the peer's table is a connection with settings of its own for both sides. What they agree on is
read from the wire, and has to be what the row says; so do the messages that were compressed. Without --all only the rows
that are marked as fast are played. A failure is repeated by the seed that stands in its line.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "python")]

from relay import Direction, Relay  # noqa: E402  (the path above has to be known first)
from rows import CLIENTS, SERVERS, Row  # noqa: E402
from target import Target  # noqa: E402
from traffic import Traffic  # noqa: E402

DEADLINE_SECONDS = 300


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=sorted(CLIENTS))
    parser.add_argument("--binary", required=True, help="the binary `sotong`")
    parser.add_argument("--client", required=True, help="the program of dev/judges/client")
    parser.add_argument("--runtime", required=True, help="what starts the peer")
    parser.add_argument("--messages", type=int, default=250, help="how many on each connection")
    parser.add_argument("--seed", type=int, default=7692)
    parser.add_argument("--role", choices=("client", "server"), help="only this role of the peer")
    parser.add_argument("--all", action="store_true", help="all rows, not only the fast ones")
    arguments = parser.parse_args()
    failures = 0
    for role, table, play in (("client", CLIENTS, peer_is_client), ("server", SERVERS, peer_is_server)):
        rows = [row for row in table.get(arguments.peer, []) if row.fast or arguments.all]
        if arguments.role not in (None, role):
            continue
        for number, row in enumerate(rows):
            # Odd rows have another seed and the other form of the library.
            failures += judge(arguments, role, row, play, arguments.seed + number, ("event", "pull")[number % 2])
    return 1 if failures else 0


def judge(arguments: argparse.Namespace, role: str, row: Row, play, seed: int, style: str) -> int:
    name = f"{arguments.peer} as {role}, {' '.join(f'{key}={value}' for key, value in row.options.items()) or 'its defaults'}, " \
           f"sotong {' '.join(row.sotong)}, {style}"
    try:
        outcome, relay = play(arguments, row, seed, style)
        problem = outcome.get("failure") or deviation(outcome, relay, role, row, arguments.messages, seed)
    except (subprocess.SubprocessError, RuntimeError, ValueError) as error:
        problem = str(error)
    if problem:
        print(f"not ok - {name}: {problem} (--seed {seed})", flush=True)
        return 1
    counts = ", ".join(f"{who} {share(side, outcome)}" for who, side in (("client", relay.client), ("server", relay.server)))
    print(f"ok - {name}: {relay.negotiated()}; {outcome['messages']} messages of {outcome['bytes']} bytes; {counts}", flush=True)
    return 0


def share(side: Direction, outcome: dict) -> str:
    return f"compressed {side.compressed} to {100 * side.wire_bytes // max(1, outcome['bytes'])} %"


def deviation(outcome: dict, relay: Relay, role: str, row: Row, messages: int, seed: int) -> str:
    """What is not as it has to be; empty if nothing."""
    traffic = Traffic(seed)
    for _ in traffic.batches(messages):
        pass
    if (outcome["messages"], outcome["state"]) != (messages, traffic.state):
        return f"{outcome['messages']} messages to state {outcome['state']} were played, not {messages} to {traffic.state}"
    # The order of parameters means nothing.
    if sorted(relay.negotiated().split("; ")) != sorted(row.negotiated.split("; ")):
        return f"agreed on {relay.negotiated()!r}, not {row.negotiated!r}"
    for who, side in (("client", relay.client), ("server", relay.server)):
        if side.compressed + side.plain != messages:
            return f"the {who} sent {side.compressed + side.plain} messages, not {messages}"
        # A quarter of the traffic cannot get smaller, and a peer may leave out what is small, as Bun does.
        if side.compressed < messages // 8:
            return f"the {who} compressed {side.compressed} of {messages} messages"
    return ""


def peer_is_client(arguments: argparse.Namespace, row: Row, seed: int, style: str) -> tuple[dict, Relay]:
    command = [arguments.binary, "echo", "--listen", "127.0.0.1:0", "--style", style, *row.sotong, "--compress-from", "0"]
    with Target(command) as target:
        with Relay(target.host, target.port) as relay:
            script = {"python": "client.py", "chromium": "chromium.mjs"}.get(arguments.peer, "client.mjs")
            outcome = run([arguments.runtime, str(HERE / script), relay.url, str(seed), str(arguments.messages), json.dumps(row.options)],
                          arguments.peer)
        if code := target.stop():
            outcome.setdefault("failure", f"sotong echo ended with {code}")
    return outcome, relay


def peer_is_server(arguments: argparse.Namespace, row: Row, seed: int, style: str) -> tuple[dict, Relay]:
    script = "server.py" if arguments.peer == "python" else "server.mjs"
    with Target([arguments.runtime, str(HERE / script), json.dumps(row.options)]) as target:
        with Relay(target.host, target.port) as relay:
            outcome = run([arguments.client, "traffic", relay.url, "--style", style, *row.sotong,
                           "--seed", str(seed), "--messages", str(arguments.messages)], "")
    return outcome, relay


def run(command: list[str], peer: str) -> dict:
    environment = os.environ | ({"NPM_WS": "1"} if peer == "ws" else {})
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=DEADLINE_SECONDS, env=environment)
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        raise RuntimeError(f"the client ended with {done.returncode}: {' | '.join(lines[-3:])}")
    return json.loads(lines[-1])


if __name__ == "__main__":
    sys.exit(main())
