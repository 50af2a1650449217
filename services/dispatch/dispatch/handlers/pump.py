"""The pump: one cycle takes what the sessions said, chooses what goes out, commits both, and only then writes.

    events of sessions ─▶ digest ─┐
                                  ├─▶ one draft ─▶ ONE COMMIT ─▶ write submits, answer receipts, publish events
    claimed work ──────▶ grant  ──┘

A cycle begins when something happened, at most every `GATHER_S`, and bulk less often while codes are slow (`bus.courtesy`); a
verification code that comes meanwhile gets a cycle of its own.  While one commits, the next gathers.  A window slot is free again in the
very commit that makes its answer durable.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

import structlog

from bus.courtesy import Courtesy
from carrier.errors import NotBoundError, RejectedItemError
from carrier.events import Event
from carrier.model import Submit
from contracts.lanes import LANES
from dispatch import metrics
from dispatch.adapters.session import SlotSession, Source
from dispatch.domain.book import Book
from dispatch.domain.quiet import QuietHours
from dispatch.domain.work import Flight
from dispatch.handlers import tracing
from dispatch.handlers.claiming import VERIFICATION, Claimer
from dispatch.handlers.digest import Acks, Digest, ForeignReceipt
from dispatch.handlers.granting import AHEAD_S, ALL, CODES, COURTEOUS_MESSAGES, TURN_MESSAGES, Granter
from dispatch.handlers.linkstate import LinkState
from dispatch.handlers.publishing import Publisher
from dispatch.store.journal import Draft, Ids, StaleError, stale_items
from links.tcp import LinkConnection
from servicekit.clock import Clock
from servicekit.database import Database, DatabaseUnavailable

log = structlog.get_logger()

GATHER_S = 0.003
"""Least time between two cycles' beginnings: receipts are answered within 5 ms, and a commit is shared by what arrives meanwhile."""

RESTING_GATHER_S = 0.02
"""The same while bulk rests for codes' sake: fewer commits, and receipts are answered within some 20 ms."""

IDLE_S = 0.25
"""Longest time without a cycle while acknowledged events wait to be forgotten."""

BLOCKED_S = 0.02
"""How soon work is looked at again that could not go although nothing visible holds it (quiet hours, a long message)."""

COMMIT_RETRY_S = 0.2


