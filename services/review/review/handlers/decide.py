"""What people do with held tasks: claim, approve, reject, undo, fast lane; one transaction each, recorded in the
audit log.

The compare-and-set in the store decides every race; a task that could not be moved is reported with the reason that
stands now.
Nobody decides a task of his own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from review.domain.checklist import Checklist
from review.domain.hours import Hours, minute_of_day
from review.domain.item import UNDO_MS, ItemState, own_task
from review.domain.policy import Window
from review.store import audit, items
from review.store.audit import Action
from review.store.policies import PolicyStore
from servicekit.clock import Clock
from servicekit.database import Connection, Database

MAX_TASKS = 20_000
"""Tasks one decision may cover: a cluster of 10,000 single messages fits."""

MAX_NOTE = 500

CHANGED = "changed"
"""Something the decider could not see joined the task after he looked."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: ``api_users`` are names under which he posts tasks."""

    tenant: str
    name: str
    role: str
    api_users: tuple[str, ...] = ()


@dataclass(slots=True)
class Result:
    """``done`` are the tasks moved, ``refused`` the others with a stable code; ``due_at`` is when it is published
    (Unix ms).
    """

    done: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    due_at: int = 0


class Desk:
    """The reviewers' desk."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        policies: PolicyStore,
        checklist: Checklist,
        hours: Hours,
        sending_window: Window,
        *,
        claim_ms: int,
    ) -> None:
        """Take the stores and the figures of the settings."""
        self._database = database
        self._clock = clock
        self._policies = policies
        self.checklist = checklist
        self.hours = hours
        self._window = sending_window
        self._claim_ms = claim_ms

    async def claim(self, actor: Actor, tasks: Sequence[str]) -> Result:
        """Claim tasks; a claim of one's own is renewed without a record."""
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            before = await items.find_many(tx, actor.tenant, tasks)
            result, allowed = self._sift(actor, tasks, before)
            result.done = await items.claim(tx, actor.tenant, allowed, actor.name, now, now + self._claim_ms)
            await self._explain(tx, actor, allowed, result, now)
            fresh = [task for task in result.done if before[task]["claimed_by"] != actor.name]
            await self._audit(tx, actor, now, "task.claim", fresh, {})
        return result

    async def unclaim(self, actor: Actor, tasks: Sequence[str]) -> Result:
        """Give claims back."""
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            result = Result(done=await items.unclaim(tx, actor.tenant, tasks, actor.name))
            await self._explain(tx, actor, tasks, result, now)
            await self._audit(tx, actor, now, "task.unclaim", result.done, {})
        return result

    async def approve(
        self, actor: Actor, tasks: Sequence[str], note: str = "", seen: Mapping[str, int] | None = None
    ) -> Result:
        """Approve; published after the undo time.  What would be sent outside its port's window is refused instead.

        ``seen`` is the ``news`` of a task as it was shown: where something joined it since, it is refused as ``changed``.
        """
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            before = await items.find_many(tx, actor.tenant, tasks)
            result, allowed = self._sift(actor, tasks, before)
            allowed = _unchanged(result, self._in_hours(result, allowed, before, now), before, seen or {})
            inside, outside = await self._by_window(tx, actor.tenant, allowed, before, now + UNDO_MS)
            result.due_at = now + UNDO_MS
            result.done = await self._move(tx, actor, inside, before, now, ItemState.APPROVED, result.due_at, "", note)
            late = await self._move(tx, actor, outside, before, now, ItemState.OUTSIDE_SENDING_WINDOW, now, "", note)
            result.refused.update(dict.fromkeys(late, ItemState.OUTSIDE_SENDING_WINDOW.value))
            await self._explain(tx, actor, allowed, result, now, before)
            await self._audit(tx, actor, now, "task.approve", result.done, {"note": note}, before)
            await self._audit(tx, actor, now, "task.outside_sending_window", late, {}, before)
        return result

    async def reject(
        self, actor: Actor, tasks: Sequence[str], cited: str, note: str = "", seen: Mapping[str, int] | None = None
    ) -> Result:
        """Reject, citing a standard of the checklist (else ValueError); published after the undo time; ``seen`` as above."""
        if self.checklist.find(cited) is None:
            raise ValueError(f"no such standard: {cited}")
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            before = await items.find_many(tx, actor.tenant, tasks)
            result, allowed = self._sift(actor, tasks, before)
            allowed = _unchanged(result, self._in_hours(result, allowed, before, now), before, seen or {})
            result.due_at = now + UNDO_MS
            result.done = await self._move(
                tx, actor, allowed, before, now, ItemState.REJECTED, result.due_at, cited, note
            )
            await self._explain(tx, actor, allowed, result, now, before)
            detail = {"cited": cited, "checklist": self.checklist.version, "note": note}
            await self._audit(tx, actor, now, "task.reject", result.done, detail, before)
        return result

    async def undo(self, actor: Actor, tasks: Sequence[str]) -> Result:
        """Take back one's own decisions that are not published yet."""
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            result = Result(done=await items.undo(tx, actor.tenant, tasks, actor.name, now, now + self._claim_ms))
            await self._explain(tx, actor, tasks, result, now)
            await self._audit(tx, actor, now, "task.undo", result.done, {})
        return result

    async def fast_lane(self, actor: Actor, tasks: Sequence[str], note: str = "") -> Result:
        """Put tasks into the fast lane: they come first and may be decided outside the hours."""
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            result = Result(done=await items.fast_lane(tx, actor.tenant, tasks))
            await self._explain(tx, actor, tasks, result, now)
            await self._audit(tx, actor, now, "task.fastlane", result.done, {"note": note})
        return result

    @staticmethod
    def _sift(actor: Actor, tasks: Sequence[str], before: dict[str, asyncpg.Record]) -> tuple[Result, list[str]]:
        result, allowed = Result(), []
        for task in dict.fromkeys(tasks):
            row = before.get(task)
            if row is None:
                result.refused[task] = "not_found"
            elif own_task(row["posted_by"], actor.name, list(actor.api_users)):
                result.refused[task] = "own_task"
            else:
                allowed.append(task)
        return result, allowed

    def _in_hours(self, result: Result, tasks: list[str], before: dict[str, asyncpg.Record], now: int) -> list[str]:
        """Keep what may be decided now: outside the review hours only the fast lane."""
        if self.hours.open_at(now):
            return tasks
        late = [task for task in tasks if not before[task]["fast_lane"]]
        result.refused.update(dict.fromkeys(late, ItemState.OUTSIDE_REVIEW_HOURS.value))
        return [task for task in tasks if before[task]["fast_lane"]]

    async def _by_window(
        self, tx: Connection, tenant: str, tasks: list[str], before: dict[str, asyncpg.Record], earliest: int
    ) -> tuple[list[str], list[str]]:
        policies = await self._policies.current(tx)
        inside: list[str] = []
        outside: list[str] = []
        for task in tasks:
            row = before[task]
            window = policies.of(tenant, row["port"]).window or self._window
            fits = window.holds(minute_of_day(max(earliest, row["not_before"])))
            (inside if fits else outside).append(task)
        return inside, outside

    @staticmethod
    async def _move(
        tx: Connection,
        actor: Actor,
        tasks: list[str],
        before: dict[str, asyncpg.Record],
        now: int,
        state: ItemState,
        due: int,
        cited: str,
        note: str,
    ) -> list[str]:
        if not tasks:
            return []
        read = {task: before[task]["news"] for task in tasks}
        return await items.decide(
            tx, actor.tenant, read, actor.name, now, state=state.value, due=due, cited=cited, note=note[:MAX_NOTE]
        )

    @staticmethod
    async def _explain(
        tx: Connection,
        actor: Actor,
        tasks: Sequence[str],
        result: Result,
        now: int,
        before: Mapping[str, asyncpg.Record] | None = None,
    ) -> None:
        """Say of each task that was not moved what stands."""
        missed = [task for task in tasks if task not in set(result.done) and task not in result.refused]
        if not missed:
            return
        rows = await items.find_many(tx, actor.tenant, missed)
        for task in missed:
            row = rows.get(task)
            if row is None:
                result.refused[task] = "not_found"
            elif row["state"] == ItemState.CLAIMED.value and row["claimed_by"] != actor.name:
                result.refused[task] = "claimed_by_other"
            elif row["state"] in (ItemState.QUEUED.value, ItemState.CLAIMED.value):
                if before is not None and row["news"] != before[task]["news"]:
                    result.refused[task] = CHANGED
                else:
                    result.refused[task] = "expired" if row["expires_at"] <= now else "not_claimed"
            else:
                result.refused[task] = f"already_{row['state']}"

    @staticmethod
    async def _audit(
        tx: Connection,
        actor: Actor,
        now: int,
        action: str,
        tasks: Sequence[str],
        detail: dict[str, str],
        before: Mapping[str, asyncpg.Record] | None = None,
    ) -> None:
        """Record the action on each task; of an item of late parts also the caller's task it is of."""
        kept = {key: value for key, value in detail.items() if value}
        actions = []
        for task in sorted(tasks):
            late_of = before[task]["late_of"] if before is not None else None
            own = kept if late_of is None else {**kept, "late_of": late_of}
            actions.append(Action(actor.name, actor.role, action, task, own))
        await audit.append(tx, actor.tenant, now, actions)


def _unchanged(
    result: Result, tasks: list[str], before: dict[str, asyncpg.Record], seen: Mapping[str, int]
) -> list[str]:
    """Keep tasks that hold nothing their decider did not see."""
    changed = [task for task in tasks if task in seen and before[task]["news"] != seen[task]]
    result.refused.update(dict.fromkeys(changed, CHANGED))
    return [task for task in tasks if task not in result.refused]
