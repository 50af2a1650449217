"""The committed corpora: one file a target, one input a line in hexadecimal, the shortest first."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

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
