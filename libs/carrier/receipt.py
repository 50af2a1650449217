"""The textual delivery receipt of SMPP 3.4 appendix B, as carriers really write it, and the state words all dialects share."""

from __future__ import annotations

import re
from typing import NamedTuple

from carrier.model import ReportState

STATES = {
    b"ENROUTE": ReportState.ENROUTE,
    b"DELIVRD": ReportState.DELIVERED,
    b"EXPIRED": ReportState.EXPIRED,
    b"DELETED": ReportState.DELETED,
    b"UNDELIV": ReportState.UNDELIVERABLE,
    b"ACCEPTD": ReportState.ACCEPTED,
    b"UNKNOWN": ReportState.UNKNOWN,
    b"REJECTD": ReportState.REJECTED,
}
WORDS = {state: word.decode() for word, state in STATES.items()}


class Receipt(NamedTuple):
    """The parts of a receipt as text; empty where missing."""

    id: bytes
    submitted: bytes
    done: bytes
    stat: bytes
    error: bytes
    text: bytes


_USUAL = re.compile(
    rb"id:([^ ]*) sub:\d* dlvrd:\d* submit date:(\d*) done date:(\d*) stat:([^ ]*) err:([^ ]*)(?: [Tt]ext:(.*))?\Z",
    re.DOTALL,
)
_ID = re.compile(rb"\bid:\s*([^\s]*)", re.IGNORECASE)
_SUBMITTED = re.compile(rb"\bsubmit[ _]?date:\s*(\d*)", re.IGNORECASE)
_DONE = re.compile(rb"\bdone[ _]?date:\s*(\d*)", re.IGNORECASE)
_STAT = re.compile(rb"\bstat:\s*(\w[^\s]*)", re.IGNORECASE)
_ERROR = re.compile(rb"\berr:\s*([^\s]*)", re.IGNORECASE)
_TEXT = re.compile(rb"\bte?xt:(.*)\Z", re.IGNORECASE | re.DOTALL)


def parse(content: bytes) -> Receipt | None:
    """The receipt in ``content``; None when there is neither an id nor a state to be found in it.

    Keys in any case, fields missing or with vendor words, dates of any number of digits are all seen in the field.
    """
    usual = _USUAL.match(content)
    if usual is not None:
        found = usual.groups(b"")
        return Receipt(*found)
    text = _TEXT.search(content)
    head = content[: text.start()] if text else content
    receipt = Receipt(
        _first(_ID, head),
        _first(_SUBMITTED, head),
        _first(_DONE, head),
        _first(_STAT, head),
        _first(_ERROR, head),
        text.group(1) if text else b"",
    )
    return receipt if receipt.id or receipt.stat else None


def state_of(stat: bytes) -> ReportState:
    """The state of a status word; a vendor's own word is a failure (reference 2.15: everything else is failure)."""
    known = STATES.get(stat)
    return known if known is not None else STATES.get(stat.strip().upper()[:7], ReportState.UNDELIVERABLE)


def _first(pattern: re.Pattern[bytes], content: bytes) -> bytes:
    found = pattern.search(content)
    return found.group(1) if found else b""
