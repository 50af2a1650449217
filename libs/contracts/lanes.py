"""Message classes and the lanes that carry them.

A lane is a message class.  Every stage of the pipeline has one topic per lane, so that a verification code never queues behind
anything else.  Order here is priority: lower rank goes first (spec/dispatch.md, "Priority").
"""

from __future__ import annotations

from enum import StrEnum


class Lane(StrEnum):
    """Class of a message; the value is what stands in events, topic names and the API."""

    VERIFICATION = "verification"
    NOTICE = "notice"
    INTERNAL = "internal"
    MARKETING = "marketing"

    @property
    def rank(self) -> int:
        """Priority, 0 first."""
        return LANES.index(self)


LANES: tuple[Lane, ...] = (Lane.VERIFICATION, Lane.NOTICE, Lane.INTERNAL, Lane.MARKETING)
