"""Plays somebody else's WebSocket client against `sotong echo`, in both forms, over ws and wss.

    clients.py BINARY --name NAME --out FOLDER [--ca-variable VARIABLE] [--self-signed] -- COMMAND...

COMMAND gets four more arguments: a prefix for the names of its cases, the URL, the table of cases, and the file with the
certificate of the authority that it has to trust. VARIABLE names the environment variable from which it reads that file,
if it does not take the argument; `@CA` in COMMAND stands for the file, too. With --self-signed the table is played once more
with the certificate that `--tls-self-signed` makes. One line per case comes from the client itself.
"""

import argparse
import os
import pathlib
import ssl
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "python")]

from certificates import Certificates  # noqa: E402  (the path above has to be known first)
from target import Target  # noqa: E402

DEADLINE_SECONDS = 240


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--name", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for the certificates")
    parser.add_argument("--ca-variable")
    parser.add_argument("--self-signed", action="store_true")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    certificates = Certificates(arguments.out)
    environment = dict(os.environ)
    if arguments.ca_variable:
        environment[arguments.ca_variable] = str(certificates.ca)
    command = [part.replace("@CA", str(certificates.ca)) for part in arguments.command]
    failures = 0
    for style in ("event", "pull"):
        for scheme in ("ws", "wss"):
            prefix = f"{arguments.name}, {scheme}, {style}: "
            server = [arguments.binary, "echo", "--listen", "127.0.0.1:0", "--style", style]
            if scheme == "wss":
                server += ["--tls-cert", str(certificates.cert), "--tls-key", str(certificates.key)]
            with Target(server) as target:
                failures += play(command, prefix, target.url, certificates.ca, environment)
                # Whatever the client did, the server still ends as it should.
                code = target.stop()
                print(f"{'ok' if code == 0 else 'not ok'} - {prefix}the server ends with 0 on SIGTERM{f': {code}' if code else ''}", flush=True)
                failures += code != 0
    if arguments.self_signed:
        failures += self_signed(arguments, command)
    return 1 if failures else 0


def self_signed(arguments: argparse.Namespace, command: list[str]) -> int:
    """Trusted as an authority, the server's own certificate must do in all respects: names, time, use."""
    prefix = f"{arguments.name}, wss, self-signed: "
    with Target([arguments.binary, "echo", "--listen", "127.0.0.1:0", "--tls-self-signed"]) as target:
        certificate = arguments.out / "self-signed.pem"
        certificate.write_text(ssl.get_server_certificate((target.host, target.port)))
        return play(command, prefix, target.url, certificate, dict(os.environ))


def play(command: list[str], prefix: str, url: str, ca: pathlib.Path, environment: dict[str, str]) -> int:
    try:
        done = subprocess.run(
            [*command, prefix, url, str(HERE / "table.tsv"), str(ca)],
            stdin=subprocess.DEVNULL, env=environment, timeout=DEADLINE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        print(f"not ok - {prefix}the client did not end within {DEADLINE_SECONDS} s", flush=True)
        return 1
    if done.returncode not in (0, 1):
        print(f"not ok - {prefix}the client ended with {done.returncode}", flush=True)
    return 0 if done.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
