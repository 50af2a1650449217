"""Quiet hours of marketing: not sent from 21:00 to 08:00 Chinese time, checked at the moment of sending.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

DAY_MS = 86_400_000
CHINA_OFFSET_MS = 8 * 3_600_000
"""China has one time zone without summer time (GB/T 7408): UTC+8 all year."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From ``begin`` to ``end``, minutes of the day in China; equal means never quiet."""

    begin: int = 21 * 60
    end: int = 8 * 60

    @classmethod
    def parse(cls, text: str) -> QuietHours:
        """Return the hours of ``21:00-08:00``; empty text means none.  Raises ValueError."""
        if not text:
            return cls(0, 0)
        begin, _, end = text.partition("-")
        return cls(_minutes(begin), _minutes(end))

    def ends_at(self, now_ms: int) -> int:
        """Return Unix ms at which the quiet time that holds at ``now_ms`` ends, 0 when it is not quiet then."""
        if self.begin == self.end:
            return 0
        local = now_ms + CHINA_OFFSET_MS
        midnight = local - local % DAY_MS
        minute = (local - midnight) // 60_000
        if self.begin < self.end:
            quiet, wraps = self.begin <= minute < self.end, False
        else:
            quiet, wraps = minute >= self.begin or minute < self.end, minute >= self.begin
        if not quiet:
            return 0
        return midnight + (DAY_MS if wraps else 0) + self.end * 60_000 - CHINA_OFFSET_MS


def _minutes(text: str) -> int:
    hours, _, minutes = text.strip().partition(":")
    value = int(hours) * 60 + int(minutes)
    if not (0 <= value < 24 * 60):
        raise ValueError(f"not a time of day: {text!r}")
    return value
