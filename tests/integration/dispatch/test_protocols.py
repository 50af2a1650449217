"""A link of every protocol against the simulated carrier, which is the engine's other side: sent, answered, reported, replied to,
throttled, cut, and recovered from a crash, all alike."""

from __future__ import annotations

from typing import Any

import pytest
from carrier_links import a_link

from carrier.dialects import NAMES
from contracts.events.dispatch import (
    CloseCause,
    MessageReceived,
    MessagesClosed,
    SegmentsAnswered,
    SegmentsReported,
    SegmentState,
    SegmentsUncertain,
)
from contracts.lanes import Lane

pytestmark = pytest.mark.parametrize("protocol", NAMES)

LONG = "尊敬的客户，您所在片区计划停电。" * 12


def states(running: Any) -> dict[tuple[str, int, int], list[SegmentState]]:
    found: dict[tuple[str, int, int], list[SegmentState]] = {}
    for event in running.bus.of(SegmentsReported):
        for index, segment, state in zip(event.indices, event.segments, event.states, strict=True):
            found.setdefault((event.chunk_id, index, segment), []).append(state)
    return found


def answers(running: Any) -> list[tuple[int, int, str]]:
    return [
        (index, status, carrier_id)
        for event in running.bus.of(SegmentsAnswered)
        for index, status, carrier_id in zip(event.indices, event.statuses, event.carrier_ids, strict=True)
    ]


async def test_sent_answered_reported_and_replied_to(protocol: str, worker_of, tools, dispatch_database) -> None:
    async with a_link(protocol) as (carrier, link):
        carrier.faults(
            receipt_before_response=0.3, receipt_duplicate=0.2, receipt_reorder=0.3, receipt_delay_ms=5,
            latency_jitter_ms=5, window=link.window,
        )  # fmt: skip
        async with worker_of([link]) as running:
            short, long = tools.make_chunk(60), tools.make_chunk(4, text=LONG, first_number=8613900000000)
            await running.release(short)
            await running.release(long)
            await tools.until(lambda: running.check() or len(states(running)) == 60 + 4 * 3)
            assert all(each == [SegmentState.DELIVERED] for each in states(running).values()), "each reported once"
            assert not running.bus.of(MessagesClosed)
            seen = carrier.stats
            assert (seen["distinct"], seen["duplicates"], seen["unjoined"], seen["over_window"]) == (64, 0, 0, 0)
            assert LONG in [sample.text for sample in carrier.gateway.samples(100)]
            given = [carrier_id for _, _, carrier_id in answers(running)]
            assert len(set(given)) == 72

            phone = str(short.recipients[7])
            carrier.gateway.say("gx", phone, "1065501", "收到，谢谢 OK")
            carrier.gateway.say("gx", phone, "10655", LONG)
            carrier.gateway.say("gx", phone, "10655", "plain @_$ text")
            await tools.until(lambda: running.check() or len(running.bus.of(MessageReceived)) == 3)
            replies = running.bus.of(MessageReceived)
            assert {reply.text for reply in replies} == {"收到，谢谢 OK", LONG, "plain @_$ text"}
            assert {(reply.chunk_id, reply.index, reply.sender) for reply in replies} == {
                (short.chunk_id, 7, short.recipients[7])
            }
            await tools.until(lambda: carrier.stats["receipts_answered"] + carrier.stats["mo_answered"] >= 72 + 3)
            assert await dispatch_database.fetchval("select count(*) from receipt_pending") == 0


async def test_throttled_and_refused(protocol: str, worker_of, tools) -> None:
    async with a_link(protocol) as (carrier, link), worker_of([link]) as running:
        carrier.faults(throttle=0.3)
        await running.release(tools.make_chunk(60))
        await tools.until(lambda: running.check() or len(states(running)) == 60)
        assert carrier.stats["throttled"] > 0
        assert {status for _, status, _ in answers(running)} == {0}, "throttling is no failure of a message"
        carrier.faults(refuse=1)
        await running.release(tools.make_chunk(2, first_number=8613900000000))
        await tools.until(lambda: running.check() or running.bus.of(MessagesClosed))
        closed = running.bus.of(MessagesClosed)
        assert {event.cause for event in closed} == {CloseCause.CARRIER_REFUSED}
        assert all(event.code.startswith("a:") for event in closed)


async def test_cut_sessions_come_back_and_only_their_windows_are_sent_twice(protocol: str, worker_of, tools) -> None:
    async with a_link(protocol, window=16) as (carrier, link), worker_of([link]) as running:
        carrier.faults(latency_ms=20)
        await running.release(tools.make_chunk(120))
        await tools.until(lambda: running.check() or carrier.stats["accepted"] >= 30)
        for connection in list(carrier.gateway.bound["gx"]):
            connection.cut()
        await tools.until(lambda: running.check() or len(states(running)) == 120)
        marked = sum(len(event.indices) for event in running.bus.of(SegmentsUncertain))
        seen = carrier.stats
        assert seen["distinct"] == 120
        assert seen["duplicates"] <= marked <= 2 * 16
        given = [carrier_id for _, status, carrier_id in answers(running) if not status]
        assert len(set(given)) == len(given), "no id is used twice, whatever the sessions"


async def test_a_killed_worker_leaves_uncertain_segments_that_their_receipts_settle(
    protocol: str, worker_of, tools
) -> None:
    async with a_link(protocol) as (carrier, link):
        carrier.faults(drop_response=1)
        async with worker_of([link]) as first:
            await first.release(tools.make_chunk(8, lane=Lane.MARKETING))
            await tools.until(lambda: first.check() or carrier.stats["accepted"] == 8)
            await first.crash()
        carrier.faults()
        async with worker_of([link]) as second:
            await tools.until(lambda: second.check() or len(states(second)) == 8, what=f"{states(second)}")
            marked = second.bus.of(SegmentsUncertain)
            assert sum(len(event.indices) for event in marked) == 8
            assert {event.rule for event in marked} == {"hold"}
            assert sorted(index for index, _, _ in answers(second)) == list(range(8)), "accepted after all, and charged"
            assert (carrier.stats["submits"], carrier.stats["duplicates"]) == (8, 0), "nothing was sent again"


async def test_silence_ends_the_session_and_nothing_is_lost(protocol: str, worker_of, tools) -> None:
    async with a_link(protocol, sessions=1, response_s=0.5) as (carrier, link), worker_of([link]) as running:
        await tools.until(lambda: running.check() or carrier.stats["sessions"] == 1)
        carrier.faults(half_open=True)
        await running.release(tools.make_chunk(5))
        await tools.until(lambda: running.check() or running.bus.of(SegmentsUncertain))
        carrier.faults()
        await tools.until(lambda: running.check() or len(states(running)) == 5)
        assert carrier.stats["distinct"] == 5
