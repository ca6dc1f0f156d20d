"""Sotong behind a real proxy, nginx or haproxy, as docs/operations.md describes it: with forwarded headers and with the PROXY
protocol, TLS ended at the proxy or at the server.

    proxies.py nginx|haproxy --binary BINARY --example PROGRAM

BINARY is `sotong`, PROGRAM the library's example `behind_proxy`, which answers each message with the address of its client
and the host that it asked for. Clients connect from 127.0.0.2 and the like, so that they are not taken for the proxy,
which has 127.0.0.1. Prints `ok - NAME` or `not ok - NAME: why` for each case; the exit code is 1 if one failed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "python"), str(HERE.parent / "peers")]

import configuration  # noqa: E402  (the path above has to be known first)
from certificates import Certificates  # noqa: E402
from target import Target, free_ports, running, with_other_ports  # noqa: E402

WAYS = ("HTTP_PORT", "PROXY1_PORT", "PROXY2_PORT", "PASSED_PORT", "ECHO_PORT", "SERVE_PORT")  # through the proxy, one port each
CASE_DEADLINE_SECONDS = 30
CONNECTIONS_PER_CLIENT_MAX = 4  # as the example has it
CLIENT = "127.0.0.2"
NOBODY = 65534


@contextlib.contextmanager
def proxy(kind: str, folder: pathlib.Path, certificates: Certificates, ports: dict[str, int]):
    """Starts the proxy with its own configuration on free ports, as `nobody` where we are root, and ends it with the block."""
    file = folder / "configuration"
    if kind == "nginx":
        file.write_text(configuration.nginx(ports, folder, certificates.cert, certificates.key, load_stream()))
    else:
        file.write_text(configuration.haproxy(ports, certificates.both))
    program = which(kind)
    command = [program, "-p", str(folder), "-c", str(file)] if kind == "nginx" else [program, "-db", "-f", str(file)]
    unprivileged = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    listened = [port for name, port in ports.items() if name.endswith("_PORT")]
    with running(command, listened, folder / "proxy.log", **unprivileged):
        yield


def which(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise RuntimeError(f"{program} is not installed")
    return found


def load_stream() -> str:
    """Debian has nginx's TCP proxy as a module to be loaded; elsewhere it may be built in."""
    module = pathlib.Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    return f"load_module {module};" if module.exists() else ""


class Scene:
    """What the cases need: the proxy's ports and how to connect."""

    def __init__(self, ports: dict[str, int], certificates: Certificates):
        self.ports = ports
        self.tls = ssl.create_default_context(cafile=certificates.ca)

    def connect(self, way: str, source: str = CLIENT, path: str = "/", **options: object) -> connect:
        url = f"wss://127.0.0.1:{self.ports[way]}{path}"
        return connect(url, ssl=self.tls, local_addr=(source, 0), max_size=None, compression=None, **options)


async def tell(client: ClientConnection) -> str:
    await client.send("who am I?")
    return await client.recv()


async def tells_client(scene: Scene, way: str, host: str = "") -> None:
    host = host or f"127.0.0.1:{scene.ports[way]}"
    for source in (CLIENT, "127.0.0.3"):
        async with scene.connect(way, source=source) as client:
            answer = await tell(client)
            assert answer == f"{source} asked for {host}", answer


async def forged_header_is_not_believed(scene: Scene, way: str, header: str, value: str) -> None:
    async with scene.connect(way, additional_headers={header: value}) as client:
        answer = await tell(client)
        assert answer.startswith(f"{CLIENT} "), answer


