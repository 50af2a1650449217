"""Caps on verification codes: so many a minute, an hour and a day from one port to one number.

Only codes that went through are remembered: what was refused was never sent.  By event time, like the sender windows,
and kept in the same log; a code already in the log passes again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

MAX_NUMBERS = 300_000
"""Numbers remembered of one partition; the one silent longest is forgotten first."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Codes from one port to one number; 0 switches a limit off."""

    per_minute: int = 1
    per_hour: int = 5
    per_day: int = 10


@dataclass(frozen=True, slots=True)
class Capped:
    """Which limit a code would pass, and how many went before it within that time."""

    limit: str
    figure: int


class CodeCaps:
    """The caps of one partition; the key is (`<tenant>:<enterprise>`, port, number)."""

    def __init__(self, limits: Limits) -> None:
        """Take the limits; a change of limits is a new object."""
        self._spans = [
            (name, limit, span)
            for name, limit, span in (
                ("minute", limits.per_minute, MINUTE_MS),
                ("hour", limits.per_hour, HOUR_MS),
                ("day", limits.per_day, DAY_MS),
            )
            if limit
        ]
        # Twice what any limit looks at: a code that comes again after others must not push one of them out.
        self._kept = 2 * max((limit for _, limit, _ in self._spans), default=0)
        self._sent: OrderedDict[tuple[str, str], list[tuple[int, str, int]]] = OrderedDict()

    def recall(self, enterprise: str, sender: str, chunk_id: str, index: int, at: int) -> None:
        """Take a record of the log."""
        self._remember(enterprise, sender, (at, chunk_id, index))

    def admit(self, enterprise: str, sender: str, chunk_id: str, index: int, at: int) -> tuple[Capped | None, bool]:
        """Return (the limit in the way, if any; whether the code is new to the log)."""
        sent = self._sent.get((enterprise, sender), [])
        if any(chunk == chunk_id and number == index for _, chunk, number in sent):
            return None, False
        for name, limit, span in self._spans:
            figure = sum(1 for other, _, _ in sent if abs(at - other) < span)
            if figure >= limit:
                return Capped(name, figure), False
        if self._spans:
            self._remember(enterprise, sender, (at, chunk_id, index))
        return None, bool(self._spans)

    def _remember(self, enterprise: str, sender: str, code: tuple[int, str, int]) -> None:
        key = (enterprise, sender)
        sent = self._sent.get(key)
        if sent is None:
            self._sent[key] = [code]
            if len(self._sent) > MAX_NUMBERS:
                self._sent.popitem(last=False)
            return
        self._sent.move_to_end(key)
        if code not in sent:
            sent.append(code)
            del sent[: -self._kept]
