"""The status report of SMGP: text around ten raw octets, written in its nominal form and read in every form of 4.11."""

from __future__ import annotations

import re

from carrier.model import Report, ReportState
from carrier.receipt import WORDS, state_of
from carrier.wiretext import number, octets

_ID_OF_REPORT = re.compile(rb"id:(.{10})", re.DOTALL)
_STAT = re.compile(rb"stat:(.{7})", re.IGNORECASE | re.DOTALL)
_ERROR = re.compile(rb"err:(.{3})", re.IGNORECASE | re.DOTALL)
_SUBMITTED = re.compile(rb"submit[ _]?date:(\d{10})", re.IGNORECASE)
_DONE = re.compile(rb"done[ _]?date:(\d{10})", re.IGNORECASE)
_TEXT = re.compile(rb"(?:text|txt):(.*)", re.IGNORECASE | re.DOTALL)


def write_report(report: Report) -> bytes:
    """The nominal 122 octets (4.11)."""
    text = octets(report.text[:17], 17, "Text").ljust(17)
    return b"".join(
        (
            b"id:",
            number(report.message_id, 10, "MsgID").to_bytes(10, "big"),
            b" sub:001 dlvrd:001 Submit date:",
            octets(report.submitted, 10, "Submit date").ljust(10, b"0"),
            b" done date:",
            octets(report.done, 10, "done date").ljust(10, b"0"),
            b" stat:",
            octets(report.stat or WORDS[report.state], 7, "stat").ljust(7),
            b" err:",
            octets(report.error or "000", 3, "err").rjust(3, b"0"),
            b" Text:%03d" % len(report.text[:17]),
            text,
        )
    )


def read_report(content: bytes, recipient: str, sender: str, frame: bytes) -> Report:
    """The id by length, the rest by its keys, in any of the variants of 4.11; without an id it is an unreadable
    report.
    """
    head = _ID_OF_REPORT.match(content)
    if head is None:
        return Report("", ReportState.UNKNOWN, False, recipient=recipient, sender=sender, raw=frame)
    stat, error, submitted, done, text = _at_offsets(content) or _by_keys(content[13:])
    state = state_of(stat) if stat else ReportState.UNKNOWN
    final = state not in (ReportState.ENROUTE, ReportState.ACCEPTED)
    return Report(
        head.group(1).hex(), state, final, stat, error, recipient, sender, submitted, done, _readable(text), frame
    )


_Parts = tuple[str, str, str, str, bytes]


def _at_offsets(content: bytes) -> _Parts | None:
    """The nominal form and every variant of its length keep these offsets (4.11)."""
    keys = content[76:81] + content[89:93]
    if keys.lower() != b"stat:err:" or not (content[44:54] + content[65:75]).isdigit():
        return None
    text = content.decode("latin-1")
    return text[81:88].strip(" \0"), text[93:96].strip(" \0"), text[44:54], text[65:75], content[102:]


def _by_keys(rest: bytes) -> _Parts:
    """Any other form: each part by its key, wherever it stands before the text."""
    text = _TEXT.search(rest)
    keys = rest[: text.start()] if text else rest
    return (
        _found(_STAT, keys).strip(" \0"),
        _found(_ERROR, keys).strip(" \0"),
        _found(_SUBMITTED, keys),
        _found(_DONE, keys),
        text.group(1) if text else b"",
    )


def _readable(text: bytes) -> str:
    return text.decode("gb18030", "replace")


def _found(pattern: re.Pattern[bytes], content: bytes) -> str:
    found = pattern.search(content)
    return found.group(1).decode("latin-1") if found else ""
