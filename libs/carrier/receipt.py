"""The textual delivery receipt of SMPP 3.4 appendix B, as carriers really write it, and the state words all dialects
share.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from carrier.model import ReportState

STATES = {
    "ENROUTE": ReportState.ENROUTE,
    "DELIVRD": ReportState.DELIVERED,
    "EXPIRED": ReportState.EXPIRED,
    "DELETED": ReportState.DELETED,
    "UNDELIV": ReportState.UNDELIVERABLE,
    "ACCEPTD": ReportState.ACCEPTED,
    "UNKNOWN": ReportState.UNKNOWN,
    "REJECTD": ReportState.REJECTED,
}
WORDS = {state: word for word, state in STATES.items()}


class Receipt(NamedTuple):
    """The parts of a receipt, octets as latin-1 characters; empty where missing."""

    id: str
    submitted: str
    done: str
    stat: str
    error: str
    text: str


_USUAL = re.compile(
    "id:([^ ]*) sub:[0-9]* dlvrd:[0-9]* submit date:([0-9]*) done date:([0-9]*)"
    " stat:([^ ]*) err:([^ ]*)(?: [Tt]ext:(.*))?",
    re.DOTALL,
)
_ID = re.compile(r"\bid:\s*([^\s]*)", re.IGNORECASE)
_SUBMITTED = re.compile(r"submit[ _]?date:\s*([0-9]*)", re.IGNORECASE)
_DONE = re.compile(r"done[ _]?date:\s*([0-9]*)", re.IGNORECASE)
_STAT = re.compile(r"stat:\s*([^\s]*)", re.IGNORECASE)
_ERROR = re.compile(r"err:\s*([^\s]*)", re.IGNORECASE)
_TEXT = re.compile(r"te?xt:(.*)", re.IGNORECASE | re.DOTALL)


LONGEST_RECEIPT = 1024
"""Characters of a receipt that are read: its fields stand in the first two hundred, whatever a payload carries behind."""


def parse(content: str) -> Receipt | None:
    """The receipt in ``content``; None when there is neither an id nor a state to be found in it.

    Keys in any case, fields missing or with vendor words, dates of any number of digits are all seen in the field.
    """
    content = content[:LONGEST_RECEIPT]
    usual = _USUAL.fullmatch(content)
    if usual is not None:
        found = usual.groups("")
        return Receipt(*found)
    text = _TEXT.search(content)
    head = content[: text.start()] if text else content
    receipt = Receipt(
        _first(_ID, head),
        _first(_SUBMITTED, head),
        _first(_DONE, head),
        _first(_STAT, head),
        _first(_ERROR, head),
        text.group(1) if text else "",
    )
    return receipt if receipt.id or receipt.stat else None


def state_of(stat: str) -> ReportState:
    """The state of a status word; a vendor's own word is a failure (reference 2.15: everything else is failure)."""
    known = STATES.get(stat)
    return known if known is not None else STATES.get(stat.strip().upper()[:7], ReportState.UNDELIVERABLE)


def _first(pattern: re.Pattern[str], content: str) -> str:
    found = pattern.search(content)
    return found.group(1) if found else ""
