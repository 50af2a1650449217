"""Receipts find their segments: early, late, twice, in another notation, of long messages, after a restart."""

from __future__ import annotations

import pytest

from carrier.model import ReportState
from contracts.events.dispatch import CloseCause, MessagesClosed, SegmentsAnswered, SegmentsReported, SegmentState
from dispatch.domain.outcomes import STATES
from dispatch.handlers.resolving import Resolver


def reported(running) -> list[tuple[int, int, SegmentState]]:
    return [
        (i, s, state)
        for e in running.bus.of(SegmentsReported)
        for i, s, state in zip(e.indices, e.segments, e.states, strict=True)
    ]


def answered(running) -> int:
    return sum(len(e.indices) for e in running.bus.of(SegmentsAnswered))


async def test_a_receipt_may_come_before_the_answer(carrier, worker_of, tools, dispatch_database):
    carrier.receipt_first = True
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(60))
        await tools.until(lambda: running.check() or len(reported(running)) == 60)
        assert sorted(i for i, _, _ in reported(running)) == list(range(60))
        await tools.until(lambda: _none(dispatch_database, "receipt_pending"))


async def _none(database, table: str) -> bool:
    return await database.fetchval(f"select count(*) from {table}") == 0


async def test_a_repeated_receipt_is_reported_once(carrier, worker_of, tools, dispatch_database):
    carrier.receipt_twice = True
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(40))
        await tools.until(lambda: running.check() or carrier.receipts_answered == 80)
        await tools.until(lambda: len(reported(running)) >= 40)
        assert len(reported(running)) == 40
        stored = await dispatch_database.fetchval("select sum(cardinality(raws)) from receipt_raw")
        assert stored == 80


async def test_ids_in_another_notation(carrier, worker_of, tools):
    carrier.ids = lambda n: f"{n + 0x1A0:08X}"
    carrier.receipt_id = lambda text: str(int(text, 16)).zfill(10)
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(30))
        await tools.until(lambda: running.check() or len(reported(running)) == 30)
        assert sorted(i for i, _, _ in reported(running)) == list(range(30))


async def test_every_segment_of_a_long_message(carrier, worker_of, tools):
    text = "尊敬的客户，" * 30
    async with worker_of([tools.link_of(carrier, sessions=2)]) as running:
        await running.release(tools.make_chunk(4, text=text))
        await tools.until(lambda: running.check() or len(reported(running)) == 12)
        assert sorted((i, s) for i, s, _ in reported(running)) == [(i, s) for i in range(4) for s in (1, 2, 3)]
        headers = {submit.content[:6] for _, submit in carrier.submits if submit.destination == "8613800000000"}
        assert len({h[3] for h in headers}) == 1, "one reference for all segments"
        assert sorted(h[4:6] for h in headers) == [bytes((3, 1)), bytes((3, 2)), bytes((3, 3))]
        totals = {t for e in running.bus.of(SegmentsAnswered) for t in e.totals}
        assert totals == {3}


async def test_the_carriers_word_is_passed_on(carrier, worker_of, tools):
    carrier.receipt_state = ReportState.UNDELIVERABLE
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(1))
        await tools.until(lambda: running.check() or reported(running))
        assert reported(running) == [(0, 1, STATES[ReportState.UNDELIVERABLE])]


async def test_receipts_after_a_restart_are_found_in_the_journal(carrier, worker_of, tools, dispatch_database):
    carrier.hold_receipts = True
    link = tools.link_of(carrier)
    async with worker_of([link]) as running:
        await running.release(tools.make_chunk(20))
        await tools.until(lambda: running.check() or len(carrier.held) == 20)
        await tools.until(lambda: sum(len(e.indices) for e in running.bus.of(SegmentsAnswered)) == 20)
    async with worker_of([link]) as running:
        await tools.until(lambda: running.check() or carrier.bound)
        for report in carrier.held:
            carrier.deliver(report)
            carrier.deliver(report)
        await tools.until(lambda: running.check() or len(reported(running)) == 20)
        await tools.until(lambda: _none(dispatch_database, "receipt_pending"))
        assert len(reported(running)) == 20


@pytest.mark.parametrize("early", [False, True], ids=["after the answer", "before the answer"])
async def test_receipts_that_come_to_another_worker_are_known_where_their_answers_came(
    carrier, worker_of, tools, dispatch_database, monkeypatch, early
):
    monkeypatch.setattr(Resolver, "once", _nothing)
    link = tools.link_of(carrier, sessions=2, rate=200)
    carrier.hold_receipts = True
    async with worker_of([link]) as first, worker_of([link], instance="dispatch-2") as second:
        await tools.until(
            lambda: all(r.check() or _bound(r) == [True] for r in (first, second)) and len(carrier.bound) == 2
        )
        other = dict(zip(carrier.bound, reversed(list(carrier.bound)), strict=True))
        if early:
            straight = carrier.deliver
            carrier.hold_receipts, carrier.receipt_first = False, True
            monkeypatch.setattr(carrier, "deliver", lambda report, come: straight(report, other[come]))
        sent = 0
        while min(answered(first), answered(second)) < 20:  # rate and work are shared out within seconds
            sent += 50
            assert sent <= 5000
            await (first, second)[sent // 50 % 2].release(tools.make_chunk(50, enterprise=f"b{sent}"))
            await tools.until(lambda n=sent: answered(first) + answered(second) == n)
        carried = [answered(first), answered(second)]
        for n in range(0, len(carrier.held), 50):  # the carrier's window is 100
            for report in carrier.held[n : n + 50]:
                carrier.deliver(report, next(iter(other)))
            await tools.until(lambda n=n: carrier.receipts_answered >= min(n + 50, len(carrier.held)))
        await tools.until(lambda: first.check() or second.check() or len(reported(first) + reported(second)) >= sent)
        await tools.until(lambda: _none(dispatch_database, "receipt_pending"))
        assert [len(reported(first)), len(reported(second))] == carried


async def _nothing(resolver) -> int:
    return 0


def _bound(running) -> list[bool]:
    link = running.worker.pump.links.get("a")
    return [] if link is None else [session.bound for session in link.sessions.values()]


async def test_a_receipt_of_nothing_is_kept_and_listed(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        await tools.until(lambda: running.check() or carrier.bound)
        await running.release(tools.make_chunk(1))
        await tools.until(lambda: reported(running))
        stray = carrier.report_of(carrier.submits[0][1], "9999999999")
        carrier.deliver(stray)
        await tools.until(lambda: carrier.receipts_answered == 2)
        row = await dispatch_database.fetchrow("select raw_id, link from receipt_pending")
        assert dict(row) == {"raw_id": "9999999999", "link": "a"}
        assert len(reported(running)) == 1


async def test_a_receipt_that_never_comes_ends_the_message(carrier, worker_of, tools, dispatch_database):
    carrier.receipts = False
    link = tools.link_of(carrier, receipt_hours=0.001)
    async with worker_of([link]) as running:
        await running.release(tools.make_chunk(3))
        await tools.until(lambda: running.check() or sum(len(e.indices) for e in running.bus.of(SegmentsAnswered)) == 3)

        async def overdue() -> bool:
            while await running.worker.overdue.step(link):
                pass
            return bool(running.bus.of(MessagesClosed))

        await tools.until(overdue)
        (closed,) = running.bus.of(MessagesClosed)
        assert (closed.indices, closed.cause) == ([0, 1, 2], CloseCause.NO_RECEIPT)
        before = len(running.bus.events)
        await running.worker.overdue.step(link)
        assert len(running.bus.events) == before
