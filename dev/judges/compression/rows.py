"""The tables: with which settings on both sides the traffic is played, and what they have to agree on."""

from dataclasses import dataclass


@dataclass
class Row:
    sotong: list[str]  # how `sotong echo`, or our client, compresses
    options: dict  # the peer's settings, by the parameters' names
    negotiated: str  # the server's header
    fast: bool = False  # in ./test


def deflate(*parameters: str) -> str:
    return "; ".join(["permessage-deflate", *parameters])


SNCT, CNCT = "server_no_context_takeover", "client_no_context_takeover"


def server_bits(bits: int) -> str:
    return f"server_max_window_bits={bits}"


def client_bits(bits: int) -> str:
    return f"client_max_window_bits={bits}"


SHARED = ["--compress=shared"]


def windowed(bits: int) -> list[str]:
    return ["--compress=windowed", "--compress-window-bits", str(bits)]


def client_shared() -> list[str]:
    return ["--compress", "shared"]


def client_windowed(bits: int) -> list[str]:
    return ["--compress", "windowed", "--compress-window-bits", str(bits)]


def client_rows() -> list[Row]:
    """Of a client whose every parameter can be set; it always offers `client_max_window_bits`."""
    rows = [
        Row(SHARED, {}, deflate(SNCT, CNCT), fast=True),
        Row(["--compress=windowed"], {}, deflate(server_bits(12), client_bits(12)), fast=True),
        Row(windowed(15), {}, deflate(), fast=True),
        Row(windowed(15), {SNCT: True}, deflate(SNCT), fast=True),
        Row(windowed(15), {CNCT: True}, deflate(CNCT), fast=True),
        # The peer's inflater has no more than these 256 bytes.
        Row(windowed(15), {"server_max_window_bits": 8}, deflate(server_bits(8)), fast=True),
        Row(SHARED, {"server_max_window_bits": 8}, deflate(SNCT, CNCT, server_bits(8))),
        Row(windowed(15), {SNCT: True, CNCT: True}, deflate(SNCT, CNCT)),
        Row(windowed(8), {}, deflate(server_bits(8), client_bits(9))),
    ]
    for bits in range(9, 15):
        rows.append(Row(windowed(bits), {}, deflate(server_bits(bits), client_bits(bits))))
        rows.append(Row(windowed(15), {"server_max_window_bits": bits, "client_max_window_bits": bits},
                        deflate(server_bits(bits), client_bits(bits))))
    return rows


def browser_rows() -> list[Row]:
    """Of a client that has no settings and offers `client_max_window_bits`."""
    return [
        Row(SHARED, {}, deflate(SNCT, CNCT), fast=True),
        Row(["--compress=windowed"], {}, deflate(server_bits(12), client_bits(12)), fast=True),
        Row(windowed(8), {}, deflate(server_bits(8), client_bits(9))),
        Row(windowed(15), {}, deflate()),
    ]


CLIENTS = {"python": client_rows(), "ws": client_rows(), "bun": browser_rows(), "chromium": browser_rows()}


def server_rows() -> list[Row]:
    """Of a server whose every parameter can be set."""
    rows = [
        Row(client_shared(), {}, deflate(SNCT, CNCT), fast=True),
        Row(client_windowed(12), {}, deflate(server_bits(12), client_bits(12)), fast=True),
        Row(client_windowed(15), {}, deflate(), fast=True),
        Row(client_windowed(15), {SNCT: True}, deflate(SNCT), fast=True),
        Row(client_windowed(15), {CNCT: True}, deflate(CNCT)),
        # The peer's inflater has no more than these 256 bytes.
        Row(client_windowed(15), {"client_max_window_bits": 8}, deflate(client_bits(8)), fast=True),
        Row(client_shared(), {"client_max_window_bits": 8}, deflate(SNCT, CNCT, client_bits(8))),
        Row(client_windowed(15), {SNCT: True, CNCT: True}, deflate(SNCT, CNCT)),
    ]
    for bits in range(9, 15):
        rows.append(Row(client_windowed(bits), {}, deflate(server_bits(bits), client_bits(bits))))
        rows.append(Row(client_windowed(15), {"server_max_window_bits": bits, "client_max_window_bits": bits},
                        deflate(server_bits(bits), client_bits(bits))))
    return rows


def bun_rows() -> list[Row]:
    """Of Bun's server, whose settings are names of its own."""
    return [
        Row(client_shared(), {"compress": "shared", "decompress": "shared"}, deflate(SNCT, CNCT), fast=True),
        Row(client_windowed(15), {"compress": "shared", "decompress": "shared"}, deflate(SNCT, CNCT)),
        Row(client_windowed(15), {"compress": "dedicated", "decompress": "dedicated"}, deflate(), fast=True),
        # It limits its own window whether that was offered or not, as section 7.1.2.1 allows.
        Row(client_windowed(15), {"compress": "4KB", "decompress": "dedicated"}, deflate(server_bits(9))),
    ]


SERVERS = {"python": server_rows(), "ws": server_rows(), "bun": bun_rows()}
