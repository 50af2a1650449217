"""When a task may be sent and until when it is valid (spec/dispatch.md, "Validity and scheduled time are honoured")."""

from __future__ import annotations

from contracts.lanes import Lane
from ingest.domain.refusal import Refused

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS

DEFAULT_VALIDITY_MS: dict[Lane, int] = {
    Lane.VERIFICATION: 10 * MINUTE_MS,
    Lane.NOTICE: DAY_MS,
    Lane.INTERNAL: DAY_MS,
    Lane.MARKETING: DAY_MS,
}
"""A code is worthless after ten minutes; everything else is news for a day."""

MIN_VALIDITY_S = 10
MAX_VALIDITY_S = 7 * 86_400
"""SMSCs keep a message for two to seven days; a longer promise could not be held."""
MAX_AHEAD_MS = 90 * DAY_MS
"""Farthest scheduled time: a quarter."""


def schedule(lane: Lane, now_ms: int, at_ms: int | None, validity_s: int | None) -> tuple[int, int]:
    """Return (not before, expires at) in Unix ms; not before is 0 for "at once".

    A time already past is "at once"; the validity counts from the time of sending.  Raises `Refused` (`schedule_too_far`,
    `validity_out_of_range`).
    """
    if at_ms is not None and at_ms > now_ms + MAX_AHEAD_MS:
        raise Refused("schedule_too_far", {"most_days": MAX_AHEAD_MS // DAY_MS})
    if validity_s is not None and not MIN_VALIDITY_S <= validity_s <= MAX_VALIDITY_S:
        raise Refused("validity_out_of_range", {"least": MIN_VALIDITY_S, "most": MAX_VALIDITY_S})
    not_before = at_ms if at_ms is not None and at_ms > now_ms else 0
    validity_ms = DEFAULT_VALIDITY_MS[lane] if validity_s is None else validity_s * 1000
    return not_before, (not_before or now_ms) + validity_ms
