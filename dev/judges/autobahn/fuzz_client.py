"""Plays the Autobahn test suite against a WebSocket client and judges every case.

    fuzz_client.py --wstest PATH --out FOLDER [--tls] [--set NAME] [--shards N] -- COMMAND...

Starts Autobahn's fuzzing server on a free port, then COMMAND with the server's URL as its last argument (with `--ca FILE`
before it under TLS). COMMAND plays all cases and asks for the report. One line per case goes out, as from fuzz_server.py;
the exit code is 1 if one failed.
"""

import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys

JUDGES = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(JUDGES / "python"), str(JUDGES / "peers")]

from certificates import Certificates  # noqa: E402  (the path above has to be known first)
from fuzz_server import AGENT, DEADLINE_SECONDS, add_cases, chosen  # noqa: E402
from target import free_ports, running, with_other_ports  # noqa: E402
from verdict import judge  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wstest", required=True, help="the program `wstest` of autobahntestsuite 0.8.2")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the reports; emptied first")
    parser.add_argument("--tls", action="store_true", help="the fuzzing server speaks TLS, too")
    add_cases(parser)
    parser.add_argument("command", nargs="+", help="the client")
    arguments = parser.parse_args()
    parts, expected = chosen(arguments)
    out = arguments.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    folders = [out / str(number) for number in range(len(parts))]

    def meet(part: list[str], folder: pathlib.Path) -> int:
        return with_other_ports(lambda: play(arguments, part, folder))

    with concurrent.futures.ThreadPoolExecutor(len(parts)) as testers:
        codes = set(testers.map(meet, parts, folders))
    failures = judge(folders, AGENT, expected)
    bad = codes - {0}
    print(f"{'not ok' if bad else 'ok'} - autobahn: the client outlived all cases{f': it ended with {bad}' if bad else ''}")
    return 1 if failures or bad else 0


def play(arguments: argparse.Namespace, cases: list[str], out: pathlib.Path) -> int:
    """Lets the client meet the fuzzing server; returns the client's exit code."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)

    [port] = free_ports(1)
    settings = {"cases": cases, "exclude-cases": [], "exclude-agent-cases": {}, "outdir": str(out)}
    url, command = f"ws://127.0.0.1:{port}", arguments.command
    if arguments.tls:
        certificates = Certificates(out)
        url = f"wss://127.0.0.1:{port}"
        command = [*command, "--ca", str(certificates.ca)]
        # Its options --key and --cert lead nowhere; here they are read.
        settings |= {"key": str(certificates.key), "cert": str(certificates.cert)}
    settings_file = out / "fuzzingserver.json"
    settings_file.write_text(json.dumps(settings | {"url": url}, indent=1))
    # `-u 0`: without its web page, which would take a fixed port.
    fuzzing_server = [arguments.wstest, "-m", "fuzzingserver", "-u", "0", "-s", str(settings_file)]
    with running(fuzzing_server, [port], out / "wstest.txt"):
        return subprocess.run([*command, url], stdin=subprocess.DEVNULL, timeout=DEADLINE_SECONDS).returncode


if __name__ == "__main__":
    sys.exit(main())
