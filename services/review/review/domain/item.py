"""The life of a held task: states, who may move it where, and what is said to the caller about it.

Every transition is a compare-and-set on the state in the store; the table here is the only place that says what is
legal.
"""

from __future__ import annotations

from enum import StrEnum

from contracts.events.review import Decision


class ItemState(StrEnum):
    """Status of a held task (review.md, "Interface")."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    OUTSIDE_REVIEW_HOURS = "outside_review_hours"
    OUTSIDE_SENDING_WINDOW = "outside_sending_window"
    WITHDRAWN = "withdrawn"


OPEN: tuple[ItemState, ...] = (ItemState.QUEUED, ItemState.CLAIMED)
"""States in which the task waits for a person."""

UNDOABLE: tuple[ItemState, ...] = (ItemState.APPROVED, ItemState.REJECTED)
"""States a reviewer may take back until they are published."""

MOVES: dict[ItemState, frozenset[ItemState]] = {
    ItemState.QUEUED: frozenset(
        {ItemState.CLAIMED, ItemState.EXPIRED, ItemState.WITHDRAWN, ItemState.OUTSIDE_SENDING_WINDOW}
    ),
    ItemState.CLAIMED: frozenset(
        {
            ItemState.QUEUED,
            ItemState.APPROVED,
            ItemState.REJECTED,
            ItemState.EXPIRED,
            ItemState.WITHDRAWN,
            ItemState.OUTSIDE_SENDING_WINDOW,
        }
    ),
    # Undo within ten seconds; validity may end before the release; the caller may withdraw until it is published.
    ItemState.APPROVED: frozenset({ItemState.CLAIMED, ItemState.EXPIRED, ItemState.WITHDRAWN}),
    ItemState.REJECTED: frozenset({ItemState.CLAIMED, ItemState.WITHDRAWN}),
    ItemState.EXPIRED: frozenset(),
    ItemState.OUTSIDE_REVIEW_HOURS: frozenset(),
    ItemState.OUTSIDE_SENDING_WINDOW: frozenset(),
    ItemState.WITHDRAWN: frozenset(),
}

_SAID: dict[ItemState, Decision] = {
    ItemState.QUEUED: Decision.HELD,
    ItemState.CLAIMED: Decision.CLAIMED,
    ItemState.APPROVED: Decision.RELEASED,
    ItemState.REJECTED: Decision.REJECTED,
    ItemState.EXPIRED: Decision.EXPIRED,
    ItemState.OUTSIDE_REVIEW_HOURS: Decision.OUTSIDE_REVIEW_HOURS,
    ItemState.OUTSIDE_SENDING_WINDOW: Decision.OUTSIDE_SENDING_WINDOW,
    ItemState.WITHDRAWN: Decision.WITHDRAWN,
}

UNDO_MS = 10_000
"""A decision is published this long after it was made and can be taken back until then (review.md, "The console")."""

WARN_MS = 45 * 60_000
ESCALATE_MS = 60 * 60_000
"""The queue warns at 45 minutes and escalates to the supervisor at 60 (review.md, "Hours")."""


class Urgency(StrEnum):
    """How long a task has waited, as the queue shows it."""

    FRESH = "fresh"
    WARN = "warn"
    ESCALATED = "escalated"


def may(old: ItemState, new: ItemState) -> bool:
    """Return whether the transition is legal."""
    return new in MOVES[old]


def sources(new: ItemState) -> list[str]:
    """Return the states from which ``new`` can be reached: the right side of the store's compare-and-set."""
    return [old.value for old, targets in MOVES.items() if new in targets]


def said(state: ItemState) -> Decision:
    """Return what the event says of a task in that state."""
    return _SAID[state]


def urgency(queued_ms: int, now_ms: int) -> Urgency:
    """Return how urgent a task is that has waited since ``queued_ms``."""
    waited = now_ms - queued_ms
    if waited >= ESCALATE_MS:
        return Urgency.ESCALATED
    return Urgency.WARN if waited >= WARN_MS else Urgency.FRESH


def own_task(user: str, reviewer: str, linked: list[str]) -> bool:
    """Return whether the reviewer posted the task himself, under his name or an API user linked to him: then he may
    not decide it.
    """
    return bool(user) and (user == reviewer or user in linked)
