"""What the simulated carrier decides of one submit: pure, seeded, and independent of any protocol."""

from __future__ import annotations

import random
from enum import StrEnum

import msgspec

from carrier.model import ReportState
from sim.carrier.faults import Faults

_STATS = {
    ReportState.DELIVERED: ("DELIVRD", "000"),
    ReportState.UNDELIVERABLE: ("UNDELIV", "045"),
}


_DENIALS = (
    "silence", "half_open", "rate_limit", "window", "throttle", "refuse", "drop_response", "latency_ms", "latency_jitter_ms",
    "receipt_before_response",
)  # fmt: skip
_CHANCES = (
    "receipt_drop", "receipt_jitter_ms", "receipt_reorder", "receipt_before_response", "undelivered", "receipt_duplicate",
    "wrong_id",
)  # fmt: skip


class Fate(StrEnum):
    """What happens to a submit."""

    ACCEPT = "accept"
    THROTTLE = "throttle"
    REFUSE = "refuse"
    IGNORE = "ignore"
    """Neither accepted nor answered."""


class ReceiptPlan(msgspec.Struct, frozen=True, gc=False):
    """When a receipt comes, in seconds after the answer (negative: before it), and what it says."""

    delay_s: float
    state: ReportState
    stat: str
    error: str
    copies: int
    wrong_first: bool


class Behaviour:
    """Draws fates and receipts from the current faults; one per simulator."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._random = random.Random(faults.seed)
        self._settle()

    def change(self, faults: Faults) -> None:
        """Take on new faults; the generator starts again when the seed changed."""
        if faults.seed != self.faults.seed:
            self._random = random.Random(faults.seed)
        self.faults = faults
        self._settle()

    def _settle(self) -> None:
        """Look once at what cannot change from submit to submit."""
        faults = self.faults
        self.takes_all = not any(getattr(faults, name) for name in _DENIALS)
        """Whether every submit is accepted: its fate need not be asked for."""
        self._same_plan: ReceiptPlan | None = None
        if faults.receipts and not any(getattr(faults, name) for name in _CHANCES):
            delivered = ReportState.DELIVERED
            self._same_plan = ReceiptPlan(faults.receipt_delay_ms / 1000, delivered, *_STATS[delivered], 1, False)

    def fate(self, in_last_second: int, unanswered: int) -> Fate:
        """Decide a submit, given the account's accepts of the last second and the session's unanswered ones."""
        faults = self.faults
        if faults.silence or faults.half_open:
            return Fate.IGNORE
        if faults.rate_limit and in_last_second >= faults.rate_limit:
            return Fate.THROTTLE
        if faults.window and unanswered > faults.window:
            return Fate.THROTTLE
        if faults.throttle and self._random.random() < faults.throttle:
            return Fate.THROTTLE
        if faults.refuse and self._random.random() < faults.refuse:
            return Fate.REFUSE
        return Fate.ACCEPT

    def response_lost(self) -> bool:
        """Whether the answer to an accepted submit is lost."""
        return bool(self.faults.drop_response) and self._random.random() < self.faults.drop_response

    def latency_s(self) -> float:
        """Draw the time from a submit to its answer."""
        faults = self.faults
        if not faults.latency_jitter_ms:
            return faults.latency_ms / 1000
        return (faults.latency_ms + self._random.random() * faults.latency_jitter_ms) / 1000

    def garbage_now(self) -> bool:
        """Whether octets that are no PDU follow this write."""
        return self._hits(self.faults.garbage)

    def receipt(self, recipient: str) -> ReceiptPlan | None:
        """Plan the receipt of one accepted segment; None when it never comes."""
        faults, same = self.faults, self._same_plan
        failed = bool(faults.undelivered_suffix) and recipient.endswith(faults.undelivered_suffix)
        if same is not None and not failed:
            return same
        if not faults.receipts or self._hits(faults.receipt_drop):
            return None
        delay = faults.receipt_delay_ms / 1000
        if faults.receipt_jitter_ms:
            delay += self._random.random() * faults.receipt_jitter_ms / 1000
        if self._hits(faults.receipt_reorder):
            delay += faults.reorder_ms / 1000
        if self._hits(faults.receipt_before_response):
            delay = -1.0
        state = ReportState.DELIVERED
        if failed or self._hits(faults.undelivered):
            state = ReportState.UNDELIVERABLE
        stat, error = _STATS[state]
        copies = 2 if self._hits(faults.receipt_duplicate) else 1
        return ReceiptPlan(delay, state, stat, error, copies, self._hits(faults.wrong_id))

    def written_id(self, message_id: str) -> str:
        """Return the id as the receipt writes it."""
        match self.faults.receipt_id:
            case "dec":
                return str(int(message_id, 16))
            case "hex":
                return f"{int(message_id):x}"
            case "padded":
                return message_id.rjust(20, "0")
            case _:
                return message_id

    def _hits(self, ratio: float) -> bool:
        return bool(ratio) and self._random.random() < ratio
