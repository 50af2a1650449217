"""The audit log in PostgreSQL: appended in the transaction of the action, one writer per tenant at a time.

A trigger refuses update and delete, so an application fault cannot rewrite history; the hash chain shows what
somebody with the
database's own rights changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import asyncpg
import msgspec

from review import metrics
from review.domain.audit import GENESIS, Record, Verified, digest, verify
from servicekit.database import Connection

_LOCK = 0x617564  # "aud"


class Action(NamedTuple):
    """What is to be recorded; ``detail`` has no numbers in full and no contents."""

    actor: str
    role: str
    action: str
    subject: str
    detail: dict[str, Any]


async def append(connection: Connection, tenant: str, at_ms: int, actions: Sequence[Action]) -> None:
    """Append the actions; call it last in the transaction, because it holds the tenant's chain until the commit."""
    if not actions:
        return
    await connection.execute("select pg_advisory_xact_lock($1, hashtext($2))", _LOCK, tenant)
    head = await connection.fetchrow("select seq, hash from audit where tenant = $1 order by seq desc limit 1", tenant)
    seq, prev = (head["seq"], head["hash"]) if head is not None else (0, GENESIS)
    rows = []
    for action in actions:
        seq += 1
        record = Record(tenant, seq, at_ms, *action, prev=prev)
        record = replace(record, hash=digest(record))
        prev = record.hash
        detail = msgspec.json.encode(action.detail, order="sorted")
        rows.append((tenant, seq, at_ms, *action[:4], detail, record.prev, record.hash))
    await connection.executemany("insert into audit values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", rows)
    metrics.AUDIT_HEAD.labels(tenant).set(seq)


async def check(connection: Connection, tenant: str) -> Verified:
    """Walk the tenant's whole chain in slices of 5,000 records."""
    verified = Verified(0, GENESIS)
    while True:
        rows = await connection.fetch(
            "select * from audit where tenant = $1 and seq > $2 order by seq limit 5000", tenant, verified.records
        )
        if not rows:
            return verified
        verified = verify((record_of(row) for row in rows), verified)
        if verified.broken_at:
            return verified


def record_of(row: asyncpg.Record) -> Record:
    """Return the row as a record; a detail that is no JSON any more reads as its octets, so that the walk reports it
    as changed.
    """
    try:
        detail = msgspec.json.decode(row["detail"], type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = {"damaged": row["detail"].hex()}
    return Record(
        row["tenant"],
        row["seq"],
        row["at"],
        row["actor"],
        row["role"],
        row["action"],
        row["subject"],
        detail,
        row["prev"],
        row["hash"],
    )


async def search(
    connection: Connection,
    tenant: str,
    *,
    actor: str = "",
    action: str = "",
    subject: str = "",
    before: int = 0,
    limit: int = 50,
) -> list[Record]:
    """Return the newest records that match, ``before`` a number (0: from the newest)."""
    rows = await connection.fetch(
        """
        select * from audit where tenant = $1 and ($2 = '' or actor = $2) and ($3 = '' or action = $3)
            and ($4 = '' or subject = $4) and ($5::bigint = 0 or seq < $5) order by seq desc limit $6
        """,
        tenant,
        actor,
        action,
        subject,
        before,
        limit,
    )
    return [record_of(row) for row in rows]
