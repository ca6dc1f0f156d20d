"""Plays Sotong's client, in each form, over ws and wss, against somebody else's echo server.

    servers.py CLIENT --name NAME --out FOLDER [--connect BINARY] [--can VERB]... -- COMMAND...
    servers.py CLIENT --name NAME --out FOLDER --short-texts --protocol P -- COMMAND...

CLIENT is the program of dev/judges/client. COMMAND starts the server, whose first line names its address; for wss it gets
two more arguments, the files with its certificate and its key. One line per case comes from the client. BINARY is `sotong`,
whose `sotong connect` is played, too.

With --short-texts the server is one that echoes nothing but short texts, over ws; `@PORT` in COMMAND stands for a free
port, which it is told.
"""

import argparse
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "python")]

import connect  # noqa: E402  (the path above has to be known first)
from certificates import Certificates  # noqa: E402
from target import Target, free_ports, running, with_other_ports  # noqa: E402

DEADLINE_SECONDS = 240
STYLES = ("event", "pull", "web")
SHORT_TEXTS = (
    "text", "Korean text", "characters of four bytes", "empty text", "text of 125 bytes", "text of 126 bytes", "an empty ping",
    "500 messages in order", "close 1000", "close 1000 with a reason", "close 3000 with a reason",
    "close 4999 with a Korean reason", "close with a reason of 123 bytes",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("client")
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the certificates")
    parser.add_argument("--connect", metavar="BINARY", help="the binary `sotong`")
    parser.add_argument("--can", action="append", default=[], help="what this server does when asked, besides echoing")
    parser.add_argument("--short-texts", action="store_true", help="echoes short texts only, over ws only, on a port that it is told")
    parser.add_argument("--protocol", help="the sub-protocol that the server wants")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()
    options = [part for verb in arguments.can for part in ("--can", verb)]
    options += ["--protocol", arguments.protocol] if arguments.protocol else []

    certificates = Certificates(arguments.out)
    if arguments.short_texts:
        return with_other_ports(lambda: short_texts(arguments, certificates, options))
    failures = 0
    for scheme in ("ws", "wss"):
        files = [str(certificates.cert), str(certificates.key)] if scheme == "wss" else []
        with Target([*arguments.command, *files]) as target:
            for style in STYLES:
                prefix = f"{arguments.name}, {scheme}, {style}: "
                failures += play(arguments.client, target.url, style, prefix, certificates.ca, options)
            if arguments.connect:
                failures += connect.play(f"{arguments.name}, {scheme}: ", arguments.connect, target.url, certificates.ca)
            target.stop()
    return 1 if failures else 0


def short_texts(arguments: argparse.Namespace, certificates: Certificates, options: list[str]) -> int:
    [port] = free_ports(1)
    command = [part.replace("@PORT", str(port)) for part in arguments.command]
    options = [*options, *(part for case in SHORT_TEXTS for part in ("--only", case))]
    failures = 0
    with running(command, [port], (arguments.out / "server.txt").resolve()):
        for style in ("event", "pull"):
            prefix = f"{arguments.name}, ws, {style}: "
            failures += play(arguments.client, f"ws://127.0.0.1:{port}/", style, prefix, certificates.ca, options)
    print(f"left out - {arguments.name}: wss, bytes and long messages: this server does not echo them", flush=True)
    return 1 if failures else 0


def play(client: str, url: str, style: str, prefix: str, ca: pathlib.Path, options: list[str]) -> int:
    command = [client, "table", url, "--style", style, "--prefix", prefix, "--table", str(HERE / "table.tsv"), "--ca", str(ca)]
    try:
        done = subprocess.run([*command, *options], stdin=subprocess.DEVNULL, timeout=DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"not ok - {prefix}the client did not end within {DEADLINE_SECONDS} s", flush=True)
        return 1
    if done.returncode not in (0, 1):
        print(f"not ok - {prefix}the client ended with {done.returncode}", flush=True)
    return 0 if done.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
