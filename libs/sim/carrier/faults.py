"""How the simulated carrier behaves and misbehaves: one bounded, validated record, changed as a whole or in part.

Pure.  Chance is drawn from a seeded generator, so that a run can be repeated.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Ratio = Annotated[float, msgspec.Meta(ge=0, le=1)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0, le=3_600_000)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class FaultsError(ValueError):
    """The requested behaviour is not possible; the text names the field and the reason."""


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every knob with its well-behaved default.  Ratios are shares of the submits or receipts concerned."""

    rate_limit: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] = 0
    """Submits accepted a second, over all sessions of an account; more is answered `throttled`.  0: no limit."""
    window: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    """Unanswered submits a session may have; more is answered `throttled` and counted.  0: no limit."""
    latency_ms: Milliseconds = 0
    """Time from a submit to its answer."""
    receipts: bool = True
    receipt_delay_ms: Milliseconds = 50
    receipt_jitter_ms: Milliseconds = 0
    """Added to the delay, evenly spread: receipts overtake one another."""
    receipt_before_response: Ratio = 0
    """Receipts that are sent before the answer to their submit."""
    receipt_reorder: Ratio = 0
    """Receipts that come `reorder_ms` late, behind younger ones."""
    reorder_ms: Milliseconds = 200
    receipt_duplicate: Ratio = 0
    """Receipts that are sent twice."""
    receipt_drop: Ratio = 0
    """Receipts that never come."""
    receipt_elsewhere: bool = True
    """Receipts go to the account's sessions in turn, not only to the one that submitted."""
    wrong_id: Ratio = 0
    """Receipts that carry an id nobody was given, before the right one."""
    receipt_id: str = "same"
    """Notation of the id in receipts: `same`, `hex`, `dec`, `padded` (leading zeros)."""
    undelivered: Ratio = 0
    """Messages whose receipt says undeliverable."""
    undelivered_suffix: Annotated[str, msgspec.Meta(max_length=11)] = "0404"
    """Recipients ending in this are never delivered to: a way to see a failure on demand."""
    throttle: Ratio = 0
    """Submits answered `throttled` at random."""
    refuse: Ratio = 0
    """Submits answered with a permanent error at random."""
    drop_response: Ratio = 0
    """Submits that are accepted and delivered, but whose answer is lost."""
    silence: bool = False
    """Reads everything, answers nothing, not even keep-alives; accepts nothing."""
    half_open: bool = False
    """Answers keep-alives, but no submit; accepts nothing."""
    disconnect_every_s: Seconds = 0
    """Cuts every session, one after another, with this pause between two cuts."""
    refuse_bind: bool = False
    """Refuses every bind as a temporary error."""
    wrong_proof: bool = False
    """Binds are accepted with a digest made of another secret, where the protocol has one."""
    newest_wins: bool = False
    """A session above the agreed number is let in and the account's oldest is cut, instead of the refusal."""
    latency_jitter_ms: Milliseconds = 0
    """Added to the latency, evenly spread: answers overtake one another."""
    fragment_octets: Annotated[int, msgspec.Meta(ge=0, le=65_536)] = 0
    """Largest piece written at once; 0: everything in one."""
    cut_after_octets: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0
    """Each session is cut after so many octets to the client, wherever in a PDU that is; 0: never."""
    garbage: Ratio = 0
    """Writes after which octets follow that are no PDU."""
    listener_pause_ms: Milliseconds = 1000
    """Pause before an account's own listener is called again after it refused or could not be reached."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**32)] = 1

    def __post_init__(self) -> None:
        if self.receipt_id not in {"same", "hex", "dec", "padded"}:
            raise ValueError(f"receipt_id: {self.receipt_id!r} is none of same, hex, dec, padded")
        if self.undelivered_suffix and not self.undelivered_suffix.isdecimal():
            raise ValueError("undelivered_suffix: digits only")


def changed(current: Faults, change: dict[str, Any]) -> Faults:
    """Return ``current`` with the fields of ``change`` replaced; raises `FaultsError` naming what is wrong."""
    try:
        return msgspec.convert({**msgspec.to_builtins(current), **change}, Faults)
    except msgspec.ValidationError as error:
        raise FaultsError(str(error)) from error
