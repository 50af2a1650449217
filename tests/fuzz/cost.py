"""What an input may cost: executed lines and peak memory, both at most linear in its size. Nothing here reads a clock."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable
from types import FrameType
from typing import Any

WATCHED = ("/libs/carrier/", "/libs/gsm/", "/libs/wappush/", "/libs/smstext/")

LINES_FIXED, LINES_PER_OCTET = 5_000, 60
"""The dearest octets are a modem's, which are looked at one by one, and a small PDU's, which is answered."""
MEMORY_FIXED, MEMORY_PER_OCTET = 128 << 10, 200
"""Octets. The fixed part is a session's own tables; an octet costs at most its share of an entry of a dictionary."""


class CostExceeded(AssertionError):
    """An input cost more than its size explains."""


Step = tuple[str, int, int]
"""A file, a line, and the line of the same function before it."""


def trace(work: Callable[[], object], see: Callable[[Step], None]) -> None:
    """Run ``work`` and tell every step inside the libraries."""
    watched: dict[str, bool] = {}

    def per_call(frame: FrameType, event: str, arg: Any) -> Any:
        name = frame.f_code.co_filename
        known = watched.get(name)
        if known is None:
            known = watched[name] = any(part in name for part in WATCHED)
        if not known:
            return None
        before = 0

        def per_line(inner: FrameType, event: str, arg: Any) -> Any:
            nonlocal before
            if event == "line":
                see((name, inner.f_lineno, before))
                before = inner.f_lineno
            return per_line

        return per_line

    previous = sys.gettrace()
    sys.settrace(per_call)
    try:
        work()
    finally:
        sys.settrace(previous)


def lines(work: Callable[[], object], most: int) -> int:
    """Executed lines of the libraries; stops with ``CostExceeded`` beyond ``most`` instead of waiting for the end."""
    count = 0

    def see(step: Step) -> None:
        nonlocal count
        count += 1
        if count > most:
            raise CostExceeded(f"more than {most} lines")

    trace(work, see)
    return count


def peak(work: Callable[[], object]) -> int:
    """Octets allocated at the worst moment beyond what was there before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def check(work: Callable[[], int]) -> None:
    """Raise ``CostExceeded`` when ``work`` executes or holds more than the octets allow that it says it was given."""
    size = work()
    lines(work, LINES_FIXED + LINES_PER_OCTET * size)
    held = min(peak(work) for _ in range(2))  # whoever watches us may make room for its own tables in one of them
    if held > MEMORY_FIXED + MEMORY_PER_OCTET * size:
        raise CostExceeded(f"{held} octets of memory for {size} octets of input")
