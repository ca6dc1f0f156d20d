"""Reads the table of cases (see ../table.tsv) and plays it."""

from collections.abc import Callable


def want(truth: object, otherwise: str) -> None:
    if not truth:
        raise AssertionError(otherwise)


def read(file: str) -> list[list[str]]:
    with open(file, encoding="utf-8") as lines:
        return [line.rstrip("\n").split("\t") for line in lines if line.strip() and not line.startswith("#")]


def payload(written: str) -> str | bytes:
    kind, _, rest = written.partition(":")
    if kind == "text":
        return rest
    if kind == "repeat":
        count, _, character = rest.partition(":")
        return character * int(count)
    if kind == "bytes":
        return bytes((at * 31 + 7) % 256 for at in range(int(rest)))
    raise ValueError(f"the table has a payload of an unknown kind: {written}")


def parts(whole: str | bytes, count: int) -> list:
    """The payload in `count` parts of almost equal length."""
    length = -(-len(whole) // count)
    return [whole[at * length:(at + 1) * length] for at in range(count)]


def play(prefix: str, table: str, verbs: dict[str, Callable[..., None]]) -> int:
    """Plays every case whose verb is known; returns the exit code. A case's own deadlines are the caller's."""
    failures = 0
    left_out = []
    for verb, name, *values in read(table):
        if verb.startswith("asked-"):
            continue
        if verb not in verbs:
            left_out.append(verb)
            continue
        try:
            verbs[verb](*values)
            print(f"ok - {prefix}{name}", flush=True)
        except Exception as failure:  # whatever it is, the next case is played
            failures += 1
            print(f"not ok - {prefix}{name}: {type(failure).__name__} {' '.join(str(failure).split())[:300]}", flush=True)
    if left_out:
        print(f"left out - {prefix}{', '.join(dict.fromkeys(left_out))}: this client has no call for it", flush=True)
    return 1 if failures else 0
