"""What becomes of a submit that was not plainly accepted, and how long to wait: one visible table per question.  Pure."""

from __future__ import annotations

from enum import StrEnum

from contracts.lanes import LANES, Lane


class Rule(StrEnum):
    """What happens to an uncertain submit."""

    RESEND = "resend"
    HOLD = "hold"
    """Wait for a receipt first; send again when none came."""


UNCERTAIN_RULES: dict[Lane, Rule] = {
    Lane.VERIFICATION: Rule.RESEND,
    Lane.NOTICE: Rule.RESEND,
    Lane.INTERNAL: Rule.RESEND,
    Lane.MARKETING: Rule.HOLD,
}
"""spec/dispatch.md, "Crash rules"."""

TEMPORARY_ATTEMPTS = 5
"""Submits of a segment that end in a temporary error before the message fails."""

THROTTLE_FIRST_MS = 200
THROTTLE_MOST_MS = 5_000
TEMPORARY_FIRST_MS = 1_000
TEMPORARY_MOST_MS = 60_000


def rule_of(lane_rank: int) -> Rule:
    """Return the rule of a class, given as its rank."""
    return UNCERTAIN_RULES[LANES[lane_rank]]


def throttle_delay_ms(attempt: int, jitter: float) -> int:
    """Return how long a throttled segment waits; ``attempt`` counts from 0, ``jitter`` is in [0, 1)."""
    return _back_off(THROTTLE_FIRST_MS, THROTTLE_MOST_MS, attempt, jitter)


def temporary_delay_ms(attempt: int, jitter: float) -> int:
    """Return how long a segment with a temporary error waits."""
    return _back_off(TEMPORARY_FIRST_MS, TEMPORARY_MOST_MS, attempt, jitter)


def uncertain_delay_ms(attempt: int, jitter: float) -> int:
    """Return how long an uncertain segment waits before it is sent again; ``attempt`` counts its resends so far.

    The first resend is at once.  A segment whose resends stay unanswered too may be what breaks the session: it must not break it
    as often as it can be written.
    """
    return 0 if attempt == 0 else _back_off(TEMPORARY_FIRST_MS, TEMPORARY_MOST_MS, attempt - 1, jitter)


RECONNECT_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Reference 13.2."""
REFUSED_CREDENTIALS_S = 60.0


def reconnect_delay_s(failures: int, jitter: float, *, credentials: bool = False) -> float:
    """Return seconds until the next connection attempt after ``failures`` in a row; at least a minute when we were unknown.

    ``jitter`` in [0, 1) spreads workers over up to half of the step, upwards only when the minute is a minimum.
    """
    step = RECONNECT_S[min(max(failures, 1), len(RECONNECT_S)) - 1]
    if credentials:
        return max(step, REFUSED_CREDENTIALS_S) * (1.0 + 0.25 * jitter)
    return step * (0.5 + 0.5 * jitter)


def _back_off(first: int, most: int, attempt: int, jitter: float) -> int:
    step = min(most, first << min(attempt, 16))
    return int(step * (0.5 + 0.5 * jitter))
