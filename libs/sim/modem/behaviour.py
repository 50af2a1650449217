"""What a simulated modem decides: pure, seeded, one per modem."""

from __future__ import annotations

import random
from enum import StrEnum

import msgspec

from sim.modem.faults import ModemFaults

DELIVERED = 0x00
_TRYING = 0x21  # SME busy, still trying
_UNDELIVERABLE = 0x49  # message does not exist any more; permanent (TS 23.040 clause 9.2.3.15)


class Fate(StrEnum):
    """What happens to a message whose PDU is complete."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    SWALLOW = "swallow"
    """Neither sent nor answered."""
    REBOOT = "reboot"


class ReportPlan(msgspec.Struct, frozen=True, gc=False):
    """Status reports of one message: seconds after the answer (negative: before it), and TP-STs in their order."""

    delay_s: float
    states: tuple[int, ...]
    wrong_first: bool


class Behaviour:
    """Draws from the current faults."""

    def __init__(self, faults: ModemFaults, salt: int = 0) -> None:
        self.faults = faults
        self._salt = salt
        self._random = random.Random(faults.seed + salt)

    def change(self, faults: ModemFaults) -> None:
        """Take on new faults; the generator starts again when the seed changed."""
        if faults.seed != self.faults.seed:
            self._random = random.Random(faults.seed + self._salt)
        self.faults = faults

    def hits(self, ratio: float) -> bool:
        """Whether something of this chance happens now."""
        return bool(ratio) and self._random.random() < ratio

    def place(self, size: int) -> int:
        """A place among so many."""
        return self._random.randrange(size)

    def fate(self) -> Fate:
        """Decide a message."""
        faults = self.faults
        if self.hits(faults.reboot):
            return Fate.REBOOT
        if self.hits(faults.swallow):
            return Fate.SWALLOW
        return Fate.REFUSE if self.hits(faults.refuse) else Fate.ACCEPT

    def send_s(self) -> float:
        """Draw the time from the end of a PDU to its answer."""
        return (self.faults.send_ms + self._random.random() * self.faults.send_jitter_ms) / 1000

    def reports(self, recipient: str) -> ReportPlan | None:
        """Plan the reports of one sent message; None when none ever comes."""
        faults = self.faults
        if not faults.reports or self.hits(faults.report_drop):
            return None
        delay = (faults.report_delay_ms + self._random.random() * faults.report_jitter_ms) / 1000
        if self.hits(faults.report_reorder):
            delay += faults.reorder_ms / 1000
        if self.hits(faults.report_before_response):
            delay = -1.0
        failed = bool(faults.undelivered_suffix) and recipient.endswith(faults.undelivered_suffix)
        final = _UNDELIVERABLE if failed or self.hits(faults.undelivered) else DELIVERED
        states = (final, final) if self.hits(faults.report_duplicate) else (final,)
        if self.hits(faults.report_still_trying):
            states = (_TRYING, *states)
        return ReportPlan(delay, states, self.hits(faults.wrong_reference))
