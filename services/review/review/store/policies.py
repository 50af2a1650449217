"""Policies of ports and tenants: a cached snapshot for the gate, and the statements behind the admin page and API.

The version is read in the gate's own transaction, so a change counts from the next batch on, without a restart.
"""

from __future__ import annotations

import asyncpg

from review.domain.policy import Policies, PortPolicy, Tier, Window
from servicekit.database import Connection

_PORTS = """
select tenant, port, enterprise, tier, threshold, window_start, window_end, fast_lane, suspended_at is not null as
suspended
from port_policy
"""

_UPSERT = """
insert into port_policy (tenant, port, enterprise, tier, threshold, window_start, window_end, fast_lane, changed_at,
changed_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (tenant, port) do update set enterprise = excluded.enterprise, tier = excluded.tier, threshold =
excluded.threshold,
    window_start = excluded.window_start, window_end = excluded.window_end, fast_lane = excluded.fast_lane,
    changed_at = excluded.changed_at, changed_by = excluded.changed_by
"""


class PolicyStore:
    """The snapshot, reloaded when its version moved."""

    def __init__(self, default_tier: Tier, default_threshold: int) -> None:
        """Take what applies where the tables say nothing."""
        self._default_tier = default_tier
        self._default_threshold = default_threshold
        self._snapshot: Policies | None = None

    @property
    def snapshot(self) -> Policies | None:
        """The policies as last read, None before; whoever decides by them has to check their version."""
        return self._snapshot

    async def current(self, connection: Connection) -> Policies:
        """Return the policies as this transaction sees them."""
        version = await connection.fetchval("select version from policy_head")
        if self._snapshot is None or self._snapshot.version != version:
            self._snapshot = await self._load(connection, version)
        return self._snapshot

    async def _load(self, connection: Connection, version: int) -> Policies:
        ports = {(row["tenant"], row["port"]): _policy(row) for row in await connection.fetch(_PORTS)}
        thresholds = {
            row["tenant"]: row["threshold"]
            for row in await connection.fetch("select tenant, threshold from tenant_policy")
        }
        return Policies(version, self._default_tier, self._default_threshold, ports, thresholds)


def _policy(row: asyncpg.Record) -> PortPolicy:
    window = None if row["window_start"] is None else Window(row["window_start"], row["window_end"])
    return PortPolicy(
        port=row["port"],
        tier=Tier(row["tier"]),
        threshold=row["threshold"],
        window=window,
        fast_lane=row["fast_lane"],
        suspended=row["suspended"],
        enterprise=row["enterprise"],
    )


async def put_port(
    connection: Connection, tenant: str, policy: PortPolicy, *, at_ms: int, by: str
) -> PortPolicy | None:
    """Store a port's policy and return the one that stood before; a suspension is not touched."""
    before = await find_port(connection, tenant, policy.port)
    window = policy.window
    await connection.execute(
        _UPSERT,
        tenant,
        policy.port,
        policy.enterprise,
        policy.tier.value,
        policy.threshold,
        None if window is None else window.start,
        None if window is None else window.end,
        policy.fast_lane,
        at_ms,
        by,
    )
    return before


async def find_port(connection: Connection, tenant: str, port: str) -> PortPolicy | None:
    """Return the port's own policy row, or None."""
    row = await connection.fetchrow(f"{_PORTS} where tenant = $1 and port = $2", tenant, port)
    return None if row is None else _policy(row)


async def list_ports(connection: Connection, tenant: str, limit: int = 1_000) -> list[asyncpg.Record]:
    """Return the tenant's port rows with who changed them and whether they are suspended."""
    return list(
        await connection.fetch("select * from port_policy where tenant = $1 order by port limit $2", tenant, limit)
    )


async def put_threshold(connection: Connection, tenant: str, threshold: int) -> int | None:
    """Set the tenant's threshold and return the former one, None where the default applied."""
    before: int | None = await tenant_threshold(connection, tenant)
    await connection.execute(
        "insert into tenant_policy values ($1, $2) on conflict (tenant) do update set threshold = excluded.threshold",
        tenant,
        threshold,
    )
    return before


async def tenant_threshold(connection: Connection, tenant: str) -> int | None:
    """Return the tenant's own threshold, None where the default applies."""
    value: int | None = await connection.fetchval("select threshold from tenant_policy where tenant = $1", tenant)
    return value


async def suspend(connection: Connection, tenant: str, port: str, enterprise: str, *, at_ms: int, why: str) -> bool:
    """Suspend the port; return False when it was suspended already."""
    done = await connection.fetchval(
        """
        insert into port_policy (tenant, port, enterprise, tier, changed_at, changed_by, suspended_at, suspended_for)
        values ($1, $2, $3, 'high', $4, 'system', $4, $5)
        on conflict (tenant, port) do update set suspended_at = excluded.suspended_at, suspended_for =
        excluded.suspended_for
        where port_policy.suspended_at is null returning port
        """,
        tenant,
        port,
        enterprise,
        at_ms,
        why,
    )
    return done is not None


async def reinstate(connection: Connection, tenant: str, port: str, *, at_ms: int) -> bool:
    """End a suspension; return False when there was none.  Refusals before this moment count no more."""
    done = await connection.fetchval(
        """
        update port_policy set suspended_at = null, suspended_for = '', reinstated_at = $3
        where tenant = $1 and port = $2 and suspended_at is not null returning port
        """,
        tenant,
        port,
        at_ms,
    )
    return done is not None
