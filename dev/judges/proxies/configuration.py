"""The proxies' configuration, as docs/operations.md tells operators to write it.

The blocks are taken out of that page and get other addresses, ports and certificates; nothing else is changed. So what is
written there is what is tested here, and a line that is changed there is tested on the next run.
"""

import pathlib
import re

PAGE = pathlib.Path(__file__).resolve().parents[3] / "docs" / "operations.md"
# In which order the page has them: a proxy for HTTP, one for bytes, and (nginx alone) a path that is left out.
HTTP, STREAM, LEFT_OUT = 0, 1, 2


def blocks(language: str, count: int) -> list[str]:
    """What stands in fenced blocks of this language."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    if len(found) != count:
        raise RuntimeError(f"docs/operations.md has {len(found)} blocks for {language}, not {count}: adapt {__file__}")
    return found


def adapted(text: str, changes: dict[str, str]) -> str:
    """Replaces each key, which must be there."""
    for documented, here in changes.items():
        if documented not in text:
            raise RuntimeError(f"docs/operations.md does not say {documented!r} any more: adapt {__file__}")
        text = text.replace(documented, here)
    return text


def nginx(ports: dict[str, int], folder: pathlib.Path, cert: pathlib.Path, key: pathlib.Path, modules: str) -> str:
    documented = blocks("nginx", 3)
    certificate = {
        "/etc/letsencrypt/live/chat.example.com/fullchain.pem": str(cert),
        "/etc/letsencrypt/live/chat.example.com/privkey.pem": str(key),
    }

    def http(way: str, name: str) -> str:
        """The part for HTTP, in front of one server. What stands before `upstream` is there once for all."""
        return adapted("upstream" + after, certificate | {
            "listen 443 ssl": f"listen 127.0.0.1:{ports[f'{way}_PORT']} ssl",
            "server 127.0.0.1:8000;": f"server 127.0.0.1:{ports[f'{way}_SERVER']};",
            "upstream sotong": f"upstream {name}", "http://sotong": f"http://{name}",
        })

    before, _, after = documented[HTTP].partition("upstream")
    serve = adapted(http("SERVE", "serve"), {"    location / {": f"    {documented[LEFT_OUT]}    location / {{"})
    passed = adapted(documented[STREAM], {
        "listen 443;": f"listen 127.0.0.1:{ports['PASSED_PORT']};", "10.0.0.5:8443": f"127.0.0.1:{ports['TLS_SERVER']}",
    })
    ended = adapted(documented[STREAM], {
        "listen 443;": f"listen 127.0.0.1:{ports['PROXY1_PORT']} ssl; ssl_certificate {cert}; ssl_certificate_key {key};",
        "10.0.0.5:8443": f"127.0.0.1:{ports['PROXY_SERVER']}",
    })
    temporary = "".join(
        f"    {name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    return (
        f"{modules}\ndaemon off;\nmaster_process off;\npid {folder}/nginx.pid;\nerror_log stderr warn;\n"
        f"events {{ worker_connections 512; }}\n"
        f"http {{\n    access_log off;\n{temporary}{before}{http('HTTP', 'example')}{http('ECHO', 'echo')}{serve}}}\n"
        f"stream {{\n{passed}{ended}}}\n"
    )


def haproxy(ports: dict[str, int], both: pathlib.Path) -> str:
    documented = blocks("haproxy", 2)
    def renamed(text: str, name: str) -> str:
        return adapted(text, {
            "frontend web": f"frontend {name}", "default_backend sotong": f"default_backend {name}-server",
            "\nbackend sotong": f"\nbackend {name}-server",
        })

    def http(way: str, name: str) -> str:
        return renamed(adapted(documented[HTTP], {
            "bind :443 ssl crt /etc/haproxy/chat.example.com.pem": f"bind 127.0.0.1:{ports[f'{way}_PORT']} ssl crt {both}",
            "127.0.0.1:8000": f"127.0.0.1:{ports[f'{way}_SERVER']}",
        }), name)

    passed = renamed(adapted(documented[STREAM], {
        "bind :443": f"bind 127.0.0.1:{ports['PASSED_PORT']}", "10.0.0.5:8443": f"127.0.0.1:{ports['TLS_SERVER']}",
    }), "passed")

    # "TLS can end at the proxy or at the server": here at the proxy.
    def ends_tls(port: int, name: str, send: str) -> str:
        return renamed(adapted(documented[STREAM], {
            "bind :443": f"bind 127.0.0.1:{port} ssl crt {both}", "10.0.0.5:8443": f"127.0.0.1:{ports['PROXY_SERVER']}",
            "send-proxy-v2 check": send,
        }), name)

    parts = [
        "global\n    maxconn 512\n    log stderr format raw local0 notice\n", http("HTTP", "example"), http("ECHO", "echo"), http("SERVE", "serve"),
        passed, ends_tls(ports["PROXY1_PORT"], "version-1", "send-proxy"), ends_tls(ports["PROXY2_PORT"], "version-2", "send-proxy-v2 check"),
    ]
    return "\n".join(parts)
