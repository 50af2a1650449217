"""From what the sessions said to what the journal must hold: answers, retries, uncertain segments, receipts, messages from phones.

Called once per cycle with everything that arrived since the last one, in order.  Nothing is awaited here: what is decided enters
one draft and becomes true with its commit.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby

import structlog
from opentelemetry.trace import Span

from carrier.events import Answered, Closed, DeliverReceived, Event, PeerError, ReportReceived, Resent
from carrier.ids import IdMode, candidates
from carrier.model import Outcome, Report
from contracts.events.dispatch import CloseCause, SegmentState
from dispatch import metrics
from dispatch.adapters.session import Source
from dispatch.domain import outcomes
from dispatch.domain.book import Book, same_number, storable
from dispatch.domain.inbound import code_of, mo_row
from dispatch.domain.outcomes import RESEND, RETRY
from dispatch.domain.rules import (
    TEMPORARY_ATTEMPTS,
    Rule,
    rule_of,
    temporary_delay_ms,
    throttle_delay_ms,
    uncertain_delay_ms,
)
from dispatch.domain.work import PLACE, Flight
from dispatch.handlers import tracing
from dispatch.handlers.linkstate import LinkState
from dispatch.store.journal import Draft
from links.tcp import LinkConnection
from servicekit.telemetry import traceparent_of

log = structlog.get_logger()

UNWRITABLE = -1
"""Status of a segment our own engine could not write: it never reached the carrier."""

MOST_PENDING = 50_000
"""Unmatched receipts kept in memory; beyond, only the table has them and the resolver finds them there."""

PENDING_S = 10.0
"""How long an unmatched receipt waits in memory for its answer.  Somebody else may have settled it meanwhile, and a carrier may give its
id again: an answer that comes later is for the resolver."""

REFUSING_STEP = 3
"""Back-off step of a throttled segment while the carrier takes nothing at all: 0.8 to 1.6 s instead of 0.1 to 0.2."""

_FINAL_STATES = outcomes.STATES


class Acks:
    """Receipts and messages to answer once the draft is committed, by connection."""

    def __init__(self) -> None:
        self.handles: dict[LinkConnection, tuple[Source, list[int]]] = {}
        self.mo_ids: list[int] = []
        self.spans: list[Span] = []
        """To end once the draft is committed."""

    def add(self, session: Source, connection: LinkConnection, handles: Iterable[int]) -> None:
        """Note what is to be answered on a connection."""
        entry = self.handles.get(connection)
        if entry is None:
            entry = self.handles[connection] = (session, [])
        entry[1].extend(handles)


@dataclass(frozen=True, slots=True)
class ForeignReceipt:
    """A receipt that came to another worker, found in this one's book: where it is kept, its segment and what it says."""

    pending_id: int
    link: str
    flight: Flight
    place: int
    state: SegmentState
    code: str
    done_at: int


class _Settled:
    """What became of a flight's segments in this cycle."""

    __slots__ = ("retried", "throttled", "uncertain", "unsent")

    def __init__(self) -> None:
        self.throttled: list[int] = []
        self.retried: list[int] = []
        self.uncertain: list[int] = []
        self.unsent: list[int] = []


