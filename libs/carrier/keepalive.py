"""When to ask the peer whether it is alive, and when a session without traffic has idled long enough.

An idle session is asked after ``keepalive_idle``; without an answer again after ``response``, ``keepalive_tries``
times in all (CMPP and SMGP: C, T, N). Anything heard, not only the answer, proves the peer alive.
"""

from __future__ import annotations

from enum import Enum, auto

from carrier.dialect import Limits


class Due(Enum):
    """What the clock asks for."""

    NOTHING = auto()
    ASK = auto()
    DEAD = auto()
    IDLE = auto()


class Keepalive:
    """One session's memory of when it was last heard, asked, and used."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._heard = now
        self._traffic = now
        self._asked: float | None = None
        self._tries = 0

    def heard(self, now: float) -> None:
        """A whole frame came in."""
        self._heard = now
        self._asked = None
        self._tries = 0

    def sent(self, now: float) -> None:
        """A message (not a keep-alive) went out or came in."""
        self._traffic = now

    def deadline(self) -> float | None:
        """When ``due`` will next say something; None for never."""
        limits = self._limits
        times: list[float] = []
        if self._asked is not None:
            times.append(self._asked + limits.response)
        elif limits.keepalive_idle:
            times.append(self._heard + limits.keepalive_idle)
        if limits.idle_close:
            times.append(self._traffic + limits.idle_close)
        return min(times, default=None)

    def due(self, now: float) -> Due:
        limits = self._limits
        if limits.idle_close and now >= self._traffic + limits.idle_close:
            return Due.IDLE
        if self._asked is not None:
            if now < self._asked + limits.response:
                return Due.NOTHING
            return Due.DEAD if self._tries >= limits.keepalive_tries else self._ask(now)
        if limits.keepalive_idle and now >= self._heard + limits.keepalive_idle:
            return self._ask(now)
        return Due.NOTHING

    def _ask(self, now: float) -> Due:
        self._asked = now
        self._tries += 1
        return Due.ASK
