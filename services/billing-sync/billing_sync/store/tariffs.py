"""Tariff versions in PostgreSQL: immutable once stored, chosen by the time of the submit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from billing_sync.domain.tariff import DEFAULT, ChargeOn, Tariff
from servicekit.database import Connection

STANDARD = Tariff(
    number=0,
    version="standard",
    tenant="",
    valid_from=0,
    currency="CNY",
    digits=4,
    charge_on=ChargeOn.ACCEPTED,
    per_segment={DEFAULT: "0.0450"},
    per_port={},
    free_lanes=["internal"],
)
"""What a tenant has until an administrator says otherwise: exactly one price, so that no accepted segment is ever
without.
"""


@dataclass(slots=True)
class Calendar:
    """Which tariff number is in force when, for the tenants of a batch."""

    _spans: dict[str, tuple[list[int], list[int]]] = field(default_factory=dict)

    def add(self, tenant: str, valid_from: int, number: int) -> None:
        """Add versions in order of ``valid_from``."""
        begins, numbers = self._spans.setdefault(tenant, ([], []))
        begins.append(valid_from)
        numbers.append(number)

    def knows(self, tenant: str) -> bool:
        """Return whether the tenant has any."""
        return tenant in self._spans

    def at(self, tenant: str, at_ms: int) -> int:
        """Return the number of the version in force at ``at_ms`` (Unix ms)."""
        begins, numbers = self._spans[tenant]
        return numbers[max(0, bisect_right(begins, at_ms) - 1)]


async def calendar(tx: Connection, tenants: Iterable[str]) -> Calendar:
    """Return the versions of the tenants; who has none gets the standard one, in force since ever."""
    wanted = sorted(set(tenants))
    found = await _read(tx, wanted)
    missing = [tenant for tenant in wanted if not found.knows(tenant)]
    if missing:
        for tenant in missing:
            await _insert(tx, msgspec.structs.replace(STANDARD, tenant=tenant), "guanxin")
        # Read again, also where another process was first.
        found = await _read(tx, wanted)
    return found


async def ensure(tx: Connection, tenants: Iterable[str]) -> None:
    """Give the standard tariff to tenants that have none."""
    await calendar(tx, tenants)


async def add(tx: Connection, tariff: Tariff, by: str) -> Tariff | None:
    """Store a version and return it numbered; None when its name or its beginning is taken."""
    number = await _insert(tx, tariff, by)
    return None if number is None else msgspec.structs.replace(tariff, number=number)


async def by_number(connection: Connection, numbers: Iterable[int]) -> dict[int, Tariff]:
    """Return versions by number."""
    rows = await connection.fetch("select number, body from tariff where number = any($1)", sorted(set(numbers)))
    return {row["number"]: _tariff(row["number"], row["body"]) for row in rows}


async def newest(connection: Connection, tenant: str, limit: int) -> list[Tariff]:
    """Return versions, the latest beginning first; of all tenants when ``tenant`` is empty."""
    rows = await connection.fetch(
        "select number, body from tariff where $1 = '' or tenant = $1 order by valid_from desc, number desc limit $2",
        tenant,
        limit,
    )
    return [_tariff(row["number"], row["body"]) for row in rows]


async def unpublished(connection: Connection, limit: int) -> list[Tariff]:
    """Return versions whose event is not acknowledged."""
    rows = await connection.fetch(
        "select number, body from tariff where published_at is null order by number limit $1", limit
    )
    return [_tariff(row["number"], row["body"]) for row in rows]


async def mark_published(tx: Connection, tariffs: Sequence[Tariff]) -> None:
    """Note that their events are acknowledged."""
    await tx.execute("update tariff set published_at = now() where number = any($1)", [t.number for t in tariffs])


async def _read(tx: Connection, tenants: list[str]) -> Calendar:
    found = Calendar()
    rows = await tx.fetch(
        "select tenant, valid_from, number from tariff where tenant = any($1) order by valid_from", tenants
    )
    for row in rows:
        found.add(row["tenant"], row["valid_from"], row["number"])
    return found


async def _insert(tx: Connection, tariff: Tariff, by: str) -> int | None:
    number = await tx.fetchval(
        "insert into tariff (tenant, version, valid_from, body, created_by) values ($1, $2, $3, $4, $5) "
        "on conflict do nothing returning number",
        tariff.tenant,
        tariff.version,
        tariff.valid_from,
        msgspec.to_builtins(tariff),
        by,
    )
    return None if number is None else int(number)


def _tariff(number: int, body: object) -> Tariff:
    return msgspec.structs.replace(msgspec.convert(body, Tariff), number=number)
