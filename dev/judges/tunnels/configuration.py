"""Configurations of the proxies through which the client goes. Where a proxy asks for a login, one user is let in."""

import os
import pathlib
import subprocess

USER = "user"
# With characters that mean something in URLs and in Basic.
PASSWORD = "p:ss%w@rd"
# tinyproxy's configuration has room for no others than these.
TINYPROXY_PASSWORD = "pass-word.1"


def tinyproxy(port: int, allowed: list[int]) -> str:
    ports = "".join(f"ConnectPort {each}\n" for each in allowed)
    return f"""
Port {port}
Listen 127.0.0.1
Timeout 60
MaxClients 100
Allow 127.0.0.1
BasicAuth {USER} {TINYPROXY_PASSWORD}
LogLevel Connect
{ports}"""


def squid(port: int, tls_port: int, allowed: list[int], folder: pathlib.Path, both: pathlib.Path) -> str:
    passwords = folder / "passwords"
    hashed = subprocess.run(["openssl", "passwd", "-apr1", "-stdin"], input=PASSWORD, capture_output=True, text=True, check=True)
    passwords.write_text(f"{USER}:{hashed.stdout.strip()}\n")
    return f"""
http_port 127.0.0.1:{port}
https_port 127.0.0.1:{tls_port} tls-cert={both}
visible_hostname judge.invalid
pid_filename {folder}/squid.pid
coredump_dir {folder}
cache_log /dev/stderr
access_log none
logfile_rotate 0
netdb_filename none
pinger_enable off
cache deny all
shutdown_lifetime 0 seconds
connect_timeout 5 seconds
auth_param basic program {ncsa()} {passwords}
auth_param basic realm judge
acl known proxy_auth REQUIRED
acl allowed port {" ".join(map(str, allowed))}
http_access deny !allowed
http_access allow known
http_access deny all
"""


def ncsa() -> str:
    """The helper that reads a file of passwords; where it is depends on the distribution."""
    for folder in ("/usr/lib/squid", "/usr/lib64/squid", "/usr/libexec/squid"):
        program = pathlib.Path(folder) / "basic_ncsa_auth"
        if program.exists():
            return str(program)
    raise RuntimeError("squid's helper basic_ncsa_auth is not installed")


def dante(port: int, forbidden: int) -> str:
    # As somebody else than root it has nothing to give up.
    users = "user.privileged: root\nuser.unprivileged: nobody" if os.getuid() == 0 else ""
    return f"""
logoutput: stderr
internal: 127.0.0.1 port = {port}
external: 127.0.0.1
clientmethod: none
socksmethod: none
{users}
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks block {{ from: 0.0.0.0/0 to: 0.0.0.0/0 port = {forbidden} }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 command: connect }}
"""