async def let_in(scene: Scene, way: str, source: str) -> ClientConnection:
    """Connects, again and again while connections that have just ended are still counted."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await scene.connect(way, source=source)
            except InvalidStatus as refusal:
                assert refusal.response.status_code == 429, refusal
                await asyncio.sleep(0.02)


async def limit_counts_clients(scene: Scene, way: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(CONNECTIONS_PER_CLIENT_MAX):
            stack.push_async_callback((await let_in(scene, way, "127.0.0.9")).close)
        try:
            await stack.enter_async_context(scene.connect(way, source="127.0.0.9"))
            raise AssertionError("one connection more than the limit was let in")
        except InvalidStatus as refusal:
            assert refusal.response.status_code == 429, refusal
        other = await stack.enter_async_context(scene.connect(way, source="127.0.0.10"))
        assert (await tell(other)).startswith("127.0.0.10 ")


async def origins(scene: Scene, way: str, own: str) -> None:
    async with scene.connect(way, origin=own) as client:
        await tell(client)
    for foreign in (f"https://127.0.0.1:{scene.ports[way] + 1}", own.replace("https", "http"), "https://evil.example"):
        try:
            async with scene.connect(way, origin=foreign):
                raise AssertionError(f"a page of {foreign} was let in")
        except InvalidStatus as refusal:
            assert refusal.response.status_code == 403, refusal


async def pages_and_chat(scene: Scene) -> None:
    """`sotong serve`, with the options that docs/operations.md has: a page, and two people in a room."""
    address = f"127.0.0.1:{scene.ports['SERVE_PORT']}"
    page = await asyncio.to_thread(lambda: urllib.request.urlopen(f"https://{address}/", context=scene.tls, timeout=10).read())
    assert b"<html" in page, page[:200]
    room = {"way": "SERVE_PORT", "path": "/ws?sub=news"}
    async with scene.connect(**room, origin=f"https://{address}") as one, scene.connect(**room, source="127.0.0.3") as other:
        for client in (one, other):
            assert "news" in json.loads(await client.recv())["push"]["connect"]["subs"]
        await one.send(json.dumps({"id": 1, "publish": {"channel": "news", "data": "안녕"}}))
        heard = json.loads(await other.recv())
        assert heard["push"]["pub"]["data"] == "안녕", heard
    try:
        async with scene.connect(**room, origin="https://evil.example"):
            raise AssertionError("a page of another origin was let in")
    except InvalidStatus as refusal:
        assert refusal.response.status_code == 403, refusal


async def path_is_left_out(scene: Scene) -> None:
    """The line of docs/operations.md that keeps one page from the world, and only that one."""
    statuses = {}
    for path in ("/game", "/chat"):
        url = f"https://127.0.0.1:{scene.ports['SERVE_PORT']}{path}"
        try:
            opened = await asyncio.to_thread(urllib.request.urlopen, url, context=scene.tls, timeout=10)
        except urllib.error.HTTPError as refused:
            opened = refused
        with opened:
            statuses[path] = opened.status
    assert statuses == {"/game": 404, "/chat": 200}, statuses
    try:
        async with scene.connect("SERVE_PORT", path="/game"):
            raise AssertionError("the game was let through")
    except InvalidStatus as refusal:
        assert refusal.response.status_code == 404, refusal


async def hundred_at_once(scene: Scene) -> None:
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(scene.connect("ECHO_PORT")) for _ in range(100)]
        for number, client in enumerate(clients):
            await client.send(f"I am {number}")
        for number, client in enumerate(clients):
            assert await client.recv() == f"I am {number}"


async def vanished_client_is_let_go(scene: Scene, way: str) -> None:
    """All places of a client are free again when it is gone without a good-bye."""
    for _ in range(3):
        for client in [await let_in(scene, way, "127.0.0.20") for _ in range(CONNECTIONS_PER_CLIENT_MAX)]:
            await tell(client)
            client.transport.abort()


async def server_says_goodbye(scene: Scene, target: Target) -> None:
    clients = [await scene.connect("ECHO_PORT") for _ in range(10)]
    code = await asyncio.to_thread(target.stop)
    codes = set()
    for client in clients:
        with contextlib.suppress(ConnectionClosed):
            await client.recv()
        codes.add(client.close_code)
    assert codes == {1001} and code == 0, f"close codes {codes}, exit code {code}"


async def play(prefix: str, cases: list) -> int:
    failures = 0
    for name, case in cases:
        try:
            async with asyncio.timeout(CASE_DEADLINE_SECONDS):
                await case()
            print(f"ok - {prefix}{name}", flush=True)
        except Exception as failure:  # whatever it is, the next case is played
            failures += 1
            print(f"not ok - {prefix}{name}: {type(failure).__name__} {failure}", flush=True)
    return failures


def cases(scene: Scene, kind: str, own: str) -> list:
    # The header that docs/operations.md has nginx write is without the port.
    host = "127.0.0.1" if kind == "nginx" else ""
    all_cases = [
        ("forwarded header: the server knows client and host", lambda: tells_client(scene, "HTTP_PORT", host)),
        ("forwarded header: what the client forges is not believed",
         lambda: forged_header_is_not_believed(scene, "HTTP_PORT", "X-Forwarded-For", "203.0.113.9")),
        ("forwarded header: limits count clients, not the proxy", lambda: limit_counts_clients(scene, "HTTP_PORT")),
        ("forwarded header: pages of the public origin may connect, others not", lambda: origins(scene, "HTTP_PORT", own)),
        ("forwarded header: a client that vanishes leaves its places", lambda: vanished_client_is_let_go(scene, "HTTP_PORT")),
    ]
    ways = {"PROXY1_PORT": "PROXY protocol 1", "PASSED_PORT": "PROXY protocol before TLS that Sotong ends"}
    if kind == "haproxy":
        ways["PROXY2_PORT"] = "PROXY protocol 2"
    for way, name in ways.items():
        all_cases += [
            (f"{name}: the server knows client and host", lambda way=way: tells_client(scene, way)),
            (f"{name}: a header X-Forwarded-For of the client is not believed",
             lambda way=way: forged_header_is_not_believed(scene, way, "X-Forwarded-For", "203.0.113.9")),
            (f"{name}: limits count clients, not the proxy", lambda way=way: limit_counts_clients(scene, way)),
            (f"{name}: a client that vanishes leaves its places", lambda way=way: vanished_client_is_let_go(scene, way)),
        ]
    if kind == "nginx":
        all_cases.append(("sotong serve: a path that is left out", lambda: path_is_left_out(scene)))
    return all_cases + [
        ("sotong serve: a page, two people in a room, no page of another origin", lambda: pages_and_chat(scene)),
        ("100 connections at once", lambda: hundred_at_once(scene)),
    ]


def unforwarded(example: str) -> int:
    """Nobody is believed who is not trusted: the same server, without a proxy in front and none trusted but 127.0.0.1."""
    async def direct(target: Target) -> None:
        forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
        async with connect(target.url, local_addr=(CLIENT, 0), additional_headers=forged) as client:
            answer = await tell(client)
            assert answer.startswith(f"{CLIENT} "), answer

    with Target([example, "127.0.0.1:0", "--trusted-proxy", "127.0.0.1"]) as target:
        return asyncio.run(play("without a proxy: ", [("who is not trusted is not believed", lambda: direct(target))]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("nginx", "haproxy"))
    parser.add_argument("--binary", required=True, help="the binary `sotong`")
    parser.add_argument("--example", required=True, help="the example `behind_proxy`")
    arguments = parser.parse_args()
    return with_other_ports(lambda: judge(arguments.kind, arguments.binary, arguments.example))


def judge(kind: str, binary: str, example: str) -> int:
    prefix = f"{kind}: "
    # In the system's folder for such things: `nobody` may not be let into the one of the build.
    with tempfile.TemporaryDirectory(prefix="sotong-proxy-") as name, contextlib.ExitStack() as stack:
        folder = pathlib.Path(name)
        certificates = Certificates(folder)
        ports = dict(zip(WAYS, free_ports(len(WAYS))))
        if kind == "nginx":
            del ports["PROXY2_PORT"]  # nginx sends version 1 only
        own = f"https://127.0.0.1:{ports['HTTP_PORT']}"
        trusting = [example, "127.0.0.1:0", "--trusted-proxy", "127.0.0.1"]
        http = stack.enter_context(Target([*trusting, "--public-origin", own]))
        proxied = stack.enter_context(Target([*trusting, "--proxy-protocol"]))
        passed = stack.enter_context(Target([*trusting, "--proxy-protocol", "--tls", str(certificates.cert), str(certificates.key)]))
        echo = stack.enter_context(Target([binary, "echo", "--listen", "127.0.0.1:0"]))
        serve = stack.enter_context(Target([
            binary, "serve", "--listen", "127.0.0.1:0", "--trusted-proxy", "127.0.0.1",
            "--public-origin", f"https://127.0.0.1:{ports['SERVE_PORT']}",
        ]))
        servers = {"HTTP": http, "PROXY": proxied, "TLS": passed, "ECHO": echo, "SERVE": serve}
        ports |= {f"{name}_SERVER": target.port for name, target in servers.items()}
        open_to_nobody(folder)
        stack.enter_context(proxy(kind, folder, certificates, ports))
        scene = Scene(ports, certificates)
        failures = asyncio.run(play(prefix, cases(scene, kind, own)))
        failures += table(prefix, f"wss://127.0.0.1:{ports['ECHO_PORT']}", certificates)
        failures += asyncio.run(play(prefix, [("SIGTERM of the server reaches the clients as 1001", lambda: server_says_goodbye(scene, echo))]))
        failures += unforwarded(example)
        if failures:
            print(f"what {kind} said:\n{(folder / 'proxy.log').read_text()}", flush=True)
    return 1 if failures else 0


def open_to_nobody(folder: pathlib.Path) -> None:
    """Lets the unprivileged proxy read its certificate and write its temporary files."""
    if os.getuid() == 0:
        for each in [folder, *folder.iterdir()]:
            os.chown(each, NOBODY, NOBODY)


def table(prefix: str, url: str, certificates: Certificates) -> int:
    """The table of cases that every client plays, through the proxy."""
    peers = HERE.parent / "peers"
    return subprocess.run(
        [sys.executable, peers / "clients" / "python_websockets.py", f"{prefix}wss: ", url, peers / "table.tsv", certificates.ca],
        stdin=subprocess.DEVNULL, timeout=120, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
