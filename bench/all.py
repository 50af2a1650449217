"""Every case of the whole path, one after another, each on a stack of its own; a summary at the end, all figures in one folder.

    python -m bench all [--scale 1.0] [--only NAME ...] [--into FOLDER]

`--scale 0.01` is a trial of everything in minutes; 1 takes about an hour and wants a quiet machine.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

CASES: dict[str, tuple[int, list[str], list[str]]] = {
    # name: (messages in full, further arguments in full, further arguments of a trial)
    "end-to-end": (100_000, ["--runs", "3"], ["--runs", "1"]),
    "single-messages": (50_000, ["--runs", "3"], ["--runs", "1"]),
    "codes-beside-bulk": (1_000_000, [], ["--codes", "200"]),
    "distant-link": (60_000, ["--runs", "3"], ["--runs", "1"]),
    "backlog": (1_000_000, [], []),
    "cost-per-message": (1_000_000, [], []),
    "individual-texts": (100_000, ["--runs", "3"], ["--runs", "1"]),
    "recovery": (0, ["--rounds", "3"], ["--rounds", "1", "--rate", "300"]),
    "side-by-side": (20_000, ["--runs", "3", "--kill"], ["--runs", "1"]),
}
LEAST = 10_000
"""Messages of a trial: fewer are gone before anything can be measured."""


def _command(name: str, scale: float, file: Path) -> list[str]:
    messages, full, trial = CASES[name]
    command = [sys.executable, "-m", "bench", name, "--json", str(file), *(full if scale >= 1 else trial)]
    if messages:
        command += ["--messages", str(max(min(LEAST, messages), int(messages * scale)))]
    return command


def main() -> int:
    """Run the cases; returns 1 when one of them was not fine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full number of messages")
    parser.add_argument("--only", nargs="+", choices=sorted(CASES), default=list(CASES), metavar="NAME")
    parser.add_argument("--into", type=Path, help="folder for the figures (JSON); a new one otherwise")
    options = parser.parse_args()
    into = options.into or Path(tempfile.mkdtemp(prefix="guanxin-figures-"))
    into.mkdir(parents=True, exist_ok=True)
    codes: dict[str, int] = {}
    for name in options.only:
        print(f"\n== {name}", flush=True)
        codes[name] = subprocess.run(_command(name, options.scale, into / f"{name}.json"), check=False).returncode
    print(f"\nfigures in {into}")
    for name, code in codes.items():
        print(f"{name:<20} {'fine' if code == 0 else f'NOT FINE ({code})':<14} {_first(into / f'{name}.json')}")
    return 1 if any(codes.values()) else 0


def _first(file: Path) -> str:
    """Return the first figure of a case, which is the one it is about."""
    if not file.exists():
        return "no figures"
    document = json.loads(file.read_text(encoding="utf-8"))
    if isinstance(document, dict) and "values" in document:
        label, value = next(iter(document["values"].items()))
        return f"{label}: {value:,.1f}" if isinstance(value, float) else f"{label}: {value}"
    if isinstance(document, dict):
        return f"messages/s: {document['rate']:,.0f}"
    return ", ".join(
        f"{one['case']['name']} {one['median']['told_rate'] or one['median']['submitted_rate']:,.0f}/s"
        for one in document
    )


if __name__ == "__main__":
    raise SystemExit(main())
