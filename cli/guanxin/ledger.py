"""The ledger: our states held against the carriers' own counts.  Pure.

`lost` counts messages we believe a carrier accepted and no carrier saw.  The simulators count since their last reset, so both sides
must cover the same run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SENT = ("submitted", "delivered", "unknown")
"""States that say a carrier accepted the message.  `failed` does not: it may have been refused, which the carrier counts apart."""

COUNTED = ("submits", "accepted", "rejected", "distinct", "duplicates", "unjoined", "receipts_sent", "sessions_max")
"""What of the carriers' counts is shown; all of it can be added up."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """Both sides of a run."""

    accepted: int
    states: dict[str, int]
    carrier: dict[str, int] | None
    lost: int = 0
    duplicated: int = 0
    unaccounted: int = 0
    gateways: dict[str, dict[str, int]] = field(default_factory=dict)
    """The carriers' counts by gateway, where there is more than one."""
    notes: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is lost and every message is in exactly one state."""
        return not self.lost and not self.unaccounted

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "accepted": self.accepted,
            "states": self.states,
            "carrier": self.carrier,
            "gateways": self.gateways,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "unaccounted": self.unaccounted,
            "holds": self.holds,
        }


def compare(ours: dict[str, Any], theirs: Sequence[dict[str, Any]]) -> Ledger:
    """Return the ledger of ingest's document and the simulators' statistics (none: only our side)."""
    states: dict[str, int] = {name: count for name, count in ours["states"].items() if count}
    unaccounted = ours["accepted"] - sum(ours["states"].values())
    if not theirs:
        return Ledger(ours["accepted"], states, None, unaccounted=unaccounted)
    carrier = {name: sum(int(each.get(name, 0)) for each in theirs) for name in COUNTED}
    carrier["max_submits_in_1s"] = max(int(each["max_submits_in_1s"]) for each in theirs)
    sent = sum(states.get(name, 0) for name in SENT)
    lost = max(0, sent - carrier["distinct"])
    return Ledger(ours["accepted"], states, carrier, lost, carrier["duplicates"], unaccounted, _gateways(theirs))


def _gateways(theirs: Sequence[dict[str, Any]]) -> dict[str, dict[str, int]]:
    """Return the counts of each gateway, none when there is only one."""
    found = {
        name: {column: int(counts.get(column, 0)) for column in COUNTED}
        for each in theirs
        for name, counts in each.get("gateways", {}).items()
    }
    return found if len(found) > 1 else {}
