"""Released chunk to receipt, on a real database and a real socket."""

from __future__ import annotations

from collections import Counter

import pytest

from bus.courtesy import Courtesy
from contracts.events.dispatch import MessagesQueued, SegmentsAnswered, SegmentsReported, SegmentState
from dispatch.handlers.granting import COURTEOUS_MESSAGES
from dispatch.handlers.pump import Pump


async def test_released_messages_are_submitted_answered_and_reported(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        chunk = tools.make_chunk(120)
        await running.release(chunk)
        await tools.until(
            lambda: running.check() or sum(len(e.indices) for e in running.bus.of(SegmentsReported)) == 120
        )
        answered = running.bus.of(SegmentsAnswered)
        assert sorted(i for e in answered for i in e.indices) == list(range(120))
        assert all(status == 0 for e in answered for status in e.statuses)
        assert {e.link for e in answered} == {"a"}
        assert answered[0].senders == ["10655"]
        assert answered[0].recipients[0] == chunk.recipients[answered[0].indices[0]]
        reports = running.bus.of(SegmentsReported)
        assert {state for e in reports for state in e.states} == {SegmentState.DELIVERED}
        assert reports[0].codes[0] == "DELIVRD:000"
        assert [e.indices for e in running.bus.of(MessagesQueued)] == [None]
        assert len(carrier.submits) == 120
        assert carrier.receipts_answered == 120
        await tools.until(lambda: _empty(dispatch_database))


async def _empty(database) -> bool:
    """Nothing queued, granted, pending or unpublished is left."""
    counts = [
        await database.fetchval(f"select count(*) from {t}") for t in ("item", "grants", "receipt_pending", "outbox")
    ]
    return counts == [0, 0, 0, 0]


async def test_a_release_is_taken_in_once(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        chunk = tools.make_chunk(5)
        await running.release(chunk)
        await running.release(chunk)
        await tools.until(lambda: sum(len(e.indices) for e in running.bus.of(SegmentsReported)) == 5)
        await tools.until(lambda: _empty(dispatch_database))
        assert len(carrier.submits) == 5


@pytest.mark.parametrize("flowing", [True, False], ids=["codes flow", "no codes"])
async def test_a_cycle_grants_little_of_bulk_while_codes_flow(carrier, worker_of, tools, monkeypatch, flowing):
    carrier.window, carrier.receipts = 1_000, False
    links = [tools.link_of(carrier, name, window=1_000, group="g") for name in ("a", "b")]
    cycles: list[int] = []
    finish = Pump._finish

    async def counted(pump, draft, acks, flights, now_ms) -> None:
        cycles.append(sum(len(flight.indices) for _, flight in flights))
        await finish(pump, draft, acks, flights, now_ms)

    monkeypatch.setattr(Pump, "_finish", counted)
    monkeypatch.setattr(Courtesy, "rest", lambda courtesy, now: 0.001 if flowing else 0.0)
    async with worker_of(links) as running:
        await tools.until(lambda: running.check() or len(carrier.bound) == 2)
        for n in range(6):
            await running.release(tools.make_chunk(500, enterprise=f"b{n}"))
        await tools.until(lambda: running.check() or len(carrier.submits) == 3_000)
    assert sum(cycles) == 3_000
    if flowing:
        assert max(cycles) <= COURTEOUS_MESSAGES
    else:
        assert max(cycles) > COURTEOUS_MESSAGES


async def test_small_windows_have_several_cycles_from_rest_to_rest(carrier, worker_of, tools, monkeypatch):
    carrier.receipts = False
    between_rests: Counter[float] = Counter()
    finish = Pump._finish

    async def counted(pump, draft, acks, flights, now_ms) -> None:
        between_rests[pump._bulk_at] += sum(len(flight.indices) for _, flight in flights)
        await finish(pump, draft, acks, flights, now_ms)

    monkeypatch.setattr(Pump, "_finish", counted)
    monkeypatch.setattr(Courtesy, "rest", lambda courtesy, now: 0.5)
    async with worker_of([tools.link_of(carrier, window=16, sessions=2)]) as running:
        await tools.until(lambda: running.check() or len(carrier.bound) == 2)
        await running.release(tools.make_chunk(500))
        await tools.until(lambda: running.check() or len(carrier.submits) == 500)
    assert max(between_rests.values()) <= COURTEOUS_MESSAGES
    assert max(between_rests.values()) > 2 * 32, "more than two windows"
