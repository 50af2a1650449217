"""Identifiers: chunks, messages, segments, and the event ids derived from them.

A chunk id is a uuid7 whose first 48 bits are the milliseconds of acceptance: the day partition of every later row comes from the
id, never from a clock (architecture.md, "Events").  A message is (chunk id, index), a segment one more number, from 1.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

_CHUNK = re.compile(r"[0-9a-f]{32}\Z")
_MESSAGE = re.compile(r"([0-9a-f]{32})-(0|[1-9][0-9]{0,5})\Z")


class IdError(ValueError):
    """The text is not an identifier of the kind asked for."""


def new_id(epoch_ms: int, entropy: bytes) -> str:
    """Return a uuid7 as 32 hex digits.

    ``epoch_ms`` is the Unix time in milliseconds (48 bits), ``entropy`` ten random octets.  Layout: RFC 9562, section 5.7.
    """
    if not 0 <= epoch_ms < 1 << 48:
        raise IdError(f"time out of range: {epoch_ms}")
    if len(entropy) != 10:
        raise IdError("a uuid7 needs ten octets of entropy")
    random = int.from_bytes(entropy, "big")
    rand_a = (random >> 62) & 0xFFF
    rand_b = random & ((1 << 62) - 1)
    return f"{epoch_ms << 80 | 0x7 << 76 | rand_a << 64 | 0b10 << 62 | rand_b:032x}"


def epoch_ms_of(identifier: str) -> int:
    """Return the Unix time in milliseconds at which the id was given."""
    if not _CHUNK.match(identifier):
        raise IdError(f"not a chunk or task id: {identifier!r}")
    return int(identifier[:12], 16)


def day_of(identifier: str) -> date:
    """Return the UTC day of the id, which is the day partition of its rows."""
    return datetime.fromtimestamp(epoch_ms_of(identifier) / 1000, UTC).date()


def message_id(chunk_id: str, index: int) -> str:
    """Return the id of a message as callers see it: ``<chunk id>-<index>``."""
    return f"{chunk_id}-{index}"


def parse_message_id(text: str) -> tuple[str, int]:
    """Return (chunk id, index); raises `IdError` when the text is not a message id."""
    match = _MESSAGE.match(text)
    if match is None:
        raise IdError(f"not a message id: {text!r}")
    return match[1], int(match[2])


def segment_id(chunk_id: str, index: int, segment: int) -> str:
    """Return the id of a segment; ``segment`` counts from 1."""
    return f"{chunk_id}-{index}-{segment}"


def event_id(chunk_id: str, stage: str, attempt: int | str = 0) -> str:
    """Return the derived id of an event: producing again gives the same id."""
    return f"{chunk_id}:{stage}:{attempt}"
