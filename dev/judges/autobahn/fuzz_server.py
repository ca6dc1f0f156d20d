"""Plays the Autobahn test suite against a WebSocket server and judges every case.

    fuzz_server.py --wstest PATH --out FOLDER -- COMMAND...     starts COMMAND, whose first line names its ws:// address
    fuzz_server.py --wstest PATH --out FOLDER --url ws://...    takes a server that runs already

`wstest` ends with 0 whatever it found, so its report is what counts (see verdict.py). One line per case goes out:
`ok - autobahn 1.1.1` or `not ok - autobahn 1.1.1: ...` with a readable extract. The exit code is 1 if one case failed.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "python"))

from target import Target  # noqa: E402  (the path above has to be known first)
from verdict import judge  # noqa: E402

# Groups 12 and 13 are about permessage-deflate, which Sotong does not offer yet.
GROUPS = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"]
CASES_IN_GROUPS = 301
AGENT = "sotong"
DEADLINE_SECONDS = 600


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wstest", required=True, help="the program `wstest` of autobahntestsuite 0.8.2")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the reports; emptied first")
    parser.add_argument("--url", help="the address of a server that runs already")
    parser.add_argument("--cases", nargs="+", default=GROUPS, help="patterns of cases (default: all but compression)")
    parser.add_argument("command", nargs="*", help="starts the server")
    arguments = parser.parse_args()
    if (arguments.url is None) == (not arguments.command):
        parser.error("give either --url or a command")

    expected = CASES_IN_GROUPS if arguments.cases == GROUPS else None
    if arguments.url:
        fuzz(arguments.wstest, arguments.url, arguments.cases, arguments.out)
        return judge(arguments.out, AGENT, expected)
    with Target(arguments.command) as target:
        fuzz(arguments.wstest, target.url, arguments.cases, arguments.out)
        failures = judge(arguments.out, AGENT, expected)
        code = target.stop()
    if code == 0:
        print("ok - autobahn: the server outlived all cases and drained on SIGTERM")
    else:
        print(f"not ok - autobahn: the server ended with {code} after all cases, not with 0 on SIGTERM")
    return 1 if failures or code != 0 else 0


def fuzz(wstest: str, url: str, cases: list[str], out: pathlib.Path) -> None:
    shutil.rmtree(out, ignore_errors=True)
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
