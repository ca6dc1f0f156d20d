"""What counts as passed in a report of the Autobahn test suite."""

import json
import pathlib

# These cases only tell what a server does; every behaviour is allowed. With their reasons:
INFORMATIONAL = {
    "7.1.6": "a large message, then Close: whether the echo still arrives is the server's choice",
    "7.13.1": "close code 5000: reserved for nobody, the RFC does not say what to do",
    "7.13.2": "close code 65535: the same",
}


def judge(folder: pathlib.Path, agent: str, expected_cases: int | None) -> int:
    """Prints a line for each case and returns the number of failures."""
    index = folder / "index.json"
    if not index.exists():
        print("not ok - autobahn: wstest left no report")
        return 1
    results = json.loads(index.read_text()).get(agent, {})
    failures = 0
    for case in sorted(results, key=lambda name: [int(part) for part in name.split(".")]):
        result = results[case]
        wanted = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
        deviations = [
            f"{field} is {result[field]}, not {allowed}"
            for field, allowed in (("behavior", wanted), ("behaviorClose", wanted))
            # An informational case may also close plainly well.
            if result[field] != allowed and not (wanted == "INFORMATIONAL" and result[field] == "OK")
        ]
        if deviations:
            failures += 1
            print(f"not ok - autobahn {case}: {'; '.join(deviations)}")
            print(extract(folder / result["reportfile"]))
        else:
            print(f"ok - autobahn {case}")
    if expected_cases is not None and len(results) != expected_cases:
        failures += 1
        print(f"not ok - autobahn: {len(results)} cases were played, {expected_cases} were wanted")
    print(f"autobahn: {len(results)} cases, {failures} failures")
    return failures


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
