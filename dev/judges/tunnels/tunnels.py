"""`sotong connect`, and with it the library's client, through a real proxy: tinyproxy or squid (HTTP), dante or microsocks
(SOCKS5).

    tunnels.py tinyproxy|squid|dante|microsocks --binary BINARY

BINARY is `sotong`, which is at both ends: `sotong echo` behind the proxy, `ws` and `wss`. Prints `ok - NAME` or
`not ok - NAME: why` for each case; the exit code is 1 if one failed.
"""

import argparse
import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "python"), str(HERE.parent / "peers")]

import configuration  # noqa: E402  (the path above has to be known first)
import connect  # noqa: E402
from certificates import Certificates  # noqa: E402
from configuration import PASSWORD, TINYPROXY_PASSWORD, USER  # noqa: E402
from target import Target, free_ports, running, with_other_ports  # noqa: E402

DEADLINE_SECONDS = 30
PROXY_VARIABLES = [name for kind in ("http", "https", "all", "no") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())]
WITH_LOGIN = {"tinyproxy", "squid", "microsocks"}
# A name for this machine that the client does not know to be one: it has to be resolved at the proxy.
NAME = socket.gethostname()


class Scene:
    """The proxy, and what is behind it."""

    def __init__(self, kind: str, binary: str, folder: pathlib.Path):
        self.kind, self.binary, self.folder = kind, binary, folder
        self.certificates = Certificates(folder)
        self.wrappers = 0
        self.is_http = kind in ("tinyproxy", "squid")
        self.password = TINYPROXY_PASSWORD if kind == "tinyproxy" else PASSWORD

    def command(self) -> list[str]:
        """How the proxy is started, with its own configuration. The servers are there already, so its ports are not theirs."""
        self.port, self.tls_port, self.nobody, self.forbidden = free_ports(4)
        # tinyproxy and squid have lists of what is allowed, dante one of what is not.
        allowed = [self.plain.port, self.secure.port, self.nobody]
        file = self.folder / "configuration"
        if self.kind == "tinyproxy":
            file.write_text(configuration.tinyproxy(self.port, allowed))
            return [which("tinyproxy"), "-d", "-c", str(file)]
        if self.kind == "squid":
            file.write_text(configuration.squid(self.port, self.tls_port, allowed, self.folder, self.certificates.both))
            return [which("squid"), "-N", "-f", str(file)]
        if self.kind == "dante":
            file.write_text(configuration.dante(self.port, self.forbidden))
            return [which("danted"), "-f", str(file)]
        return [which("microsocks"), "-i", "127.0.0.1", "-p", str(self.port), "-u", USER, "-P", self.password]

    def ports(self) -> list[int]:
        return [self.port, self.tls_port] if self.kind == "squid" else [self.port]

    def proxy(self, password: str | None = "", scheme: str = "", port: int = 0) -> str:
        """The proxy's URL, with the right password or another one, or without a login."""
        password = self.password if password == "" else password
        scheme = scheme or ("http" if self.is_http else "socks5")
        login = "" if password is None or self.kind not in WITH_LOGIN else f"{USER}:{urllib.parse.quote(password, safe='')}@"
        return f"{scheme}://{login}{'localhost' if scheme == 'https' else '127.0.0.1'}:{port or self.port}"

    def wrapped(self, options: list[str]) -> str:
        """A program that is `sotong` with these options behind those that it is given: the table's cases have their own."""
        self.wrappers += 1
        file = self.folder / f"sotong-{self.wrappers}"
        quoted = " ".join(map(shlex.quote, options))
        file.write_text(f'#!/bin/sh\nexec {shlex.quote(self.binary)} "$@" {quoted}\n')
        file.chmod(0o755)
        return str(file)

    def fails(self, url: str, options: list[str], code: int, *words: str) -> None:
        done = subprocess.run([self.binary, "connect", url, "--ca", self.certificates.ca, *options], input=b"hello\n",
                              capture_output=True, timeout=DEADLINE_SECONDS, env=environment())
        told = done.stderr.decode()
        assert done.returncode == code, f"exit code {done.returncode}, not {code}: {told}"
        for word in words:
            assert word in told, f"{word!r} is not in {told!r}"
        for secret in (self.password, urllib.parse.quote(self.password, safe="")):
            assert secret not in told, f"the password is told: {told}"