class Pump:
    """Runs the cycles of one worker."""

    def __init__(
        self,
        database: Database,
        links: dict[str, LinkState],
        publisher: Publisher,
        *,
        owner: str,
        clock: Clock,
        quiet: QuietHours,
        on_mo: Callable[[list[int]], None],
        most_ids: int,
        code_target_s: float,
    ) -> None:
        self.courtesy = Courtesy(code_target_s)
        self.book = Book(most_ids)
        self.ids = Ids()
        self.links = links
        self.claimer = Claimer(database, links, clock=clock, quiet=quiet, wake_pump=self.wake, courtesy=self.courtesy)
        self.digest = Digest(links, self.book, self.ids.take)
        self._granter = Granter(self.book, self.claimer, clock=clock, quiet=quiet, take_id=self.ids.take)
        self._database = database
        self._publisher = publisher
        self._owner = owner
        self._clock = clock
        self._on_mo = on_mo
        self._cycle = 0
        self._wake = asyncio.Event()
        self._code_came = asyncio.Event()
        self._codes_left = False
        self._bulk_at = float("-inf")
        self._bulk_left = 0
        self._stopping = False
        self._granting = True
        self._fault: BaseException | None = None
        self._inbox: list[tuple[Source, LinkConnection | None, list[Event]]] = []
        self._unsent: list[tuple[Flight, int]] = []
        self._rejected: list[tuple[Flight, int]] = []
        self._foreign: list[ForeignReceipt] = []
        self._idle = asyncio.Event()

    # What others call -------------------------------------------------------------------------------------------------

    def on_events(self, source: Source, events: list[Event]) -> None:
        """Take the events of one read of a session (`adapters.session.Sink`)."""
        self._inbox.append((source, source.connection, events))
        self._wake.set()

    def on_foreign(self, found: list[ForeignReceipt]) -> None:
        """Take receipts that other workers keep and whose segments the book knows."""
        self._foreign += found
        self._wake.set()

    def on_fault(self, error: BaseException) -> None:
        """A session task of ours failed: the process must end."""
        self._fault = error
        self._wake.set()

    def wake(self, *, urgent: bool = False) -> None:
        """Begin a cycle soon; at once when ``urgent``: a code is there to be granted."""
        if urgent:
            self._code_came.set()
        self._wake.set()

    def stop_granting(self) -> None:
        """Grant nothing more; what is under way is still answered."""
        self._granting = False

    async def quiesce(self) -> None:
        """Wait until nothing is under way and everything that arrived is durable."""
        while (
            self._inbox
            or self._unsent
            or self._rejected
            or any(s.used or s.backlog for link in self.links.values() for s in link.sessions.values())
        ):
            self._idle.clear()
            self._wake.set()
            await self._idle.wait()

    async def quiesce_one(self, session: SlotSession) -> None:
        """Wait for one more cycle to settle what a closed session left."""
        del session
        self._idle.clear()
        self._wake.set()
        await self._idle.wait()

    def stop(self) -> None:
        """End `run` after the cycle in hand."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Cycle until stopped.  Raises what is a fault of ours, and `FencedError` when a slot was taken from us."""
        await self.ids.refill(self._database)
        begun = 0.0
        while not self._stopping:
            codes_only = await self._wait(begun)
            if self._fault is not None:
                raise self._fault
            if codes_only:
                await self._code_cycle()
            else:
                begun = self._clock.monotonic()
                self._wake.clear()
                self._code_came.clear()
                self._codes_left = False
                await self.cycle()
                self._idle.set()
            if self.ids.low():
                await self._refill()
        await self.cycle()

    async def _wait(self, begun: float) -> bool:
        """Wait for something to do, then until bulk has gathered and rested; return whether a code came before that was over."""
        now = self._clock.monotonic()
        timeout = IDLE_S
        for link in self.links.values():
            backlog = any(s.backlog for s in link.sessions.values())
            if link.loaded() or backlog:
                at = link.limiter.next_at(now)
                if at is not None and link.sendable(now) and self._room(link):
                    grant_at = at - (0.0 if backlog else AHEAD_S)
                    timeout = min(
                        timeout, max(BLOCKED_S if link.idle_pass and grant_at <= now else 0.0, grant_at - now)
                    )
                else:
                    timeout = min(timeout, BLOCKED_S)
        if not self._wake.is_set() and timeout > 0:
            handle = asyncio.get_running_loop().call_later(timeout, self._wake.set)
            await self._wake.wait()
            handle.cancel()
        rests = self.courtesy.rest(self._clock.monotonic()) and not self._codes_left
        due = begun + (RESTING_GATHER_S if rests else GATHER_S)
        left = due - self._clock.monotonic()
        if left <= 0 or self._stopping:
            return False
        try:
            async with asyncio.timeout(left):
                await self._code_came.wait()
        except TimeoutError:
            return False
        self._code_came.clear()
        return True

    def _room(self, link: LinkState) -> bool:
        return any(s.used < link.shares[-1] or s.backlog for s in link.sessions.values())

    async def _refill(self) -> None:
        while True:
            try:
                await self.ids.refill(self._database)
            except DatabaseUnavailable:
                await asyncio.sleep(COMMIT_RETRY_S)
            else:
                return

    # One cycle --------------------------------------------------------------------------------------------------------

    async def cycle(self) -> None:
        """Do one cycle."""
        inbox, self._inbox = self._inbox, []
        unsent, self._unsent = self._unsent, []
        rejected, self._rejected = self._rejected, []
        foreign, self._foreign = self._foreign, []
        draft = Draft()
        now_ms = self._clock.wall_ms()
        acks = self.digest.take(inbox, unsent, rejected, foreign, draft, self._clock.monotonic(), now_ms)
        flights: list[tuple[SlotSession, Flight]] = []
        if self._granting:
            now = self._clock.monotonic()
            rest = self.courtesy.rest(now)
            metrics.BULK_REST_SECONDS.set(rest)
            if now - self._bulk_at >= rest:
                self._bulk_at, self._bulk_left = now, COURTEOUS_MESSAGES if rest else sys.maxsize
            elif self._bulk_left > COURTEOUS_MESSAGES:
                self._bulk_left = 0  # the rest begins
            for link in list(self.links.values()):
                lanes = ALL if self._bulk_left > 0 else CODES
                granted = await self._granter.grant(link, draft, now_ms, lanes, most=self._bulk_left)
                self._bulk_left -= sum(len(f.indices) for _, f in granted if f.head.lane != VERIFICATION)
                flights += granted
        draft.acked = self._publisher.take_done()
        await self._finish(draft, acks, flights, now_ms)

    async def _code_cycle(self) -> None:
        """Grant codes and nothing else: what the sessions said, and bulk, wait for the cycle they are due in."""
        draft = Draft()
        now_ms = self._clock.wall_ms()
        flights: list[tuple[SlotSession, Flight]] = []
        if self._granting:
            for link in list(self.links.values()):
                if len(link.queues[VERIFICATION]):
                    flights += await self._granter.grant(link, draft, now_ms, CODES)
        await self._finish(draft, Acks(), flights, now_ms)
        # Without room or rate for them: what the sessions said may make some.
        self._codes_left = any(len(link.queues[VERIFICATION]) for link in self.links.values())

    async def _finish(self, draft: Draft, acks: Acks, flights: list[tuple[SlotSession, Flight]], now_ms: int) -> None:
        if not draft.empty():
            gone = await self._commit(draft, now_ms)
            if gone:
                flights = [(session, flight) for session, flight in flights if flight not in gone]
        await self._after(draft, acks, flights, now_ms)

    async def _commit(self, draft: Draft, now_ms: int) -> set[Flight]:
        """Commit, for as long as it takes; return flights that turned out stale (they do not happen)."""
        self._cycle += 1
        gone: set[Flight] = set()
        with metrics.CYCLE_SECONDS.time():
            while True:
                try:
                    await draft.commit(self._database, self._owner, self._cycle, now_ms)
                except StaleError:
                    gone |= await self._drop_stale(draft)
                except DatabaseUnavailable as error:
                    # Its fate is unknown; the same number makes doing it again harmless.  Leases run out meanwhile and close
                    # the sessions: what is granted here is then known never to have been written.
                    log.warning("journal_waiting", reason=str(error))
                    await asyncio.sleep(COMMIT_RETRY_S)
                else:
                    break
        metrics.CYCLES.inc()
        return gone

    async def _drop_stale(self, draft: Draft) -> set[Flight]:
        stale = await stale_items(self._database, draft.items)
        metrics.STALE.inc(len(stale))
        flights = draft.without(stale)
        for flight in flights:
            session = self.links[flight.link].sessions.get(flight.slot)
            if session is not None and session.epoch == flight.epoch:
                session.used -= len(flight.indices)
        for link in self.links.values():
            for queue in link.queues:
                for work in queue.sources():
                    if work.id in stale:
                        queue.remove(work)
        log.info("items_stale", n=len(stale))
        return set(flights)

    async def _after(self, draft: Draft, acks: Acks, flights: list[tuple[SlotSession, Flight]], now_ms: int) -> None:
        """What may happen now that the draft is durable."""
        for connection, (session, handles) in acks.handles.items():
            session.acknowledge(connection, handles)
        for span in acks.spans:
            span.end()
        if acks.mo_ids:
            self._on_mo(acks.mo_ids)
        if draft.events:
            self._publisher.offer(draft.events)
        if draft.renewed:
            self.claimer.hint((row[3], row[2]) for row in draft.renewed if row[6] <= now_ms)
        self._write_backlogs()
        turn = 0
        for session, flight in flights:
            self.book.add(flight)
            self._write(session, flight)
            turn += len(flight.indices)
            if turn >= TURN_MESSAGES:
                turn = 0
                await asyncio.sleep(0)
        for session in {session for session, _ in flights}:
            session.flush()
        if flights:
            self._observe(flights)
            if any(link.wanted(lane) for link in self.links.values() for lane in range(len(LANES))):
                self.claimer.hint()

    def _write(self, session: SlotSession, flight: Flight) -> None:
        """Hand a flight's submits to its session, as many as the rate lets go now; the rest waits in the session."""
        link = self.links[flight.link]
        now = self._clock.monotonic()
        base = flight.token(0)
        batch = [(base + place, submit) for place, submit in enumerate(flight.submits)]
        flight.submits = []
        if session.epoch != flight.epoch or not session.ready(now):
            self._unsent += [(flight, place) for place in range(len(batch))]
            self._wake.set()
            return
        code = flight.head.lane == VERIFICATION
        allowed = link.limiter.available(now) if code or not session.backlog else 0
        if allowed < len(batch):
            if code:  # before whatever waits there of other classes
                session.backlog.extendleft(reversed(batch[allowed:]))
            else:
                session.backlog.extend(batch[allowed:])
            batch = batch[:allowed]
        self._submit(link, session, batch, flight.head.lane)

    def _write_backlogs(self) -> None:
        for link in self.links.values():
            for session in link.sessions.values():
                if session.backlog:
                    self._write_backlog(link, session)

    def _write_backlog(self, link: LinkState, session: SlotSession) -> None:
        now = self._clock.monotonic()
        if not session.ready(now):
            return  # when it closes, the digest puts the backlog back into the queue
        allowed = min(link.limiter.available(now), len(session.backlog))
        if allowed > 0:
            batch = [session.backlog.popleft() for _ in range(allowed)]
            self._submit(link, session, batch, 0)
            session.flush()

    def _submit(self, link: LinkState, session: SlotSession, batch: list[tuple[int, Submit]], lane: int) -> None:
        """Give the engine submits.  Segments it cannot encode are settled as refused; a closed session's as never sent."""
        while batch:
            try:
                session.submit(batch)
            except RejectedItemError as error:
                found = self.book.find(error.token)
                assert found is not None, "a token handed over belongs to a flight"
                log.exception("submit_unwritable", link=link.name, chunk_id=found[0].head.chunk_id, reason=str(error))
                self._rejected.append(found)
                batch = [(token, submit) for token, submit in batch if token != error.token]
                self._wake.set()
            except NotBoundError:
                for token, _ in batch:
                    found = self.book.find(token)
                    if found is not None:
                        self._unsent.append(found)
                self._wake.set()
                return
            else:
                link.limiter.sent(len(batch), self._clock.monotonic())
                link.submitted[lane].inc(len(batch))
                return

    def _observe(self, flights: list[tuple[SlotSession, Flight]]) -> None:
        now_ms = self._clock.wall_ms()
        for _, flight in flights:
            tracing.submitted(flight)
            if flight.kind or flight.release is None:
                continue
            lane = LANES[flight.head.lane].value
            waited = max(0, now_ms - flight.release.chunk.accepted_at) / 1000
            metrics.ACCEPT_TO_SUBMIT_SECONDS.labels(lane).observe(waited)
