"""Certificates for the judges: an authority of our own and a certificate for 127.0.0.1, made by `openssl`."""

import pathlib
import subprocess

DAYS = "30"


class Certificates:
    """The files `ca.pem`, `cert.pem` (the chain) and `key.pem` in `folder`, made anew."""

    def __init__(self, folder: pathlib.Path):
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, self.cert, self.key = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
        # Some programs (haproxy) want both in one file.
        self.both = folder / "both.pem"
        ca_key, request, extensions = folder / "ca-key.pem", folder / "request.pem", folder / "extensions.txt"
        run("req", "-x509", *NEW_KEY, "-keyout", ca_key, "-out", self.ca, "-days", DAYS, "-subj", "/CN=Sotong judges",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        run("req", *NEW_KEY, "-keyout", self.key, "-out", request, "-subj", "/CN=localhost")
        extensions.write_text(
            "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n"
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
            "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
        )
        run("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial", "-days", DAYS,
            "-extfile", extensions, "-out", self.cert)
        self.both.write_bytes(self.cert.read_bytes() + self.key.read_bytes())


NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def run(*arguments: object) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]} ended with {done.returncode}: {done.stderr.strip()}")
