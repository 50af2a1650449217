"""What is not plainly accepted: throttling, temporary and permanent errors."""

from __future__ import annotations

from contracts.events.dispatch import CloseCause, MessagesClosed, SegmentsAnswered, SegmentsReported

THROTTLED, SYSTEM_ERROR, BAD_NUMBER, WRONG_BIND_STATUS = 0x58, 0x08, 0x0B, 0x04


def delivered(running) -> int:
    return sum(len(e.indices) for e in running.bus.of(SegmentsReported))


async def test_throttled_segments_are_sent_again_and_nothing_fails(carrier, worker_of, tools):
    carrier.status = lambda submit, n: THROTTLED if n % 3 == 0 else 0
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(100))
        await tools.until(lambda: running.check() or delivered(running) == 100)
        statuses = [s for e in running.bus.of(SegmentsAnswered) for s in e.statuses]
        assert statuses == [0] * 100
        assert not running.bus.of(MessagesClosed)


async def test_throttling_on_one_link_does_not_hold_another(carrier, worker_of, tools):
    other = await tools.FakeCarrier().start()
    try:
        carrier.status = lambda submit, n: THROTTLED
        links = [
            tools.link_of(carrier, "slow", carriers=["CMCC"]),
            tools.link_of(other, "quick", carriers=["CUCC"]),
        ]
        async with worker_of(links) as running:
            await running.release(tools.make_chunk(50))
            await tools.until(lambda: running.check() or len(carrier.submits) >= 20)
            chunk = tools.make_chunk(50)
            from msgspec.structs import replace

            await running.release(replace(chunk, carriers="U" * 50))
            await tools.until(lambda: running.check() or delivered(running) == 50)
            assert len(other.submits) == 50
            carrier.status = lambda submit, n: 0
            await tools.until(lambda: running.check() or delivered(running) == 100)
    finally:
        await other.stop()


async def test_a_temporary_error_is_tried_again(carrier, worker_of, tools):
    seen: set[str] = set()

    def once(submit, n):
        if submit.destination in seen:
            return 0
        seen.add(submit.destination)
        return SYSTEM_ERROR

    carrier.status = once
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(5))
        await tools.until(lambda: running.check() or delivered(running) == 5)
        assert len(carrier.submits) == 10


async def test_a_permanent_error_fails_the_message(carrier, worker_of, tools):
    carrier.status = lambda submit, n: BAD_NUMBER if submit.destination.endswith("1") else 0
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(4))
        await tools.until(lambda: running.check() or (delivered(running) == 3 and running.bus.of(MessagesClosed)))
        closed = running.bus.of(MessagesClosed)
        assert [(e.indices, e.cause) for e in closed] == [([1], CloseCause.CARRIER_REFUSED)]
        assert "RINVDSTADR" in closed[0].code
        statuses = {i: s for e in running.bus.of(SegmentsAnswered) for i, s in zip(e.indices, e.statuses, strict=True)}
        assert statuses == {0: 0, 1: BAD_NUMBER, 2: 0, 3: 0}


async def test_a_session_the_carrier_does_not_know_is_bound_anew(carrier, worker_of, tools):
    carrier.status = lambda submit, n: WRONG_BIND_STATUS if n <= 3 else 0
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(10))
        await tools.until(lambda: running.check() or delivered(running) == 10)
        assert carrier.binds == 2
        assert not running.bus.of(MessagesClosed)