class Digest:
    """Turns session events into a draft; keeps the book and the receipts that wait for their answer."""

    def __init__(self, links: dict[str, LinkState], book: Book, take_id: Callable[[], int]) -> None:
        self._links = links
        self._book = book
        self._take_id = take_id
        self._pending: dict[tuple[str, str], list[tuple[int, Report, float]]] = {}
        self._touched: dict[Flight, _Settled] = {}
        self._reported: dict[tuple[str, Flight], list[tuple[int, int, int, SegmentState, str, int]]] = {}
        self._now = 0.0
        self._now_ms = 0

    def take(
        self,
        inbox: list[tuple[Source, LinkConnection | None, list[Event]]],
        unsent: list[tuple[Flight, int]],
        rejected: list[tuple[Flight, int]],
        foreign: list[ForeignReceipt],
        draft: Draft,
        now: float,
        now_ms: int,
    ) -> Acks:
        """Put everything into ``draft``; return what to acknowledge after its commit.

        ``unsent`` were granted and surely never written, ``rejected`` could not be encoded, ``foreign`` are receipts other workers
        keep for whoever knows their segments.
        """
        self._now, self._now_ms = now, now_ms
        acks = Acks()
        for session, connection, events in inbox:
            link = self._links[session.link.name]
            for kind, run in groupby(events, type):
                if kind is Answered:
                    self._on_answers(link, session, run, draft)  # type: ignore[arg-type]
                elif kind is ReportReceived:
                    self._on_reports(link, session, connection, run, draft, acks)  # type: ignore[arg-type]
                else:
                    for event in run:
                        self._on_other(link, session, connection, event, draft, acks)
        for link in self._links.values():
            link.settle()
        for flight, place in unsent:
            self._settle(flight).unsent.append(place)
        for flight, place in rejected:
            self._settle(flight)
            flight.answers.append((place, UNWRITABLE, ""))
        for one in foreign:
            draft.settled.append(one.pending_id)
            self._matched(one.link, one.flight, one.place, one.state, one.code, one.done_at)
        self._finish(draft)
        self._report(draft, acks)
        return acks

    # Events -----------------------------------------------------------------------------------------------------------

    def _settle(self, flight: Flight, count: int = 1) -> _Settled:
        session = self._links[flight.link].sessions.get(flight.slot)
        if session is not None and session.epoch == flight.epoch:
            session.used -= count
        flight.open -= count
        settled = self._touched.get(flight)
        if settled is None:
            settled = self._touched[flight] = _Settled()
        return settled

    def _on_answers(self, link: LinkState, session: Source, answers: Iterable[Answered], draft: Draft) -> None:
        """Take answers in; those of one flight that say yes, which nearly all are, together."""
        for flight, run in groupby(answers, self._accepted_of):
            if flight is None:
                for answer in run:
                    self._on_answer(link, session, answer)
                continue
            yes = list(run)
            accepted = [(answer.token & PLACE, 0, answer.message_id) for answer in yes]
            link.accept(len(yes), yes[-1].at)
            self._settle(flight, len(yes))
            flight.answers += accepted
            flight.answered_at = yes[-1].at
            forms = self._book.remember(flight, accepted)
            if self._pending:
                for form, (place, _, _) in zip(forms, accepted, strict=True):
                    self._answer_came(link, form, flight, place, draft)

    def _accepted_of(self, answer: Answered) -> Flight | None:
        """Return the flight of an answer that says yes, None for any other."""
        return self._book.flight_of(answer.token) if answer.outcome is Outcome.OK else None

    def _on_answer(self, link: LinkState, session: Source, answer: Answered) -> None:
        """Take in an answer that does not say yes, or that belongs to nothing."""
        outcome = answer.outcome
        found = self._book.find(answer.token)
        if outcome is Outcome.OK:
            link.accept(1, answer.at)
        else:
            link.judge(answer, self._now)
        if found is None:
            log.error("answer_without_flight", link=link.name, slot=session.slot)
            return
        flight, place = found
        settled = self._settle(flight)
        if outcome is Outcome.THROTTLED:
            settled.throttled.append(place)
        elif outcome is Outcome.UNCERTAIN:
            settled.uncertain.append(place)
        elif outcome in {Outcome.TEMPORARY, Outcome.SESSION} and flight.attempt + 1 < TEMPORARY_ATTEMPTS:
            settled.retried.append(place)
        else:
            flight.answers.append((place, answer.status, ""))
            flight.answered_at = answer.at

    def _on_reports(
        self,
        link: LinkState,
        session: Source,
        connection: LinkConnection | None,
        received: Iterable[ReportReceived],
        draft: Draft,
        acks: Acks,
    ) -> None:
        handles, reports = zip(*[(event.handle, event.report) for event in received], strict=True)
        draft.receipts_raw(link.name, session.slot, [report.raw for report in reports])
        if connection is not None:
            acks.add(session, connection, handles)
        for report in reports:
            self._on_report(link, report, draft)

    def _on_report(self, link: LinkState, report: Report, draft: Draft) -> None:
        state = _FINAL_STATES.get(report.state)
        if state is None or not report.final:
            metrics.RECEIPTS.labels(link.name, "intermediate").inc()
            return
        found = self._book.match(link.name, report.message_id, link.config.id_mode, report.recipient)
        if found is not None:
            self._matched(link.name, *found, state, code_of(report), outcomes.wire_time_ms(report.done))
            return
        metrics.RECEIPTS.labels(link.name, "pending").inc()
        pending_id = self._take_id()
        forms = candidates(report.message_id, link.config.id_mode)
        draft.pending.append(
            (
                pending_id,
                link.name,
                storable(" ".join(forms)) or "-",
                storable(report.message_id),
                state.value,
                code_of(report),
                storable(report.recipient),
                storable(report.sender),
                outcomes.wire_time_ms(report.submitted) or self._told_by_id(link, report),
                outcomes.wire_time_ms(report.done),
            )
        )
        self._forget_old()
        for form in forms:
            self._pending.setdefault((link.name, form), []).append((pending_id, report, self._now))

    def _told_by_id(self, link: LinkState, report: Report) -> int:
        """Unix ms of the submit where only its id tells, 0 where nothing does."""
        at = link.dialect.submitted_at(report.message_id, self._now_ms / 1000)
        return 0 if at is None else int(at * 1000)

    def _answer_came(self, link: LinkState, form: str, flight: Flight, place: int, draft: Draft) -> None:
        """An answer came whose id receipts may have waited for; see `Book.match` for which are believed."""
        waiting = self._pending.get((link.name, form))
        if waiting is None:
            return
        for pending_id, report, _ in list(waiting):
            forms = candidates(report.message_id, link.config.id_mode)
            if form != forms[0] and not same_number(flight.recipients[place], report.recipient):
                continue
            for other in forms:
                self._forget(link.name, other, pending_id)
            draft.settled.append(pending_id)
            state = _FINAL_STATES[report.state]
            self._matched(link.name, flight, place, state, code_of(report), outcomes.wire_time_ms(report.done))

    def _forget_old(self) -> None:
        """Forget what is too much or too old to wait, the oldest first."""
        while self._pending:
            oldest = next(iter(self._pending))
            if len(self._pending) < MOST_PENDING and self._pending[oldest][-1][2] > self._now - PENDING_S:
                return
            del self._pending[oldest]

    def _forget(self, link: str, form: str, pending_id: int) -> None:
        waiting = self._pending.get((link, form))
        if waiting is not None:
            waiting[:] = [entry for entry in waiting if entry[0] != pending_id]
            if not waiting:
                del self._pending[link, form]

    def forget_pending(self, link: str, pending_id: int, forms: list[str]) -> None:
        """The resolver settled a receipt: it waits no longer, and a repetition of it is recognised."""
        for form in forms:
            self._forget(link, form, pending_id)
        found = self._book.match(link, forms[0], IdMode.EXACT, "") if forms else None
        if found is not None:
            found[0].codes[found[1]] = 1

    def _matched(self, link: str, flight: Flight, place: int, state: SegmentState, code: str, done_at: int) -> None:
        if flight.codes[place]:
            metrics.RECEIPTS.labels(link, "repeated").inc()
            return
        flight.codes[place] = 1
        rows = self._reported.get((link, flight))
        if rows is None:
            rows = self._reported[link, flight] = []
        rows.append((flight.indices[place], flight.segs[place], flight.totals[place], state, code, done_at))

    def _on_other(
        self,
        link: LinkState,
        session: Source,
        connection: LinkConnection | None,
        event: Event,
        draft: Draft,
        acks: Acks,
    ) -> None:
        if isinstance(event, DeliverReceived):
            mo_id = self._take_id()
            draft.mos.append(mo_row(mo_id, link.name, link.coding_zero, event.mo, self._now_ms))
            acks.mo_ids.append(mo_id)
            if connection is not None:
                acks.add(session, connection, (event.handle,))
        elif isinstance(event, Resent):
            link.limiter.sent(len(event.tokens), self._now)
        elif isinstance(event, PeerError):
            log.warning("peer_error", link=link.name, slot=session.slot, code=event.code)
        elif isinstance(event, Closed):
            link.limiter.answered(len(event.unanswered), self._now)
            for token in event.unanswered:
                found = self._book.find(token)
                if found is not None:
                    self._settle(found[0]).uncertain.append(found[1])
            while session.backlog:
                token, _ = session.backlog.popleft()
                found = self._book.find(token)
                if found is not None:
                    self._settle(found[0]).unsent.append(found[1])

    # What a flight leaves ---------------------------------------------------------------------------------------------

    def _finish(self, draft: Draft) -> None:
        for flight, settled in self._touched.items():
            draft.slot(flight.link, flight.slot, flight.epoch)
            if flight.answers:
                self._answers(flight, draft)
            if settled.throttled:
                # Throttling is no failure of the message: it does not count as an attempt.
                refusing = self._links[flight.link].limiter.refusing
                delay = throttle_delay_ms(REFUSING_STEP if refusing else 0, random.random())
                self._again(flight, settled.throttled, draft, RETRY, flight.attempt, self._now_ms + delay, None)
            if settled.retried:
                delay = temporary_delay_ms(flight.attempt, random.random())
                self._again(
                    flight, settled.retried, draft, RETRY, flight.attempt + 1, self._now_ms + delay, flight.link
                )
            if settled.unsent:
                self._again(flight, settled.unsent, draft, flight.kind, flight.attempt, 0, None)
            if settled.uncertain:
                self._uncertain(flight, settled.uncertain, draft)
            back = settled.throttled + settled.retried + settled.unsent + settled.uncertain
            if flight.open and back:
                # Queued again while others are under way: a recovery of the grant must not find these in it as well.
                flight.returned.update(back)
                draft.shrunk.append((flight.id, *flight.kept()))
            if flight.open == 0:
                draft.closed.append(flight.id)
                metrics.SUBMIT_TO_ANSWER_SECONDS.labels(flight.link).observe((self._now_ms - flight.granted_at) / 1000)
                flight.let_go()
                self._book.close(flight)
        self._touched.clear()

    def _report(self, draft: Draft, acks: Acks) -> None:
        for (link, flight), rows in self._reported.items():
            batch, head, trace = self._take_id(), flight.head, flight.trace
            self._links[link].receipts_matched.inc(len(rows))
            draft.report(batch, link, head.chunk_id, rows)
            event = outcomes.reported(head, link, batch, self._now_ms, rows)
            span = tracing.receipt(
                head, trace, link=link, states=event.states, found="memory", now_ms=self._now_ms,
                submitted_at=flight.granted_at,
            )  # fmt: skip
            if span is not None:
                acks.spans.append(span)
                trace = traceparent_of(span)
            draft.events.append(outcomes.outcome(head, event, "reported", batch, self._now_ms, trace))
        self._reported.clear()

    def _answers(self, flight: Flight, draft: Draft) -> None:
        release = flight.release
        assert release is not None, "a flight with unjournalled answers keeps its payload"
        link = self._links[flight.link]
        places, flight.answers = flight.answers, []
        batch = self._take_id()
        at_ms = self._now_ms - max(0, int((self._now - flight.answered_at) * 1000))
        recipients = release.chunk.recipients
        draft.answer(batch, flight, at_ms, places, [recipients[flight.indices[p]] for p, _, _ in places])
        event = outcomes.answered(flight, release, places, batch, at_ms, link.config.carrier, link.config.protocol)
        draft.events.append(outcomes.outcome(flight.head, event, "answered", batch, self._now_ms, flight.trace))
        refused: dict[int, list[int]] = {}
        for place, status, _ in places:
            if status:
                refused.setdefault(status, []).append(flight.indices[place])
        for status, indices in refused.items():
            code = "unwritable" if status == UNWRITABLE else f"{flight.link}:{link.dialect.status_name(status)}"
            members = sorted(set(indices))
            metrics.CLOSED.labels(CloseCause.CARRIER_REFUSED.value).inc(len(members))
            closing = outcomes.closed(flight.head, self._now_ms, members, CloseCause.CARRIER_REFUSED, code)
            made = outcomes.outcome(flight.head, closing, "refused", self._take_id(), self._now_ms, flight.trace)
            draft.events.append(made)

    def _again(
        self,
        flight: Flight,
        places: list[int],
        draft: Draft,
        kind: int,
        attempt: int,
        not_before: int,
        avoid: str | None,
    ) -> None:
        draft.renew(
            flight.head,
            grp=flight.grp,
            kind=RESEND if flight.kind == RESEND else kind,
            attempt=attempt,
            not_before=not_before,
            expires_at=flight.expires_at,
            avoid=avoid,
            pairs=[(flight.indices[p], flight.segs[p]) for p in places],
        )

    def _uncertain(self, flight: Flight, places: list[int], draft: Draft) -> None:
        release = flight.release
        assert release is not None, "a flight with open segments keeps its payload"
        chunk, head = release.chunk, flight.head
        rule = rule_of(head.lane)
        metrics.UNCERTAIN.labels(flight.link, rule.value).inc(len(places))
        pairs = sorted((flight.indices[p], flight.segs[p]) for p in places)
        totals = {(flight.indices[p], flight.segs[p]): flight.totals[p] for p in places}
        for index, seg in pairs:
            draft.uncertain.append(
                (
                    flight.link,
                    flight.slot,
                    flight.epoch,
                    flight.id,
                    head.release_id,
                    head.chunk_id,
                    head.lane,
                    index,
                    seg,
                    totals[index, seg],
                    chunk.recipients[index],
                    chunk.entry_of(index).port,
                    self._now_ms,
                    rule.value,
                )
            )
        resends = flight.attempt + 1 if flight.kind == RESEND else 0
        hold = int(self._links[flight.link].config.hold_s * 1000)
        delay = hold if rule is Rule.HOLD else uncertain_delay_ms(resends, random.random())
        not_before = self._now_ms + delay if delay else 0
        draft.renew(
            head,
            grp=flight.grp,
            kind=RESEND,
            attempt=resends,
            not_before=not_before,
            expires_at=flight.expires_at,
            avoid=None,
            pairs=list(pairs),
        )
        event = outcomes.uncertain(head, flight.link, flight.slot, flight.epoch, self._now_ms, pairs, rule.value)
        draft.events.append(outcomes.outcome(head, event, "uncertain", self._take_id(), self._now_ms, flight.trace))
