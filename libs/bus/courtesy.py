"""How much bulk rests so that verification codes are quick.  Pure: time is an argument.

On a machine that bulk keeps full, every step of a code waits for a core, and its way through the services is some twenty steps.  What helps
is that bulk asks for less.  Wherever codes and bulk meet, what codes had to wait there is the signal and bulk's rest the means: it is
longest at the first slow code, shrinks while none is slow, grows again with one that is, and ends when no codes come or when resting does
not help them.
"""

from __future__ import annotations

from collections import deque
from statistics import median

RAISE_S = 0.05
"""The rest grows at most so often."""
LOWER_S = 0.25
"""It shrinks so often while no code is slow."""
LONGER, SHORTER = 3.0, 0.9

LEAST_REST_S = 0.02
MOST_REST_S = 0.25

FLOW_S = 2.0
"""So long after the last code bulk has the place for itself again."""

OTHER_S = 2.0
"""A code that took longer was held by a person or an outage, and no rest of bulk would have helped it."""

TRIAL_S = 10.0
FAR = 3
"""If most codes take several times the target although bulk has rested the most for so long, bulk is not what makes them slow."""
HELPLESS_S = 60.0
"""Bulk does not rest for so long after such a trial."""
EASED = 1.5
"""If most codes are slow after such a trial, though not by so much, this is what they take here (a disk, a distance): then only those are
slow that take so many times their median."""
EASED_FOR_S = 600.0
"""Until the target is tried again."""

FORGIVEN = 0.005
"""One slow code in two hundred is nobody's fault: however many codes flow, bulk does not rest for it."""


class Courtesy:
    """The rest of bulk at one place."""

    def __init__(self, target_s: float) -> None:
        """``target_s``: what a code may take here; 0: bulk never rests."""
        self._target_s = target_s
        self._rest_s = 0.0
        self._code_at = self._raised_at = self._set_at = self._helpless_at = float("-inf")
        self._trial_at = 0.0
        self._tried = self._far = 0
        self._took: deque[float] = deque(maxlen=512)
        self._eased_s = 0.0
        self._eased_at = float("-inf")
        self._credit = 0.0

    def code(self, took_s: float, now: float) -> None:
        """A code took ``took_s`` seconds, which was known at monotonic ``now``."""
        if not self._target_s or took_s > OTHER_S or now - self._helpless_at < HELPLESS_S:
            return
        if now - self._code_at > FLOW_S:
            self._rest_s = 0.0
        self._code_at = now
        self._tried += 1
        self._far += took_s > FAR * self._target_s
        self._took.append(took_s)
        eased = now - self._eased_at < EASED_FOR_S
        if took_s <= (self._eased_s if eased else self._target_s):
            self._credit = min(1.0, self._credit + FORGIVEN)
        elif self._credit >= 1.0:
            self._credit = 0.0
        else:
            self._set_at = now
            if now - self._raised_at >= RAISE_S:
                self._raise(now)

    def _raise(self, now: float) -> None:
        before = self._rest_s
        # The first slow code finds a machine that bulk has had for itself: what is under way must end before anything helps.
        self._rest_s = min(MOST_REST_S, before * LONGER) if before else MOST_REST_S
        self._raised_at = now
        if before < MOST_REST_S:
            self._trial_at, self._tried, self._far = now, 0, 0
            self._took.clear()
        elif now - self._trial_at >= TRIAL_S:
            usual = median(self._took)
            if self._far * 2 > self._tried:
                self._helpless_at, self._rest_s = now, 0.0
            elif usual > self._target_s:
                self._eased_at, self._eased_s = now, EASED * usual

    def rest(self, now: float) -> float:
        """Return the seconds bulk rests at monotonic ``now`` from one piece to the next."""
        if not self._rest_s:
            return 0.0
        if now - self._code_at > FLOW_S:
            self._rest_s = 0.0
        elif now - self._set_at >= LOWER_S:
            self._rest_s *= SHORTER
            if self._rest_s < LEAST_REST_S:
                self._rest_s = 0.0
            self._set_at = now
        return self._rest_s
