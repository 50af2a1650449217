"""Receipts find their segments: early, late, twice, in another notation, of long messages, after a restart."""

from __future__ import annotations

from carrier.model import ReportState
from contracts.events.dispatch import CloseCause, MessagesClosed, SegmentsAnswered, SegmentsReported, SegmentState
from dispatch.domain.outcomes import STATES


def reported(running) -> list[tuple[int, int, SegmentState]]:
    return [
        (i, s, state)
        for e in running.bus.of(SegmentsReported)
        for i, s, state in zip(e.indices, e.segments, e.states, strict=True)
    ]


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
