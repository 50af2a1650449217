"""Coverage-guided fuzzing of one target: ``run``, then ``pack`` for the corpus that is committed.

Needs atheris (``make fuzz`` brings it and does both). A fault does not stop the hunt: each kind is kept once, with its
input and its traceback, in ``faults`` of the working directory; ``pack`` names them and ends with exit code 1.
``run.json`` there says how long it ran and how many inputs it tried, however it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

COSTED = 64
"""Every so many inputs one is run for its cost too, which takes ten times as long."""
LONGEST = 2048
INSTRUMENTED = ["carrier", "gsm", "wappush", "smstext"]

Check = Callable[[bytes], int]


class Hunt:
    """One run's books."""

    def __init__(self, name: str, check: Check, weigh: Callable[[Callable[[], int]], None], where: Path) -> None:
        self.name, self.check, self.weigh, self.where = name, check, weigh, where
        self.faults: set[str] = set()
        self.executions = 0
        self.started, self.written = time.time(), 0.0

    def one(self, data: bytes) -> None:
        """One input; a fault is written down and survived."""
        self.executions += 1
        try:
            if self.executions % COSTED:
                self.check(data)
            else:
                self.weigh(lambda: self.check(data))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what we look for
            self.fault(data, error)
        if self.executions % 256 == 0 and time.time() - self.written > 5:
            self.write()

    def fault(self, data: bytes, error: Exception) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        kind = f"{type(error).__name__}-{'-'.join(f'{Path(f.filename).stem}{f.lineno}' for f in frames[-2:])}"
        if kind in self.faults:
            return
        self.faults.add(kind)
        name = f"{self.name}-{kind}-{hashlib.sha256(data).hexdigest()[:8]}"
        folder = self.where / "faults"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.hex").write_text(data.hex())
        (folder / f"{name}.txt").write_text("".join(traceback.format_exception(error)))
        print(f"FAULT {name}: {error}", file=sys.stderr, flush=True)

    def write(self) -> None:
        """The books on disk; libFuzzer ends the process without asking."""
        self.written = time.time()
        books = {
            "target": self.name,
            "started": round(self.started),
            "seconds": round(self.written - self.started, 1),
            "cpu_seconds": round(time.process_time(), 1),
            "executions": self.executions,
            "faults": sorted(self.faults),
        }
        (self.where / "run.json").write_text(json.dumps(books))


def run(name: str, where: Path, seconds: int) -> None:
    """Hunt until the time is over or the process is stopped."""
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        from fuzz.targets import TARGETS
    from fuzz import corpus, cost

    target = TARGETS[name]
    folder = where / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for data in [*target.seeds(), *corpus.load(name)]:
        (folder / hashlib.sha256(data).hexdigest()[:40]).write_bytes(data)
    hunt = Hunt(name, target.check, cost.check, where)
    arguments = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=60", "-rss_limit_mb=2000"]
    arguments += ["-use_value_profile=1", "-print_final_stats=1", "-verbosity=0", str(folder)]
    atheris.Setup([sys.argv[0], *arguments], hunt.one)
    atheris.Fuzz()


def pack(name: str, where: Path) -> int:
    """Keep the inputs that reach something the smaller ones do not; 1 when faults lie about."""
    from fuzz import corpus
    from fuzz.targets import TARGETS

    found = [path.read_bytes() for path in (where / "corpus").iterdir()] + corpus.load(name)
    chosen = corpus.minimised(TARGETS[name].check, found)
    print(f"{name}: {corpus.save(name, chosen)} of {len(found)} inputs packed")
    faults = sorted(path.name for path in (where / "faults").glob("*.txt"))
    for fault in faults:
        print(f"fault: {where / 'faults' / fault}", file=sys.stderr)
    return 1 if faults else 0


def main(arguments: list[str]) -> int:
    """0 when it was done, 1 when faults were found."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("what", choices=["run", "pack"])
    parser.add_argument("target")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--work", type=Path, default=Path(".local/fuzz"))
    options = parser.parse_args(arguments)
    where = options.work / options.target
    if options.what == "run":
        run(options.target, where, round(options.minutes * 60))
        return 0
    return pack(options.target, where)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
