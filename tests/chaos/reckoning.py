"""What a scenario came to: the figures, what must hold of them, and when the flow was normal again.  Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

FINAL_SENT = ("delivered", "failed", "unknown")
NORMAL = 0.8
"""Normal speed again: this share of the speed before the fault, over a second."""


@dataclass(frozen=True)
class Figures:
    """Both sides' counts at the end of a scenario; see `faults_of` for what must hold."""

    scenario: str
    seed: int
    messages: int
    agreed: dict[str, int]
    states: dict[str, int]
    unapproved: int
    carrier: dict[str, Any]
    charged: dict[str, Any]
    uncertain: int
    retries: dict[str, int]
    faults: list[dict[str, Any]]
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        """Messages accepted from the business system that the carrier never saw."""
        return max(0, self.messages - int(self.carrier["distinct"]))

    @property
    def duplicated(self) -> int:
        return int(self.carrier["duplicates"])

    @property
    def sessions_ended(self) -> int:
        """Sessions the carrier had and has no more: each may leave one window uncertain."""
        return int(self.carrier["binds_accepted"]) - int(self.carrier["sessions"])

    def wrong(self, *, held: int, blocked: int) -> list[str]:
        """Return what does not hold, in words; empty is what every scenario asks for."""
        carrier, charged, agreed = self.carrier, self.charged, self.agreed
        sent = sum(self.states.get(name, 0) for name in FINAL_SENT)
        most_uncertain = agreed["window"] * self.sessions_ended + int(carrier["unanswered"])
        facts = {
            f"lost {self.lost}": self.lost == 0,
            f"{sent} of {self.messages} in a final state of what was sent; ledger {self.states}": sent == self.messages,
            f"ledger total {self.states.get('total')}": self.states.get("total") == self.messages + self.unapproved,
            f"held {self.states.get('held', 0)} of {held}": self.states.get("held", 0) == held,
            f"blocked {self.states.get('blocked', 0)} of {blocked}": self.states.get("blocked", 0) == blocked,
            f"unapproved reached the carrier: {carrier['distinct']} seen": int(carrier["distinct"]) <= self.messages,
            f"duplicates {self.duplicated} > uncertain {self.uncertain}": self.duplicated <= self.uncertain,
            f"uncertain {self.uncertain} > {most_uncertain}": self.uncertain <= most_uncertain,
            f"{carrier['max_submits_in_1s']} submits in a second, agreed {agreed['rate']}": (
                carrier["max_submits_in_1s"] <= agreed["rate"]
            ),
            f"{carrier['sessions_max']} sessions, agreed {agreed['sessions']}": (
                carrier["sessions_max"] <= agreed["sessions"]
            ),
            f"charged {_without_lists(charged)}": (
                charged["ok"]
                and charged["answered"] == charged["closed"] == charged["filed"] == self.messages
                and charged["doubled_records"] == charged["missing"] == charged["unfounded"] == 0
                and charged["file_records"] == self.messages
                and charged["file_gaps"] == 0
            ),
        }
        return [fact for fact, holds in facts.items() if not holds]

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        carrier = {name: value for name, value in self.carrier.items() if name != "accounts"}
        return {
            **asdict(self),
            "carrier": carrier,
            "charged": _without_lists(self.charged),
            "lost": self.lost,
            "duplicated": self.duplicated,
            "sessions_ended": self.sessions_ended,
        }


def _without_lists(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if not isinstance(value, list)}


def flow_again(samples: list[tuple[float, int]], at: float, began: float) -> float | None:
    """Return after how many seconds from ``at`` the carrier took messages at normal speed again, None when not seen.

    ``samples`` are (monotonic seconds, messages accepted so far); the usual speed is that of the seconds before ``began``.
    0 means that the fault was not to be seen in the flow.
    """
    before = [sample for sample in samples if began - 2.5 <= sample[0] <= began]
    if len(before) < 2 or before[-1][1] == before[0][1]:
        return None
    usual = (before[-1][1] - before[0][1]) / (before[-1][0] - before[0][0])
    after = [sample for sample in samples if sample[0] > at]
    slow_until: float | None = None
    for place, (moment, count) in enumerate(after):
        later = next((sample for sample in after[place:] if sample[0] >= moment + 1.0), None)
        if later is None:
            return None
        speed = (later[1] - count) / (later[0] - moment)
        if speed >= NORMAL * usual:
            if slow_until is None and moment - at < 1.0:
                # Not slow yet: a fault may bite a little later, so look on for a second.
                continue
            return 0.0 if slow_until is None else moment - at
        slow_until = moment
    return None
