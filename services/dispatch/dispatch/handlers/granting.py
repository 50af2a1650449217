"""Choosing what goes out now: strictly by class, fair inside a class, within window, rate, validity, opt-outs and cancels.

Everything chosen enters the draft; it is written to a carrier only after the draft's commit.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence

from carrier.model import Submit
from contracts.events.dispatch import CloseCause
from contracts.lanes import LANES
from dispatch import metrics
from dispatch.adapters.session import SlotSession
from dispatch.domain import outcomes
from dispatch.domain.book import Book
from dispatch.domain.quiet import QuietHours
from dispatch.domain.wire import TextError
from dispatch.domain.work import Flight, Work
from dispatch.handlers.claiming import RECHECK_S, VERIFICATION, Claimer
from dispatch.handlers.linkstate import MARKETING, LinkState
from dispatch.store.journal import Draft
from servicekit.clock import Clock

COARSE = 4
"""Bulk waits for a quarter of its window: a grant costs the same for three messages as for twenty, here and in whoever reads of it."""

AHEAD_S = 0.01
"""What may go out so soon is granted now: it is durable, and waits in its session, when its moment comes (the pump asks the limiter
again before it writes)."""

ALL: Sequence[int] = range(len(LANES))
CODES: Sequence[int] = (VERIFICATION,)

COURTEOUS_MESSAGES = 200
"""Messages of bulk granted over all links between two rests, in one cycle or, where windows are small, in several: a code that comes
meanwhile waits for a cycle's end."""

TURN_MESSAGES = 100
"""Messages encoded in one turn of the loop (architecture.md, "Priority")."""