def which(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise RuntimeError(f"{program} is not installed")
    return found


def environment(**variables: str) -> dict[str, str]:
    """Without the proxies of whoever runs the judge."""
    return {name: value for name, value in os.environ.items() if name not in PROXY_VARIABLES} | variables


def talks(scene: Scene, url: str, options: list[str]) -> None:
    for case in (connect.lines, connect.line_of_a_mebibyte, connect.binary):
        case(scene.wrapped(options), url, scene.certificates.ca)


def through_the_environment(scene: Scene, url: str, variable: str) -> None:
    """The name is the server's, for which no proxy is left out; the proxy finds out where it leads."""
    done = subprocess.run([scene.binary, "connect", url, "--ca", scene.certificates.ca, "--danger-accept-any-certificate", "--quiet"],
                          input=b"hello\n", capture_output=True, timeout=DEADLINE_SECONDS, env=environment(**{variable: scene.proxy()}))
    assert (done.returncode, done.stdout) == (0, b"hello\n"), f"{done.returncode}: {done.stderr.decode()}"


def wrong_logins(scene: Scene) -> None:
    refused = ["it wants a user name and a password"] if scene.is_http else ["does not take this user name and password"]
    scene.fails(scene.plain.url, ["--proxy", scene.proxy("wrong")], 4, "proxy ", *refused)
    refused = ["407 "] if scene.is_http else ["no user name is set"]
    scene.fails(scene.plain.url, ["--proxy", scene.proxy(None)], 4, "proxy ", *refused)


def password_from_a_file(scene: Scene) -> None:
    file = scene.folder / "proxy-url"
    file.write_text(scene.proxy() + "\n")
    talks(scene, scene.plain.url, ["--proxy", f"@{file}"])


def nobody_listens(scene: Scene) -> None:
    # tinyproxy says 500 for that, squid 503.
    words = ["it answered 50"] if scene.is_http else ["it could not connect: connection refused"]
    scene.fails(f"ws://127.0.0.1:{scene.nobody}/", ["--proxy", scene.proxy()], 4, "proxy ", *words)


def no_such_host(scene: Scene) -> None:
    words = ["it answered 50"] if scene.is_http else ["it could not connect: "]
    scene.fails(f"ws://nobody.invalid:{scene.nobody}/", ["--proxy", scene.proxy()], 4, "proxy ", *words)


def forbidden_port(scene: Scene) -> None:
    words = ["it answered 403 "] if scene.is_http else ["it could not connect: not allowed by its rules"]
    scene.fails(f"ws://127.0.0.1:{scene.forbidden}/", ["--proxy", scene.proxy()], 4, "proxy ", *words)


def comes_back_when_the_proxy_does(scene: Scene, restart) -> None:
    """The proxy is killed and started again; the client, which stays connected, says so and goes on."""
    command = [scene.binary, "connect", scene.plain.url, "--proxy", scene.proxy(), "--reconnect", "--wait", "forever"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=environment()) as client:
        deadline = threading.Timer(DEADLINE_SECONDS, client.kill)
        deadline.start()
        try:
            told = [client.stderr.readline()]
            client.stdin.write("one\n")
            client.stdin.flush()
            assert client.stdout.readline() == "one\n", told
            restart()
            while "connected to" not in told[-1] or len(told) == 1:
                told.append(client.stderr.readline())
                assert told[-1], f"it ended: {told}"
            client.stdin.write("two\n")
            client.stdin.flush()
            assert client.stdout.readline() == "two\n", told
            client.send_signal(signal.SIGINT)
            client.wait()
        finally:
            deadline.cancel()
            client.kill()


def cases(scene: Scene, restart) -> list:
    plain, secure = scene.plain.url, scene.secure.url
    named = f"ws://{NAME}:{scene.plain.port}"
    all_cases = [
        ("ws: lines, a large message, bytes", lambda: talks(scene, plain, ["--proxy", scene.proxy()])),
        ("wss: the server's TLS inside of the tunnel", lambda: talks(scene, secure, ["--proxy", scene.proxy()])),
        ("the name is resolved at the proxy", lambda: talks(scene, named, ["--proxy", scene.proxy()])),
        ("HTTP_PROXY", lambda: through_the_environment(scene, named, "HTTP_PROXY")),
        ("all_proxy, for wss", lambda: through_the_environment(scene, f"wss://{NAME}:{scene.secure.port}", "all_proxy")),
        ("nobody listens there", lambda: nobody_listens(scene)),
        ("no such host", lambda: no_such_host(scene)),
        ("--reconnect: the proxy is killed and comes back", lambda: comes_back_when_the_proxy_does(scene, restart)),
    ]
    if scene.kind in WITH_LOGIN:
        all_cases += [
            ("a wrong password and none", lambda: wrong_logins(scene)),
            ("the password comes from a file", lambda: password_from_a_file(scene)),
        ]
    if scene.kind != "microsocks":
        all_cases.append(("a port that the proxy does not allow", lambda: forbidden_port(scene)))
    if scene.kind in ("dante", "microsocks") and scene.kind not in WITH_LOGIN:
        all_cases.append(("--socks5", lambda: talks(scene, plain, ["--socks5", f"127.0.0.1:{scene.port}"])))
    if scene.kind == "squid":
        over_tls = scene.proxy(scheme="https", port=scene.tls_port)
        trusted = ["--proxy", over_tls, "--ca", str(scene.certificates.ca)]
        all_cases += [
            # wss brings the option --ca by itself, which may not be given twice.
            ("https: the proxy's own TLS", lambda: talks(scene, plain, trusted)),
            ("https and wss: TLS inside of TLS", lambda: talks(scene, secure, ["--proxy", over_tls])),
            ("https: a certificate that nobody vouches for", lambda: untrusted(scene, over_tls)),
        ]
    return all_cases


def untrusted(scene: Scene, proxy: str) -> None:
    done = subprocess.run([scene.binary, "connect", scene.plain.url, "--proxy", proxy, "--danger-accept-any-certificate"],
                          input=b"", capture_output=True, timeout=DEADLINE_SECONDS, env=environment())
    assert done.returncode == 4 and b"certificate" in done.stderr, f"{done.returncode}: {done.stderr.decode()}"


@contextlib.contextmanager
def proxy(command: list[str], ports: list[int], log: pathlib.Path):
    """Runs the proxy, and ends it with all that it started: some leave connections to processes of their own."""
    with running(command, ports, log, start_new_session=True) as process:
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def play(prefix: str, all_cases: list) -> int:
    failures = 0
    for name, case in all_cases:
        try:
            case()
            print(f"ok - {prefix}{name}", flush=True)
        except Exception as failure:  # whatever it is, the next case is played
            failures += 1
            print(f"not ok - {prefix}{name}: {type(failure).__name__} {failure}", flush=True)
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("tinyproxy", "squid", "dante", "microsocks"))
    parser.add_argument("--binary", required=True, help="the binary `sotong`")
    arguments = parser.parse_args()
    for name in PROXY_VARIABLES:
        os.environ.pop(name, None)
    return with_other_ports(lambda: judge(arguments.kind, str(pathlib.Path(arguments.binary).resolve())))


def judge(kind: str, binary: str) -> int:
    with tempfile.TemporaryDirectory(prefix="sotong-tunnel-") as name, contextlib.ExitStack() as stack:
        # Proxies give up what they were started with, and have to read and write here as somebody else.
        folder = pathlib.Path(name)
        folder.chmod(0o777)
        scene = Scene(kind, binary, folder)
        tls = ["--tls-cert", str(scene.certificates.cert), "--tls-key", str(scene.certificates.key)]
        # On all addresses: the name of the machine may lead to any of them.
        scene.plain = stack.enter_context(Target([binary, "echo", "--listen", "0.0.0.0:0"]))
        scene.secure = stack.enter_context(Target([binary, "echo", "--listen", "0.0.0.0:0", *tls]))
        command, log = scene.command(), folder / "proxy.log"
        for each in folder.iterdir():
            each.chmod(0o644)
        proxies = stack.enter_context(contextlib.ExitStack())
        proxies.enter_context(proxy(command, scene.ports(), log))

        def restart() -> None:
            proxies.close()
            proxies.enter_context(proxy(command, scene.ports(), log))

        failures = play(f"{kind}: ", cases(scene, restart))
        if failures:
            print(f"what {kind} said:\n{log.read_text(errors='replace')[-4000:]}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
