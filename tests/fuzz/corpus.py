"""The committed corpora: one file a target, one input a line in hexadecimal, the shortest first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from fuzz import cost

HERE = Path(__file__).parent / "corpus"
LARGEST = 120_000
"""Octets of one file: all of them together stay below a megabyte."""


def load(target: str) -> list[bytes]:
    """Inputs of a target; none when it has no file yet."""
    path = HERE / f"{target}.hex"
    lines = path.read_text("ascii").split() if path.exists() else []
    return [bytes.fromhex(line) for line in lines]


def save(target: str, inputs: Iterable[bytes]) -> int:
    """Write as many inputs as the file may hold and return how many that are."""
    chosen: list[str] = []
    size = 0
    for data in sorted(set(inputs), key=lambda one: (len(one), one)):
        size += 2 * len(data) + 1
        if data and size <= LARGEST:
            chosen.append(data.hex())
    HERE.mkdir(exist_ok=True)
    (HERE / f"{target}.hex").write_text("".join(f"{line}\n" for line in chosen), "ascii")
    return len(chosen)


def _count(steps: Counter[cost.Step], step: cost.Step) -> None:
    steps[step] += 1


def minimised(check: Callable[[bytes], object], inputs: Iterable[bytes]) -> list[bytes]:
    """The inputs that reach a step from line to line, or its repetition, which no smaller one reached."""
    reached: set[tuple[cost.Step, int]] = set()
    chosen = []
    for data in sorted(set(inputs), key=lambda one: (len(one), one)):
        steps: Counter[cost.Step] = Counter()
        try:
            cost.trace(partial(check, data), partial(_count, steps))
        except Exception:  # noqa: BLE001 - a fault is kept elsewhere and must not be committed
            continue
        new = {(step, min(count, 16).bit_length()) for step, count in steps.items()} - reached
        if new:
            reached |= new
            chosen.append(data)
    return chosen
