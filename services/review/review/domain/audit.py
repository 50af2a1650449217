"""The audit log as a chain: each record carries the hash of the one before, so none can be changed, removed or put
in between unseen.

Pure: what is hashed and how a chain is checked.  Cutting off the newest records is the one thing a chain alone
cannot show; the
head (number and hash) is therefore exposed as a metric and printed by every verification, to be compared with the
last one kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

GENESIS = bytes(32)


@dataclass(frozen=True, slots=True)
class Record:
    """One action: ``seq`` counts from 1 per tenant, ``at`` is Unix ms, ``detail`` is JSON without numbers or
    contents.
    """

    tenant: str
    seq: int
    at: int
    actor: str
    role: str
    action: str
    subject: str
    detail: dict[str, Any]
    prev: bytes
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Verified:
    """Result of walking a chain; ``broken_at`` is the first record that does not fit, 0 when all fit."""

    records: int
    head: bytes
    broken_at: int = 0
    cause: str = ""


def digest(record: Record) -> bytes:
    """Return the SHA-256 of the record and its predecessor's hash; fields are JSON, keys sorted, so no two records
    read alike.
    """
    body = msgspec.json.encode(
        [
            record.prev.hex(),
            record.tenant,
            record.seq,
            record.at,
            record.actor,
            record.role,
            record.action,
            record.subject,
            record.detail,
        ],
        order="sorted",
    )
    return hashlib.sha256(body).digest()


def verify(records: Iterable[Record], so_far: Verified = Verified(0, GENESIS)) -> Verified:
    """Walk a tenant's chain from its first record, or on from ``so_far``, and say whether it is whole."""
    head, seq = so_far.head, so_far.records
    for record in records:
        seq += 1
        if record.seq != seq:
            return Verified(seq - 1, head, seq, "missing")
        if record.prev != head:
            return Verified(seq - 1, head, seq, "unlinked")
        if digest(record) != record.hash:
            return Verified(seq - 1, head, seq, "changed")
        head = record.hash
    return Verified(seq, head)