class Closing:
    """Messages that end here, gathered per release and cause."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, CloseCause, str], tuple[Work, list[int]]] = {}

    def add(self, work: Work, index: int, cause: CloseCause, code: str = "") -> None:
        """Close a message."""
        entry = self.rows.get((work.id, cause, code))
        if entry is None:
            entry = self.rows[work.id, cause, code] = (work, [])
        if not entry[1] or entry[1][-1] != index:
            entry[1].append(index)


class Granter:
    """Fills drafts with grants."""

    def __init__(
        self, book: Book, claimer: Claimer, *, clock: Clock, quiet: QuietHours, take_id: Callable[[], int]
    ) -> None:
        self._book = book
        self._claimer = claimer
        self._clock = clock
        self._quiet = quiet
        self._take_id = take_id

    async def grant(
        self, link: LinkState, draft: Draft, now_ms: int, lanes: Sequence[int] = ALL, *, most: int = sys.maxsize
    ) -> list[tuple[SlotSession, Flight]]:
        """Grant what one link may send now of some classes, best first; returns the flights to write after the commit.

        Beyond ``most`` segments nothing but codes is granted.
        """
        now = self._clock.monotonic()
        sessions = [s for s in link.sessions.values() if s.ready(now)]
        flights: list[tuple[SlotSession, Flight]] = []
        if not sessions or not link.eligible or not link.loaded():
            return flights
        budget = link.limiter.within(now, AHEAD_S) - sum(len(s.backlog) for s in sessions)
        quiet = bool(self._quiet.ends_at(now_ms)) if len(link.queues[MARKETING]) else False
        closing = Closing()
        turn = 0
        for lane in lanes:
            if lane == MARKETING and quiet:
                continue
            while budget > 0 and (most > 0 or lane == VERIFICATION):
                room = budget if lane == VERIFICATION else min(budget, most)
                granted = self._one(link, lane, sessions, room, draft, closing, now, now_ms)
                if granted is None:
                    break
                session, flight = granted
                if flight is None:
                    continue
                flights.append((session, flight))
                budget -= len(flight.indices)
                most -= len(flight.indices) if lane != VERIFICATION else 0
                turn += len(flight.indices)
                if turn >= TURN_MESSAGES:
                    turn = 0
                    await asyncio.sleep(0)
        self._close(closing, draft, now_ms)
        if lanes is ALL:
            link.idle_pass = not flights and not closing.rows
        return flights

    def _one(
        self,
        link: LinkState,
        lane: int,
        sessions: list[SlotSession],
        budget: int,
        draft: Draft,
        closing: Closing,
        now: float,
        now_ms: int,
    ) -> tuple[SlotSession, Flight | None] | None:
        """Make one flight; None when this class has nothing to send or no room."""
        queue = link.queues[lane]
        share = link.shares[lane]
        session = min(sessions, key=_used)
        free = share - session.used
        if free < (1 if lane == VERIFICATION else max(1, share // COARSE)):
            return None
        current = queue.current()
        if current is None:
            return None
        work, allowance = current
        if now - work.checked_at > RECHECK_S:
            queue.remove(work)
            self._claimer.recheck(link, work)
            return session, None
        flight = Flight(
            id=0,
            serial=0,
            link=link.name,
            slot=session.slot,
            epoch=session.epoch,
            work=work,
            granted_at=now_ms,
        )
        lo = work.pos
        fits = self._fill(link, flight, work, min(allowance, free, budget, TURN_MESSAGES), free, closing, now_ms)
        if work.pos == lo:
            # The first message is longer than the room that is left: it waits for room, and nobody overtakes it.
            assert not fits
            return None
        draft.advance(work, lo)
        queue.charge(work.ekey, max(1, len(flight.indices)))
        if not flight.indices:
            return session, None
        flight.id = self._take_id()
        flight.serial = self._book.next_serial()
        flight.seal()
        session.used += len(flight.indices)
        draft.grant(flight, work.id)
        return session, flight

    def _fill(
        self, link: LinkState, flight: Flight, work: Work, want: int, free: int, closing: Closing, now_ms: int
    ) -> bool:
        """Put messages of ``work`` into ``flight`` until ``want`` segments are reached; never more than ``free``."""
        release = work.release
        chunk = release.chunk
        single_expiry = chunk.entries[0].expires_at if len(chunk.entries) == 1 else 0
        if single_expiry > now_ms and work.segs is None and not work.dropped and not work.known:
            _fill_plainly(link, flight, work, want)
        add, segments = flight.add, flight.indices
        for after, index, chosen in work.messages():
            if len(segments) >= want:
                return True
            expires = single_expiry or chunk.entry_of(index).expires_at
            if expires <= now_ms:
                closing.add(work, index, CloseCause.EXPIRED)
                work.pos, work.ready = after, None
                continue
            if work.dropped and index in work.dropped:
                closing.add(work, index, work.dropped[index])
                work.pos, work.ready = after, None
                continue
            try:
                submits = work.ready or link.writer.submits(chunk, index)
            except TextError as error:
                closing.add(work, index, CloseCause.CARRIER_REFUSED, f"unencodable:{error.code}")
                work.pos = after
                continue
            numbers = range(1, len(submits) + 1) if chosen is None else chosen
            if work.known:
                numbers = [seg for seg in numbers if (index, seg) not in work.known]
            if len(numbers) > link.shares[0]:
                closing.add(work, index, CloseCause.CARRIER_REFUSED, "longer_than_window")
                work.pos, work.ready = after, None
                continue
            if len(segments) + len(numbers) > free:
                work.ready = submits
                return bool(segments)
            total, recipient = len(submits), chunk.recipients[index]
            for seg in numbers:
                add(index, seg, total, recipient, submits[seg - 1])
            work.pos, work.ready = after, None
        return True

    def _close(self, closing: Closing, draft: Draft, now_ms: int) -> None:
        for (_, cause, code), (work, indices) in closing.rows.items():
            head = work.release.head
            metrics.CLOSED.labels(cause.value).inc(len(indices))
            event = outcomes.closed(head, now_ms, indices, cause, code)
            draft.events.append(outcomes.outcome(head, event, f"closed-{cause.value}", self._take_id(), now_ms))
            draft.closings.setdefault(work.id, []).append(draft.events[-1])


def _fill_plainly(link: LinkState, flight: Flight, work: Work, want: int) -> None:
    """As `Granter._fill`, for messages of which nothing is to be decided, up to the first that is not one short message."""
    chunk, indices, recipients = work.release.chunk, work.indices, work.release.chunk.recipients
    write, pos, last = link.writer.submits, work.pos, min(work.n, work.pos + want)
    submits: list[Submit] = []
    if work.ready is None:
        try:
            while pos < last:
                made = write(chunk, indices[pos])
                if len(made) != 1:
                    work.ready = made
                    break
                submits.append(made[0])
                pos += 1
        except TextError:
            pass  # `_fill` meets it again, and closes the message
    taken = indices[work.pos : pos]
    flight.add_whole(taken, [recipients[index] for index in taken], submits)
    work.pos = pos


def _used(session: SlotSession) -> int:
    return session.used


__all__ = ["Granter", "Submit"]
