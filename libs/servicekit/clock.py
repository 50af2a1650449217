"""Time as an argument: the only clock a service may read, and a detector for jumps of the wall clock.

Deadlines are monotonic seconds; validity and quiet hours are wall time (architecture.md, "The no-loss chain
elsewhere").
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where a handler gets its time from; tests pass their own."""

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clocks."""

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Return seconds since some moment; stands still for nobody but a suspended machine."""
        return time.monotonic()


class JumpDetector:
    """Notices that the wall clock was set, by comparing it with the monotonic one."""

    def __init__(self, clock: Clock, threshold_ms: int = 2_000) -> None:
        """Watch ``clock``; drifts below ``threshold_ms`` between two checks are ordinary clock discipline."""
        self._clock = clock
        self._threshold_ms = threshold_ms
        self._offset_ms = self._offset()

    def check(self) -> int:
        """Return by how many milliseconds the wall clock jumped since the last check (negative: backwards), 0 if it did
        not.
        """
        offset = self._offset()
        jump = offset - self._offset_ms
        self._offset_ms = offset
        return jump if abs(jump) >= self._threshold_ms else 0

    def _offset(self) -> int:
        return self._clock.wall_ms() - round(self._clock.monotonic() * 1_000)
