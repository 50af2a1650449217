"""The states of a message and which of them wins.

One octet a message in a state vector.  Events arrive from several topics and may be repeated or out of order, so a state is
never "set": it is raised to the stronger of the old and the new (spec/dispatch.md, "Receipts and status").
"""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    """Value is what is stored, one octet; the name in lower case is what callers see.

    A greater value wins over a smaller one.  Those from `BLOCKED` on are final.
    """

    ACCEPTED = 10
    SCHEDULED = 12
    HELD = 20
    RELEASED = 25
    """Approved by a person, and dispatch has not said yet that it has it; callers see `queued`."""
    QUEUED = 30
    SUBMITTED = 40
    UNCERTAIN = 45
    BLOCKED = 60
    REJECTED = 61
    CANCELLED = 62
    EXPIRED = 63
    UNKNOWN = 70
    FAILED = 80
    DELIVERED = 90

    @property
    def final(self) -> bool:
        """Whether no further transition is expected."""
        return self >= State.BLOCKED

    @property
    def label(self) -> str:
        """The state's name in the API."""
        return "queued" if self is State.RELEASED else self.name.lower()


# A submit that was uncertain and is answered after all is submitted, not uncertain: the answer is later knowledge.
# It is the one case in which a smaller value replaces a greater one.
_REPLACES = {(State.UNCERTAIN, State.SUBMITTED), (State.UNCERTAIN, State.QUEUED)}


def stronger(old: int, new: int) -> int:
    """Return the state that stands after ``new`` arrives where ``old`` stood (both octets of a state vector)."""
    if (old, new) in _REPLACES:
        return new
    return max(old, new)


FINAL_STATES: frozenset[State] = frozenset(state for state in State if state.final)
STATE_BY_LABEL: dict[str, State] = {state.label: state for state in State}
"""The greatest state of each name: `queued` is QUEUED."""
