"""Owning session slots: renew every second, take what is free, give back what is too much, share the rate.

The rules are in `domain.leases` and `domain.shares`; here they meet the table, the sessions and the watchdog.  When the deadline
passes (PostgreSQL is away), every session is cut before the watchdog has to.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

import asyncpg
import structlog

from contracts.lanes import LANES
from dispatch import metrics
from dispatch.adapters.boot import Boot
from dispatch.adapters.guard import Guard
from dispatch.adapters.listener import Listener
from dispatch.adapters.session import SlotSession
from dispatch.domain import gathering, leases, shares
from dispatch.domain.leases import Observer, SlotRow
from dispatch.domain.linkconfig import LinkConfig
from dispatch.domain.outcomes import Outgoing
from dispatch.domain.routing import RouteLink, RouteTable, may_serve
from dispatch.handlers.linkstate import LinkState
from dispatch.handlers.pump import Pump
from dispatch.handlers.recovery import take_slot
from dispatch.store import slots
from dispatch.store.journal import OUTAGES, FencedError
from servicekit.clock import Clock
from servicekit.database import Database

log = structlog.get_logger()

DRAIN_S = 5.0
HANDED_ON_S = 10.0
"""A link handed to another worker is not taken again for so long."""


class Leases:
    """The slots of one worker."""

    def __init__(
        self,
        database: Database,
        configs: Mapping[str, LinkConfig],
        pump: Pump,
        guard: Guard,
        boot: Boot,
        *,
        clock: Clock,
        publish: Callable[[list[Outgoing]], None],
    ) -> None:
        self.routes = RouteTable([])
        self.slot_rows: list[asyncpg.Record] = []
        self.link_rows: list[asyncpg.Record] = []
        self._database = database
        self._configs = configs
        self._pump = pump
        self._guard = guard
        self._owner = boot.owner
        self._clock = clock
        self._publish = publish
        self._observer = Observer(boot.known_dead)
        self._deadline = -math.inf
        self._moved_at = -math.inf
        self._moving: asyncio.Task[None] | None = None
        self._releasing: set[tuple[str, int]] = set()
        self._stopping = False
        self._ticking = asyncio.Lock()
        self._tick_now = asyncio.Event()
        self._spread = {config.name: config.workers for config in configs.values() if config.workers}
        self._handed_on: dict[str, float] = {}

    # Asked before every write -----------------------------------------------------------------------------------------

    def may_write(self) -> bool:
        """Whether the lease still holds."""
        return self._clock.monotonic() < self._deadline

    async def probe(self) -> str | None:
        """Say what is wrong with the leases, for the health check."""
        if self._stopping:
            return "stopping / 正在停止"
        held = sum(len(link.sessions) for link in self._pump.links.values())
        if held and not self.may_write():
            return "the lease ran out: the database is away / 租约已过期：数据库不可用"
        return None

    def shared(self) -> list[str]:
        """Return the links this worker has or had sessions of, and of which another one has some now."""
        others = {row["link"] for row in self.slot_rows if row["owner"] not in (None, self._owner)}
        return sorted(others.intersection(self._pump.links))

    # Life -------------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make the worker known and learn the links."""
        await slots.register(self._database, self._owner)
        await self._look()

    async def run(self) -> None:
        """Tick every second until stopped; faster while something is being set up."""
        watch = asyncio.get_running_loop().create_task(self._watch_deadline())
        try:
            while not self._stopping:
                try:
                    async with self._ticking:
                        settled = await self.tick()
                except OUTAGES as error:
                    log.warning("lease_waiting", reason=str(error))
                    settled = False
                await self._pause(leases.RENEW_S if settled else leases.RENEW_S / 4)
        finally:
            watch.cancel()

    def poke(self) -> None:
        """Tick now: a link changed."""
        self._tick_now.set()

    async def stop(self) -> None:
        """Drain every session, give every slot back.  Called after the pump stopped granting and quiesced."""
        self._stopping = True
        self._tick_now.set()
        async with self._ticking:
            pass  # a tick in hand may just be taking a slot: it is given back with the others
        if self._moving is not None:
            await asyncio.gather(self._moving, return_exceptions=True)
        sessions = [s for link in self._pump.links.values() for s in link.sessions.values()]
        doors = [self._close_door(link) for link in self._pump.links.values()]
        await asyncio.gather(*(s.drain(DRAIN_S) for s in sessions), *doors)
        await self._pump.quiesce()
        for session in sessions:
            self._pump.links[session.link.name].sessions.pop(session.slot, None)
            await slots.release(self._database, session.link.name, session.slot, session.epoch, self._owner)
        await slots.forget_workers(self._database, [self._owner])
        self._deadline = -math.inf
        self._guard.release()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._tick_now.wait()
        except TimeoutError:
            pass
        self._tick_now.clear()

    async def _watch_deadline(self) -> None:
        """Cut all sessions when the deadline passes: a second before the watchdog would kill us."""
        while True:
            now = self._clock.monotonic()
            held = [s for link in self._pump.links.values() for s in link.sessions.values()]
            if held and now >= self._deadline > -math.inf:
                log.error("lease_expired", sessions=len(held))
                for session in held:
                    session.cut("the lease ran out")
                for link in self._pump.links.values():
                    if link.listener is not None:
                        link.listener.cut("the lease ran out")
                self._guard.release()
            await asyncio.sleep(0.1 if not held else min(0.25, max(0.01, self._deadline - now)))

    # One tick ---------------------------------------------------------------------------------------------------------

    async def tick(self) -> bool:
        """Renew, look, take, give, share; True when nothing is in the making."""
        await self._renew()
        now = self._clock.monotonic()
        await self._look()
        rows = [SlotRow(r["link"], r["slot"], r["epoch"], r["owner"], r["beat"]) for r in self._usable()]
        alive = self._observer.alive(self._workers, self._owner, now)
        await self._forget_dead(alive, rows)
        takeable = self._observer.takeable(rows, self._owner, now)
        metrics.SLOTS_UNOWNED.set(len(takeable))
        taken = 0
        for row in [] if self._stopping else self._to_acquire(rows, takeable, alive, now):
            taken += await self._acquire(row)
        if not taken and self._moving is None:
            self._give(self._to_release(rows, takeable, alive, now))
        await self._give_unwanted()
        settled = await self._share(now)
        return settled and not taken

    def _to_acquire(self, rows: list[SlotRow], takeable: list[SlotRow], alive: set[str], now: float) -> list[SlotRow]:
        """Return the slots to take: of links that are spread over all workers, and of those kept together."""
        (common, kept), (free, kept_free) = self._parted(rows), self._parted(takeable)
        resting = [link for link, at in self._handed_on.items() if now - at < HANDED_ON_S]
        return leases.to_acquire(common, free, self._owner, len(alive)) + gathering.to_acquire(
            kept, kept_free, self._owner, alive, self._spread, resting
        )

    def _to_release(self, rows: list[SlotRow], takeable: list[SlotRow], alive: set[str], now: float) -> list[SlotRow]:
        """Return the slots to give back for balance: one of a link that is spread, or a link's that are kept together."""
        if now - self._moved_at < leases.MOVE_S:
            return []
        common, kept = self._parted(rows)
        if (one := leases.to_release(common, self._owner, len(alive))) is not None:
            return [one]
        if self._parted(takeable)[1]:
            return []  # first everything has an owner
        chosen = gathering.to_release(kept, self._owner, alive, self._spread)
        if chosen:
            self._handed_on[chosen[0].link] = now
        return chosen

    def _parted(self, rows: list[SlotRow]) -> tuple[list[SlotRow], list[SlotRow]]:
        """Return the rows of links that are spread over all workers, and of those kept together."""
        common = [row for row in rows if row.link not in self._spread]
        return common, [row for row in rows if row.link in self._spread]

    async def _renew(self) -> None:
        held: dict[tuple[str, int], tuple[int, bool, str, str]] = {}
        for link in self._pump.links.values():
            for s in link.sessions.values():
                error = s.last_error or (link.listener.last_error if link.listener is not None else "")
                held[s.key] = (s.epoch, s.bound, s.phase, error[:200])
        sent_at = self._clock.monotonic()
        ours = await slots.renew(self._database, self._owner, held)
        for key, row in held.items():
            found = ours.get(key)
            if key in self._releasing:
                continue
            if found is None or found[0] != row[0]:
                raise FencedError(f"slot {key[0]}/{key[1]} has a new owner")
        self._deadline = leases.deadline(sent_at)
        self._guard.tell(self._deadline if held else math.inf)
        metrics.SLOTS_HELD.set(len(held))
        for name, link in self._pump.links.items():
            for slot, session in link.sessions.items():
                session.tokens = ours.get((name, slot), (0, 0))[1]
            self._apply_rate(link)

    def _apply_rate(self, link: LinkState) -> None:
        """Use the tokens of the slots that stay ours, at most the cap that is being lowered to."""
        tokens = sum(s.tokens for s in link.sessions.values() if s.key not in self._releasing)
        rate = tokens if link.cap is None else min(tokens, link.cap)
        if rate != link.limiter.rate:
            link.limiter.set_rate(rate, self._clock.monotonic())
            metrics.RATE_TOKENS.labels(link.name).set(rate)
            self._pump.wake()

    async def _look(self) -> None:
        self.link_rows, self.slot_rows, workers = await slots.overview(self._database)
        self._workers = [(row["owner"], row["beat"]) for row in workers]
        self.routes = RouteTable(
            RouteLink(r["name"], r["grp"], r["rank"], r["letters"], r["state"] == "active")
            for r in self.link_rows
            if r["configured"]
        )
        up: dict[str, bool] = {}
        for row in self.slot_rows:
            up[row["link"]] = up.get(row["link"], False) or (row["owner"] is not None and row["bound"])
        for name, link in self._pump.links.items():
            link.eligible = may_serve(self.routes, link.config.group, name, up)
            link.alternatives = any(
                m.name != name and up.get(m.name, False) and may_serve(self.routes, link.config.group, m.name, up)
                for m in self.routes.links_of(link.config.group)
            )

    def _usable(self) -> list[asyncpg.Record]:
        """Slots that may have a session: a suspended link keeps its own, to hear receipts; a draining one gives them up."""
        wanted = {r["name"] for r in self.link_rows if r["configured"] and r["state"] != "draining"}
        return [r for r in self.slot_rows if r["link"] in wanted and r["link"] in self._configs]

    async def _forget_dead(self, alive: set[str], rows: list[SlotRow]) -> None:
        owners = {row.owner for row in rows}
        gone = [owner for owner, _ in self._workers if owner not in alive and owner not in owners]
        if gone:
            await slots.forget_workers(self._database, gone)
            for owner in gone:
                self._observer.forget(("worker", owner))

    async def _acquire(self, row: SlotRow) -> int:
        config = self._configs[row.link]
        events = await take_slot(
            self._database, config, row.slot, row.epoch, row.beat, self._owner, self._clock.wall_ms()
        )
        if events is None:
            return 0
        self._publish(events)
        if events:
            self._pump.claimer.hint((config.group, lane) for lane in range(len(LANES)))
        now = self._clock.monotonic()
        link = self._pump.links.get(row.link)
        if link is None:
            link = self._pump.links[row.link] = LinkState(config, now)
        # Nobody ever owned epoch 0, so nobody's last second has to be waited for.
        submit_from = now + leases.SETTLE_S if row.epoch else now
        session = SlotSession(
            config,
            link.dialect,
            row.slot,
            row.epoch + 1,
            clock=self._clock,
            sink=self._pump,
            may_write=self.may_write,
            submit_from=submit_from,
        )
        link.sessions[row.slot] = session
        # The renewal at the beginning of this tick was sent before the slot was taken: its deadline holds for it too.
        self._guard.tell(self._deadline)
        session.start()
        self._open_door(link)
        log.info("slot_acquired", link=row.link, slot=row.slot, epoch=session.epoch, uncertain=len(events))
        return 1

    def _open_door(self, link: LinkState) -> None:
        """Await the carrier's own connections: whoever owns a slot of the link does."""
        if link.config.called and link.listener is None:
            link.listener = Listener(
                link.config, link.dialect, clock=self._clock, sink=self._pump, may_write=self.may_write
            )
            link.listener.start()

    async def _close_door(self, link: LinkState) -> None:
        listener, link.listener = link.listener, None
        if listener is not None:
            await listener.stop(DRAIN_S)

    def _give(self, rows: list[SlotRow]) -> None:
        """Give slots of one link back in the background: stop granting, drain, unbind, close, then the rows."""
        link = self._pump.links.get(rows[0].link) if rows else None
        sessions = [link.sessions[row.slot] for row in rows if row.slot in link.sessions] if link is not None else []
        if link is None or not sessions:
            return
        self._moved_at = self._clock.monotonic()
        self._moving = asyncio.get_running_loop().create_task(self._give_all_back(link, sessions))
        self._moving.add_done_callback(self._moved)

    async def _give_all_back(self, link: LinkState, sessions: list[SlotSession]) -> None:
        await asyncio.gather(*(self._give_back(link, session) for session in sessions))

    async def _give_back(self, link: LinkState, session: SlotSession) -> None:
        self._releasing.add(session.key)
        await session.drain(DRAIN_S)
        while session.used or session.backlog:
            await self._pump.quiesce_one(session)
        self._apply_rate(link)
        # What was sent with its tokens must be a second old before they are anybody else's.
        while link.limiter.live(self._clock.monotonic()) > link.limiter.rate:  # noqa: ASYNC110 - only time helps
            await asyncio.sleep(0.02)
        link.drop_work(session.key)
        link.sessions.pop(session.slot, None)
        if not link.sessions:
            await self._close_door(link)
        await slots.release(self._database, link.name, session.slot, session.epoch, self._owner)
        self._releasing.discard(session.key)
        log.info("slot_released", link=link.name, slot=session.slot, epoch=session.epoch)

    def _moved(self, task: asyncio.Task[None]) -> None:
        self._moving = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._pump.on_fault(error)

    async def _give_unwanted(self) -> None:
        """Give back sessions of links that are draining or no longer configured."""
        wanted = {r["link"] for r in self._usable()}
        for name, link in self._pump.links.items():
            if name in wanted or not link.sessions or self._moving is not None:
                continue
            slot = max(link.sessions)
            self._give([SlotRow(name, slot, link.sessions[slot].epoch, self._owner, 0)])

    # The rate ---------------------------------------------------------------------------------------------------------

    async def _share(self, now: float) -> bool:
        """Move rate shares towards their targets; True when they are there."""
        settled = True
        for row in self.link_rows:
            link = self._pump.links.get(row["name"])
            if link is None or not link.sessions:
                continue
            view = [
                shares.SlotShare(r["slot"], r["owner"] is not None, r["bound"], r["tokens"])
                for r in self.slot_rows
                if r["link"] == row["name"]
            ]
            still = self._observer.still_for(("share", row["name"]), (row["share_version"],), now)
            target = shares.targets(row["rate"], view)
            settled &= await self._share_link(link, row, view, target, still)
        return settled

    async def _share_link(
        self,
        link: LinkState,
        row: asyncpg.Record,
        view: list[shares.SlotShare],
        target: dict[int, int],
        still: float,
    ) -> bool:
        mine = set(link.sessions)
        lower = {slot: t for slot, t in shares.lowered(target, view).items() if slot in mine}
        if lower:
            rate = sum(lower.get(s.slot, s.tokens) for s in view if s.slot in mine)
            link.cap = rate
            self._apply_rate(link)
            if link.limiter.live(self._clock.monotonic()) > rate:
                return False  # committed only when what was sent under the old share no longer counts
            await slots.change_tokens(self._database, link.name, row["share_version"], lower, rate=row["rate"])
            return False
        link.cap = None
        raise_to = shares.raised(row["rate"], target, view)
        if not raise_to:
            return all(s.tokens == target[s.slot] for s in view)
        first = shares.first_owners((r["epoch"], r["owner"]) for r in self.slot_rows if r["link"] == link.name)
        if still >= shares.STILL_S or first:
            await slots.change_tokens(self._database, link.name, row["share_version"], raise_to, rate=row["rate"])
            self._tick_now.set()
        return False
