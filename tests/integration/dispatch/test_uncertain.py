"""Answers that were not seen: cut, silence, crash.  Never lost; sent twice only after being marked uncertain."""

from __future__ import annotations

from contracts.events.dispatch import SegmentsAnswered, SegmentsReported, SegmentsUncertain
from contracts.lanes import Lane


def delivered(running) -> set[int]:
    return {i for e in running.bus.of(SegmentsReported) for i in e.indices}


def uncertain(running) -> list[int]:
    return [i for e in running.bus.of(SegmentsUncertain) for i in e.indices]


async def test_a_cut_connection_makes_the_window_uncertain_and_resends_it(carrier, worker_of, tools, dispatch_database):
    carrier.status = lambda submit, n: 0 if n <= 10 else None
    async with worker_of([tools.link_of(carrier, window=20)]) as running:
        await running.release(tools.make_chunk(50))
        await tools.until(lambda: running.check() or len(carrier.submits) >= 20)
        carrier.status = lambda submit, n: 0
        carrier.cut()
        await tools.until(lambda: running.check() or len(delivered(running)) == 50)
        marked = uncertain(running)
        assert 0 < len(marked) <= 20
        resent = [e.indices[p] for e in running.bus.of(SegmentsAnswered) for p in e.resent]
        assert sorted(resent) == sorted(marked)
        twice = len(carrier.submits) - 50
        assert twice <= len(marked), "only what was marked may go twice"
        assert {e.rule for e in running.bus.of(SegmentsUncertain)} == {"resend"}


async def test_silence_ends_the_session_and_resends(carrier, worker_of, tools):
    carrier.status = lambda submit, n: None if n <= 5 else 0
    async with worker_of([tools.link_of(carrier, response_s=0.5)]) as running:
        await running.release(tools.make_chunk(5))
        await tools.until(lambda: running.check() or len(delivered(running)) == 5)
        assert sorted(uncertain(running)) == [0, 1, 2, 3, 4]
        assert len(carrier.submits) == 10


async def test_marketing_waits_for_a_receipt_and_is_not_sent_twice(carrier, worker_of, tools, dispatch_database):
    carrier.status = lambda submit, n: None
    async with worker_of([tools.link_of(carrier, hold_s=600, window=10)]) as running:
        await running.release(tools.make_chunk(3, lane=Lane.MARKETING))
        await tools.until(lambda: running.check() or len(carrier.submits) == 3)
        submits = [submit for _, submit in carrier.submits]
        carrier.status = lambda submit, n: 0
        carrier.cut()
        await tools.until(lambda: running.check() or len(uncertain(running)) == 3)
        await tools.until(lambda: carrier.bound)
        for place, submit in enumerate(submits):
            carrier.deliver(carrier.report_of(submit, f"{7000 + place}"))
        await tools.until(lambda: running.check() or delivered(running) == {0, 1, 2})
        answered = running.bus.of(SegmentsAnswered)
        assert sorted(i for e in answered for i in e.indices) == [0, 1, 2], "proved accepted, so answered and charged"
        assert len(carrier.submits) == 3
        rules = await dispatch_database.fetch("select distinct rule, resolved from uncertain")
        assert [tuple(row) for row in rules] == [("hold", "receipt")]


async def test_marketing_without_a_receipt_is_sent_again_after_the_hold(carrier, worker_of, tools):
    carrier.status = lambda submit, n: None
    async with worker_of([tools.link_of(carrier, hold_s=1.5, window=10)]) as running:
        await running.release(tools.make_chunk(2, lane=Lane.MARKETING))
        await tools.until(lambda: running.check() or len(carrier.submits) == 2)
        carrier.status = lambda submit, n: 0
        carrier.cut()
        await tools.until(lambda: running.check() or delivered(running) == {0, 1})
        assert {e.rule for e in running.bus.of(SegmentsUncertain)} == {"hold"}


async def test_a_crash_loses_nothing_and_resends_only_what_is_marked(carrier, worker_of, tools, dispatch_database):
    carrier.status = lambda submit, n: 0 if n <= 30 else None
    link = tools.link_of(carrier, window=20)
    async with worker_of([link]) as first:
        chunk = tools.make_chunk(200)
        await first.release(chunk)
        await tools.until(lambda: first.check() or len(carrier.submits) >= 45)
        await first.crash()
    before = list(first.bus.events)
    carrier.status = lambda submit, n: 0
    async with worker_of([link]) as second:
        await tools.until(
            lambda: (
                second.check()
                or len(
                    delivered(second)
                    | {i for e in before if isinstance(e.data, SegmentsReported) for i in e.data.indices}
                )
                == 200
            ),
            timeout=30,
        )
        marked = uncertain(second)
        assert 0 < len(marked) <= 20, "at most a window"
        sent_twice = len(carrier.submits) - len(set(carrier.numbers()))
        assert sent_twice <= len(marked)
        assert set(carrier.numbers()) == {str(n) for n in chunk.recipients}
        slot = await dispatch_database.fetchrow("select epoch from session_slot")
        assert slot["epoch"] == 2


async def test_a_graceful_stop_leaves_nothing_uncertain(carrier, worker_of, tools, dispatch_database):
    link = tools.link_of(carrier)
    async with worker_of([link]) as first:
        await first.release(tools.make_chunk(400))
        await tools.until(lambda: first.check() or len(carrier.submits) >= 50)
    assert await dispatch_database.fetchval("select count(*) from grants") == 0
    assert await dispatch_database.fetchval("select count(*) from session_slot where owner is not null") == 0
    assert not uncertain(first)
    async with worker_of([link]) as second:
        await tools.until(lambda: second.check() or len(set(carrier.numbers())) == 400)
        await tools.until(lambda: len(delivered(first) | delivered(second)) == 400)
        assert len(carrier.submits) == 400


async def test_a_throttled_segment_of_an_open_grant_is_queued_once_after_a_crash(carrier, worker_of, tools):
    """Throttled is an answer: its retry stands in the queue, so recovery must not find it in the grant as well."""
    carrier.status = lambda submit, n: 0x58 if n == 1 else None
    link = tools.link_of(carrier)
    async with worker_of([link]) as first:
        await first.release(tools.make_chunk(3))
        database = first.worker.database
        await tools.until(lambda: first.check() or database.fetchval("select count(*) from item where kind = 1"))
        await first.crash()
    accepted: list[str] = []

    def take(submit, n):
        accepted.append(submit.destination)
        return 0

    carrier.status = take
    async with worker_of([link]) as second:
        await tools.until(lambda: second.check() or len(delivered(second)) == 3, timeout=20)
        await tools.until(lambda: database.fetchval("select count(*) = 0 from item"))
        await tools.until(lambda: database.fetchval("select count(*) = 0 from grants"))
    assert sorted(accepted) == ["8613800000000", "8613800000001", "8613800000002"]
