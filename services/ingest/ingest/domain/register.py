"""A snapshot of the register: who may send what from where, looked up by the digest of a key.

Immutable; a change of the register makes a new snapshot, so one request sees one state of affairs.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ingest.domain.admission import Caller

SCOPES: tuple[str, ...] = ("send", "read", "admin")
"""send: tasks and messages; read: states, timelines, replies, webhooks, ledger; admin: the enterprise's own keys."""


class Key(msgspec.Struct, frozen=True):
    """One API key in force."""

    key_id: str
    tenant: str
    enterprise: str
    name: str
    scopes: frozenset[str]
    rate: int
    burst: int
    require_signature: bool
    sealed_secret: bytes
    caller: Caller


class Register(msgspec.Struct, frozen=True):
    """All keys by digest; ``previous`` are digests still valid for a while after a rotation, with their end."""

    version: int
    keys: dict[bytes, Key]
    previous: dict[bytes, tuple[Key, datetime]]

    def find(self, digest: bytes, now: datetime) -> Key | None:
        """Return the key, or None when there is none in force."""
        key = self.keys.get(digest)
        if key is None and digest in self.previous:
            candidate, until = self.previous[digest]
            return candidate if now < until else None
        return key


EMPTY = Register(0, {}, {})
