"""What must not be sent, or not yet: cancelled, expired, opted out, scheduled, quiet hours, suspended links."""

from __future__ import annotations

import time

from contracts.events.dispatch import CloseCause, MessagesClosed, MessagesQueued, SegmentsReported
from contracts.lanes import Lane
from dispatch.store import replies, slots


def delivered(running) -> set[int]:
    return {i for e in running.bus.of(SegmentsReported) for i in e.indices}


def closed(running) -> list[tuple[list[int], CloseCause]]:
    return [(e.indices, e.cause) for e in running.bus.of(MessagesClosed)]


async def test_an_expired_message_is_never_submitted(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier)]) as running:
        await running.release(tools.make_chunk(3, expires_in_s=-1))
        await tools.until(lambda: running.check() or closed(running))
        assert closed(running) == [([0, 1, 2], CloseCause.EXPIRED)]
        assert not carrier.submits


async def test_a_message_expires_while_its_link_is_suspended(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        await tools.until(lambda: running.check() or carrier.bound)
        await slots.set_state(dispatch_database, "a", "suspended")
        running.worker.leases.poke()
        await tools.until(lambda: running.check() or not running.worker.pump.links["a"].eligible)
        await running.release(tools.make_chunk(3, expires_in_s=1))
        await tools.until(lambda: running.check() or closed(running))
        assert closed(running) == [([0, 1, 2], CloseCause.EXPIRED)]
        assert not carrier.submits
        assert carrier.bound, "a suspended link keeps its session to hear receipts"


async def test_a_scheduled_message_goes_at_its_time(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier)]) as running:
        at = int(time.time() * 1000) + 1500
        await running.release(tools.make_chunk(2, not_before_ms=at))
        assert [e.not_before for e in running.bus.of(MessagesQueued)] in ([], [at])
        await tools.until(lambda: running.check() or delivered(running) == {0, 1})
        assert int(time.time() * 1000) >= at
        assert [e.not_before for e in running.bus.of(MessagesQueued)] == [at]


async def test_a_cancelled_task_ends_what_is_not_granted(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier, rate=10)]) as running:
        chunk = tools.make_chunk(300)
        await running.release(chunk)
        await tools.until(lambda: running.check() or len(carrier.submits) >= 5)
        await running.cancel(chunk, chunk.entries[0].task_id)
        await tools.until(
            lambda: running.check() or len(delivered(running)) + sum(len(i) for i, _ in closed(running)) == 300
        )
        cancelled = {i for indices, cause in closed(running) for i in indices if cause is CloseCause.CANCELLED}
        assert len(cancelled) >= 250
        assert not cancelled & delivered(running)
        assert len(carrier.submits) == 300 - len(cancelled)


async def test_a_release_of_a_task_cancelled_before_is_closed_on_arrival(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier)]) as running:
        chunk = tools.make_chunk(3)
        await running.cancel(chunk, chunk.entries[0].task_id)
        await running.release(chunk)
        await tools.until(lambda: running.check() or closed(running))
        assert closed(running) == [([0, 1, 2], CloseCause.CANCELLED)]
        assert not carrier.submits


async def test_an_opted_out_number_gets_codes_only(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        await replies.opt_out(
            dispatch_database, "default", "acme", 8613800000001, "10655", 0, word="T", mo_id="", by="test"
        )
        await running.release(tools.make_chunk(3))
        await tools.until(lambda: running.check() or (closed(running) and len(delivered(running)) == 2))
        assert closed(running) == [([1], CloseCause.OPTED_OUT)]
        await running.release(tools.make_chunk(3, lane=Lane.VERIFICATION))
        await tools.until(lambda: running.check() or len(carrier.submits) == 5)
        await running.release(tools.make_chunk(3, enterprise="other"))
        await tools.until(lambda: running.check() or len(carrier.submits) == 8)


async def test_marketing_keeps_quiet_hours(carrier, worker_of, tools):
    # A quiet time of the whole day but one minute that is long over or far off.
    minute = (int(time.time()) // 60 + 8 * 60) % 1440
    begin, end = (minute + 60) % 1440, (minute + 59) % 1440
    hours = f"{begin // 60:02d}:{begin % 60:02d}-{end // 60:02d}:{end % 60:02d}"
    async with worker_of([tools.link_of(carrier)], settings={"quiet_hours": hours}) as running:
        await running.release(tools.make_chunk(3, lane=Lane.MARKETING))
        await running.release(tools.make_chunk(3, lane=Lane.NOTICE, first_number=8613900000000))
        await tools.until(lambda: running.check() or len(delivered(running)) == 3)
        assert all(number.startswith("86139") for number in carrier.numbers())


async def test_fail_over_to_the_next_link_of_the_group(carrier, worker_of, tools, dispatch_database):
    other = await tools.FakeCarrier().start()
    try:
        links = [tools.link_of(carrier, "first", rank=0), tools.link_of(other, "second", rank=1)]
        async with worker_of(links) as running:
            await tools.until(lambda: running.check() or (carrier.bound and other.bound))
            await tools.until(lambda: running.check() or not running.worker.pump.links["second"].eligible)
            await running.release(tools.make_chunk(5))
            await tools.until(lambda: running.check() or len(delivered(running)) == 5)
            assert len(carrier.submits) == 5
            assert not other.submits
            await slots.set_state(dispatch_database, "first", "draining")
            running.worker.leases.poke()
            await running.release(tools.make_chunk(5, first_number=8613700000000))
            await tools.until(lambda: running.check() or len(other.submits) == 5)
            await tools.until(lambda: running.check() or not carrier.bound)
    finally:
        await other.stop()
