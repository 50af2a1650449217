"""The rate limiter of one link in one worker: never more than R submits in any second, as the carrier sees them.

The rule: a message may go out only while fewer than R others are *live*; a message is live from its sending until one second after
its response.  Proof: take any second [t, t + 1) at the carrier and the message m sent last among those that arrived in it.  Each
other one arrived at t or later, so its response came after t and it was live when m was sent (before t + 1).  Hence there are at
most R - 1 others.  Neither clocks nor network delays appear in the argument; the price is RTT / (1 + RTT) of the rate.

Pacing only smooths: a credit that grows with R and is capped, so that an idle link does not answer with a burst.  Pure: time is an
argument in monotonic seconds.
"""

from __future__ import annotations

from collections import deque

PERIOD_S = 1.0
"""The second of "messages a second"."""

BURST_S = 0.05
"""Seconds of credit kept: as much as one slow turn of the loop may delay a cycle without losing throughput."""

SLOWDOWN = 0.8
FLOOR = 0.05
RECOVERY_PER_S = 0.1
"""Throttled: rate times 0.8, not below 5 %, at most once in `COOL_S`; then 10 % of the agreed rate back every second."""
COOL_S = 0.25
PAUSE_S = 1.0
"""A link whose *whole* last second was throttled pauses this long (reference 1.5: "pause >= 1 s")."""


class ResponseTimedLimiter:
    """Counts live messages; see the module for the rule and its proof."""

    def __init__(self, rate: int, now: float) -> None:
        """``rate`` is in messages (segments) a second, 0 sends nothing."""
        self._rate = rate
        self._unanswered = 0
        self._leaving: deque[tuple[float, int]] = deque()
        self._leaving_count = 0
        self._credit = 0.0
        self._credited_at = now
        self._factor = 1.0
        self._factor_at = now
        self._throttled_at = float("-inf")
        self._accepted_since = True
        self._paused_until = float("-inf")

    @property
    def rate(self) -> int:
        """The rate that holds now, before any slow-down."""
        return self._rate

    def set_rate(self, rate: int, now: float) -> None:
        """Use ``rate`` from now on.  What was sent under the old one stays live, so lowering holds at once."""
        self._refill(now)
        self._rate = rate

    def live(self, now: float) -> int:
        """Return how many messages are unanswered or were answered less than a second ago."""
        leaving = self._leaving
        while leaving and leaving[0][0] <= now:
            self._leaving_count -= leaving.popleft()[1]
        return self._unanswered + self._leaving_count

    def available(self, now: float) -> int:
        """Return how many messages may be sent now."""
        if now < self._paused_until:
            return 0
        self._refill(now)
        return max(0, min(self.effective(now) - self.live(now), int(self._credit + 1e-9)))

    def within(self, now: float, ahead_s: float) -> int:
        """Return how many may be sent by ``now + ahead_s`` if nothing else happens; sends and changes nothing."""
        ready = self.available(now)
        at = now + ahead_s
        if at < self._paused_until:
            return ready
        rate = self.effective(now)
        freed = 0
        for leaves, count in self._leaving:
            if leaves > at:
                break
            freed += count
        credit = min(max(1.0, rate * BURST_S), self._credit + ahead_s * rate)
        return max(ready, min(rate - self.live(now) + freed, int(credit + 1e-9)))

    def effective(self, now: float) -> int:
        """Return the rate after slow-down, in messages a second."""
        if self._factor < 1.0:
            elapsed = max(0.0, now - self._factor_at)
            self._factor = min(1.0, self._factor + RECOVERY_PER_S * elapsed)
            self._factor_at = now
        return min(self._rate, max(1, int(self._rate * self._factor))) if self._rate else 0

    def sent(self, count: int, now: float) -> None:
        """Record that ``count`` messages go out now."""
        self._refill(now)
        self._credit -= count
        self._unanswered += count

    def answered(self, count: int, now: float) -> None:
        """Record ``count`` responses read now; also for messages given up when their connection closed."""
        count = min(count, self._unanswered)
        if not count:
            return
        self._unanswered -= count
        leaving = self._leaving
        if leaving and leaving[-1][0] >= now + PERIOD_S:
            until, before = leaving.pop()
            leaving.append((until, before + count))
        else:
            leaving.append((now + PERIOD_S, count))
        self._leaving_count += count

    def accepted(self) -> None:
        """Record that the carrier took something: it is not throttling everything."""
        self._accepted_since = True

    @property
    def refusing(self) -> bool:
        """Whether the carrier has taken nothing since it last throttled."""
        return not self._accepted_since

    def throttled(self, now: float) -> None:
        """Record that the carrier said it was too much: slow down, and pause when it took nothing since the last time."""
        if now - self._throttled_at < COOL_S:
            return
        self.effective(now)
        self._throttled_at = now
        self._factor = max(FLOOR, self._factor * SLOWDOWN)
        self._factor_at = now
        if not self._accepted_since:
            self._paused_until = now + PAUSE_S
        self._accepted_since = False

    def next_at(self, now: float) -> float | None:
        """Return when `available` may become positive by the passing of time alone, None when only a response can do that."""
        if now < self._paused_until:
            return self._paused_until
        rate = self.effective(now)
        if not rate:
            return None
        if self.live(now) >= rate:
            return self._leaving[0][0] if self._leaving else None
        self._refill(now)
        return now + max(0.0, (1.0 - self._credit) / rate)

    def _refill(self, now: float) -> None:
        elapsed = now - self._credited_at
        if elapsed <= 0:
            return
        rate = self.effective(now)
        self._credited_at = now
        self._credit = min(max(1.0, rate * BURST_S), self._credit + elapsed * rate)
