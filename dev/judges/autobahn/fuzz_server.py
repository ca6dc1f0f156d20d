"""Plays the Autobahn test suite against a WebSocket server and judges every case.

    fuzz_server.py --wstest PATH --out FOLDER -- COMMAND...     starts COMMAND, whose first line names its ws:// address
    fuzz_server.py --wstest PATH --out FOLDER --url ws://...    takes a server that runs already

With `--shards N` so many testers share the cases of a set among them, at the same time.

`wstest` ends with 0 whatever it found, so its report is what counts (see verdict.py). One line per case goes out:
`ok - autobahn 1.1.1` or `not ok - autobahn 1.1.1: ...` with a readable extract. The exit code is 1 if one case failed.
"""

import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

from target import Target  # noqa: E402  (the path above has to be known first)
from verdict import SETS, judge  # noqa: E402

AGENT = "sotong"
DEADLINE_SECONDS = 1500


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wstest", required=True, help="the program `wstest` of autobahntestsuite 0.8.2")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the reports; emptied first")
    parser.add_argument("--url", help="the address of a server that runs already")
    add_cases(parser)
    parser.add_argument("command", nargs="*", help="starts the server")
    arguments = parser.parse_args()
    if (arguments.url is None) == (not arguments.command):
        parser.error("give either --url or a command")

    parts, expected = chosen(arguments)
    out = arguments.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    if arguments.url:
        return 1 if fuzz(arguments.wstest, arguments.url, parts, out, expected) else 0
    with Target(arguments.command) as target:
        failures = fuzz(arguments.wstest, target.url, parts, out, expected)
        code = target.stop()
    if code == 0:
        print("ok - autobahn: the server outlived all cases and drained on SIGTERM")
    else:
        print(f"not ok - autobahn: the server ended with {code} after all cases, not with 0 on SIGTERM")
    return 1 if failures or code != 0 else 0


def add_cases(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--set", choices=SETS, default="base", help="which cases (default: all but compression)")
    parser.add_argument("--cases", nargs="+", help="patterns of cases, instead of a set")
    parser.add_argument("--shards", type=int, default=1, help="how many testers at the same time")


def chosen(arguments: argparse.Namespace) -> tuple[list[list[str]], int | None]:
    """The patterns for each tester, and how many cases they are in all, where that is known."""
    patterns, expected = (arguments.cases, None) if arguments.cases else SETS[arguments.set]
    parts = [patterns[shard :: arguments.shards] for shard in range(arguments.shards)]
    return [part for part in parts if part], expected


def fuzz(wstest: str, url: str, parts: list[list[str]], out: pathlib.Path, expected: int | None) -> int:
    """Lets a tester play each part, all at the same time; prints the verdicts, returns the number of failures."""
    folders = [out / str(number) for number in range(len(parts))]
    with concurrent.futures.ThreadPoolExecutor(len(parts)) as testers:
        list(testers.map(lambda part, folder: test(wstest, url, part, folder), parts, folders))
    return judge(folders, AGENT, expected)


def test(wstest: str, url: str, cases: list[str], out: pathlib.Path) -> None:
    out.mkdir(parents=True)
    settings = {
        "outdir": str(out),
        "servers": [{"agent": AGENT, "url": url}],
        "cases": cases,
        "exclude-cases": [],
        "exclude-agent-cases": {},
    }
    settings_file = out / "fuzzingclient.json"
    settings_file.write_text(json.dumps(settings, indent=1))
    # Its output is a line per step of each case; it is kept for whoever looks for the reason of a failure.
    with (out / "wstest.txt").open("wb") as log:
        subprocess.run(
            [wstest, "-m", "fuzzingclient", "-s", str(settings_file)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=out, timeout=DEADLINE_SECONDS, check=True,
        )


if __name__ == "__main__":
    sys.exit(main())
