"""What counts as passed in a report of the Autobahn test suite."""

import json
import pathlib

# Named sets of cases: their patterns, and how many cases those are. Groups 12 and 13 are about permessage-deflate; they are
# slow because of the tester, so the first group of each is a set of its own.
SETS = {
    "base": (["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"], 301),
    "compression-fast": (["12.1.*", "13.1.*"], 36),
    "compression": ([f"12.{group}.*" for group in range(1, 6)] + [f"13.{group}.*" for group in range(1, 8)], 216),
}

# These cases only tell what a server does; every behaviour is allowed. With their reasons:
INFORMATIONAL = {
    "7.1.6": "a large message, then Close: whether the echo still arrives is the server's choice",
    "7.13.1": "close code 5000: reserved for nobody, the RFC does not say what to do",
    "7.13.2": "close code 65535: the same",
}


def judge(folders: list[pathlib.Path], agent: str, expected_cases: int | None) -> int:
    """Prints a line for each case in the reports of these folders and returns the number of failures."""
    failures = played = 0
    for folder in folders:
        index = folder / "index.json"
        if not index.exists():
            print("not ok - autobahn: wstest left no report")
            failures += 1
            continue
        results = json.loads(index.read_text()).get(agent, {})
        played += len(results)
        for case in sorted(results, key=lambda name: [int(part) for part in name.split(".")]):
            failures += judge_case(case, results[case], folder)
    if expected_cases is not None and played != expected_cases:
        failures += 1
        print(f"not ok - autobahn: {played} cases were played, {expected_cases} were wanted")
    print(f"autobahn: {played} cases, {failures} failures")
    return failures


def judge_case(case: str, result: dict, folder: pathlib.Path) -> int:
    wanted = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
    deviations = [
        f"{field} is {result[field]}, not {allowed}"
        for field, allowed in (("behavior", wanted), ("behaviorClose", wanted))
        # An informational case may also close plainly well.
        if result[field] != allowed and not (wanted == "INFORMATIONAL" and result[field] == "OK")
    ]
    if not deviations:
        print(f"ok - autobahn {case}")
        return 0
    print(f"not ok - autobahn {case}: {'; '.join(deviations)}")
    print(extract(folder / result["reportfile"]))
    return 1


def extract(report: pathlib.Path) -> str:
    """What the case is about, what was wanted, what came, and the last frames on the wire."""
    case = json.loads(report.read_text())
    lines = [f"about: {plain(case['description'])}", f"wanted: {plain(case['expectation'])}"]
    lines += [f"seen: {plain(case[key])}" for key in ("result", "resultClose") if case.get(key)]
    for key in ("expected", "received", "remoteCloseCode", "remoteCloseReason", "wasClean", "droppedByMe"):
        if key in case:
            lines.append(f"{key}: {short(case[key])}")
    for entry in (case.get("wirelog") or [])[-6:]:
        lines.append(f"wire: {short(entry)}")
    return "\n".join("    " + line for line in lines)


def plain(text: str) -> str:
    return short(text.replace("<br>", " ").replace("<br/>", " "))


def short(value: object, characters: int = 300) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= characters else text[:characters] + f" ... ({len(text)} characters)"
