"""Policies of ports as people change them: threshold, tier, window, fast lane, suspension; every change is recorded with its figures."""

from __future__ import annotations

from typing import Any

import asyncpg

from review.domain.policy import PortPolicy, Window
from review.handlers.decide import Actor
from review.store import audit, policies
from review.store.audit import Action
from review.store.policies import PolicyStore
from servicekit.clock import Clock
from servicekit.database import Database


class Ports:
    """What administrators and supervisors do with ports."""

    def __init__(self, database: Database, clock: Clock, store: PolicyStore, default_window: Window) -> None:
        """Take the store whose snapshot the gate uses, so that both see the same."""
        self._database = database
        self._clock = clock
        self._store = store
        self._window = default_window

    async def listed(self, tenant: str) -> list[asyncpg.Record]:
        """Return the tenant's policies."""
        async with self._database.connection() as connection:
            return await policies.list_ports(connection, tenant)

    async def thresholds(self, tenant: str) -> dict[str, Any]:
        """Return the tenant's threshold and the installation's."""
        async with self._database.connection() as connection:
            snapshot = await self._store.current(connection)
        own = snapshot.thresholds.get(tenant)
        return {
            "threshold": snapshot.default_threshold if own is None else own,
            "default_threshold": snapshot.default_threshold,
        }

    async def effective(self, tenant: str, port: str) -> dict[str, Any]:
        """Return what applies to a port, wherever it comes from."""
        async with self._database.connection() as connection:
            snapshot = await self._store.current(connection)
        policy = snapshot.of(tenant, port)
        return {
            "port": port,
            "registered": (tenant, port) in snapshot.ports,
            "enterprise": policy.enterprise,
            "tier": policy.tier.value,
            "threshold": snapshot.threshold_of(tenant, policy),
            "window": str(policy.window or self._window),
            "fast_lane": policy.fast_lane,
            "suspended": policy.suspended,
            "policy_version": snapshot.version,
        }

    async def put(self, actor: Actor, policy: PortPolicy) -> None:
        """Set a port's policy."""
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            before = await policies.put_port(tx, actor.tenant, policy, at_ms=now, by=actor.name)
            detail = {"before": _figures(before), "after": _figures(policy)}
            await self._record(tx, actor, now, "port.policy", policy.port, detail)

    async def put_threshold(self, actor: Actor, threshold: int) -> None:
        """Set the tenant's threshold."""
        async with self._database.transaction() as tx:
            before = await policies.put_threshold(tx, actor.tenant, threshold)
            detail = {"before": before, "after": threshold}
            await self._record(tx, actor, self._clock.wall_ms(), "policy.threshold", actor.tenant, detail)

    async def suspend(self, actor: Actor, port: str, reason: str) -> bool:
        """Suspend a port by hand."""
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            known = await policies.find_port(tx, actor.tenant, port)
            enterprise = known.enterprise if known is not None else ""
            done = await policies.suspend(tx, actor.tenant, port, enterprise, at_ms=now, why=reason)
            if done:
                await self._record(tx, actor, now, "port.suspend", port, {"reason": reason})
        return done

    async def reinstate(self, actor: Actor, port: str, reason: str) -> bool:
        """End a suspension; refusals before count no more."""
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            done = await policies.reinstate(tx, actor.tenant, port, at_ms=now)
            if done:
                await self._record(tx, actor, now, "port.reinstate", port, {"reason": reason})
        return done

    @staticmethod
    async def _record(tx: Any, actor: Actor, now: int, action: str, subject: str, detail: dict[str, Any]) -> None:
        await audit.append(tx, actor.tenant, now, [Action(actor.name, actor.role, action, subject, detail)])


def _figures(policy: PortPolicy | None) -> dict[str, Any] | None:
    if policy is None:
        return None
    return {
        "tier": policy.tier.value,
        "threshold": policy.threshold,
        "window": None if policy.window is None else str(policy.window),
        "fast_lane": policy.fast_lane,
        "enterprise": policy.enterprise,
    }
