"""Coverage-guided fuzzing of one target: ``run``, then ``merge`` and ``pack`` for the corpus that is committed.

Needs atheris (``make fuzz`` brings it and does all three). A fault does not stop the hunt: each kind is kept once, with
its input and its traceback, in ``faults`` of the working directory; ``pack`` names them and ends with exit code 1.
``run.json`` there says how long it ran and how many inputs it tried, however it was stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["carrier", "gsm", "wappush", "smstext"]):
    from fuzz.targets import TARGETS, Target

from fuzz import corpus, cost

COSTED = 64
"""Every so many inputs one is run for its cost too, which takes ten times as long."""
LONGEST = 2048


class Hunt:
    """One run's books."""

    def __init__(self, target: Target, where: Path) -> None:
        self.target, self.where = target, where
        self.faults: set[str] = set()
        self.executions = 0
        self.started, self.written = time.time(), 0.0

    def one(self, data: bytes) -> None:
        """One input; a fault is written down and survived."""
        self.executions += 1
        work: Callable[[], object] = lambda: self.target.check(data)  # noqa: E731
        if self.executions % COSTED == 0:
            work = lambda: cost.check(lambda: self.target.check(data))  # noqa: E731
        try:
            work()
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
        name = f"{self.target.name}-{kind}-{hashlib.sha256(data).hexdigest()[:8]}"
        folder = self.where / "faults"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.hex").write_text(data.hex())
        (folder / f"{name}.txt").write_text("".join(traceback.format_exception(error)))
        print(f"FAULT {name}: {error}", file=sys.stderr, flush=True)

    def write(self) -> None:
        """The books on disk; libFuzzer ends the process without asking."""
        self.written = time.time()
        (self.where / "run.json").write_text(
            json.dumps(
                {
                    "target": self.target.name,
                    "started": round(self.started),
                    "seconds": round(self.written - self.started, 1),
                    "cpu_seconds": round(time.process_time(), 1),
                    "executions": self.executions,
                    "faults": sorted(self.faults),
                }
            )
        )


def prepare(target: Target, where: Path) -> Path:
    """The working corpus: what is committed and the seeds, beside what earlier runs left."""
    folder = where / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    for data in [*target.seeds(), *corpus.load(target.name)]:
        (folder / hashlib.sha1(data, usedforsecurity=False).hexdigest()).write_bytes(data)
    return folder


def run(target: Target, where: Path, seconds: int) -> None:
    """Hunt until the time is over or the process is stopped."""
    folder = prepare(target, where)
    hunt = Hunt(target, where)
    arguments = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=60", "-rss_limit_mb=2000"]
    arguments += ["-use_value_profile=1", "-print_final_stats=1", "-verbosity=0", str(folder)]
    atheris.Setup([sys.argv[0], *arguments], hunt.one)
    atheris.Fuzz()


def merge(target: Target, where: Path, result: Path) -> None:
    """Only the inputs that add coverage, into ``result``."""
    shutil.rmtree(result, ignore_errors=True)
    result.mkdir(parents=True)
    arguments = ["-merge=1", f"-max_len={LONGEST}", "-verbosity=0", str(result), str(where / "corpus")]
    atheris.Setup([sys.argv[0], *arguments], target.check)
    atheris.Fuzz()


def main(arguments: list[str]) -> int:
    """0 when it was done, 1 when faults were found."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("what", choices=["run", "merge", "pack"])
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--work", type=Path, default=Path(".local/fuzz"))
    options = parser.parse_args(arguments)
    where = options.work / options.target
    if options.what == "run":
        run(TARGETS[options.target], where, round(options.minutes * 60))
    elif options.what == "merge":
        merge(TARGETS[options.target], where, where / "merged")
    else:
        inputs = [path.read_bytes() for path in (where / "merged").iterdir()]
        print(f"{options.target}: {corpus.save(options.target, inputs)} of {len(inputs)} inputs packed")
        faults = sorted(path.name for path in (where / "faults").glob("*.txt"))
        for name in faults:
            print(f"fault: {where / 'faults' / name}", file=sys.stderr)
        return 1 if faults else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
