"""Outcomes the bus acknowledged and lost are said again: the same events, and only those that were not heard."""

from __future__ import annotations

from contracts import topics
from contracts.events import MessagesClosed, MessagesQueued, SegmentsAnswered, SegmentsReported, SegmentsUncertain
from contracts.events.ingest import OutcomesMissed

KINDS = (MessagesQueued, SegmentsAnswered, SegmentsReported, SegmentsUncertain, MessagesClosed)


def _of(running, chunk) -> list:
    return [e for e in running.bus.events if isinstance(e.data, KINDS) and e.data.chunk_id == chunk.chunk_id]


def _facts(events) -> set:
    """What events say, segment by segment: how it is cut into events is the publisher's business.

    The receipt's own time, which the journal does not keep, is left out.
    """
    found = set()
    for event in events:
        data = event.data
        columns = {
            SegmentsAnswered: ("segments", "totals", "statuses", "carrier_ids", "recipients"),
            SegmentsReported: ("segments", "totals", "states", "codes"),
            SegmentsUncertain: ("segments",),
        }.get(type(data), ())
        for place, index in enumerate(data.indices or []):
            resent = place in getattr(data, "resent", [])
            found.add((type(data), data.chunk_id, index, resent, *(getattr(data, name)[place] for name in columns)))
        if not data.indices:
            found.add((type(data), event.id))
    return found


async def test_everything_is_said_again_under_the_same_ids(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier)]) as running:
        carrier.status = lambda _, n: 11 if n == 3 else 0  # a wrong number: final
        chunk = tools.make_chunk(20, text="长" * 100)
        await running.release(chunk)
        await tools.until(lambda: carrier.receipts_answered == 39)
        await tools.until(lambda: sum(len(e.data.indices) for e in _of(running, chunk) if _is_report(e)) == 39)
        first = _of(running, chunk)
        assert {type(e.data) for e in _of(running, chunk)} >= {
            MessagesQueued, SegmentsAnswered, SegmentsReported, MessagesClosed,
        }  # fmt: skip
        begun = len(running.bus.events)
        await _question(running, chunk, [])
        await tools.until(lambda: _facts(running.bus.events[begun:]) == _facts(first))
        assert {e.id for e in running.bus.events[begun:]} <= {e.id for e in first}


def _is_report(event) -> bool:
    return isinstance(event.data, SegmentsReported)


async def _question(running, chunk, seen) -> int:
    data = OutcomesMissed(chunk_id=chunk.chunk_id, enterprise=chunk.enterprise, at=1, seen=seen)
    return len((await running.feed(running.worker.repeater, topics.MISSED, data, chunk)).note)


async def test_only_what_was_not_heard_is_said(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier)]) as running:
        chunk, other = tools.make_chunk(5), tools.make_chunk(5, first_number=8613900000000)
        for each in (chunk, other):
            await running.release(each)
        await tools.until(lambda: sum(len(e.data.indices) for e in _of(running, chunk) if _is_report(e)) == 5)
        names = [e.id.partition(":")[2] for e in _of(running, chunk)]
        assert await _question(running, chunk, names) == 0
        assert await _question(running, chunk, names[1:]) == 1
        unknown = tools.make_chunk(1)
        assert await _question(running, unknown, []) == 0, "a chunk dispatch never had"


async def test_what_was_sent_again_is_marked_again(carrier, worker_of, tools, dispatch_database):
    async with worker_of([tools.link_of(carrier)]) as running:
        carrier.status = lambda _, n: None if n == 1 else 0
        chunk = tools.make_chunk(1)
        await running.release(chunk)
        await tools.until(lambda: len(carrier.submits) == 1)
        carrier.cut()
        await tools.until(lambda: any(_is_report(e) for e in _of(running, chunk)))
        (answer,) = (e for e in _of(running, chunk) if isinstance(e.data, SegmentsAnswered))
        assert answer.data.resent == [0]
        first = _of(running, chunk)
        begun = len(running.bus.events)
        await _question(running, chunk, [])
        await tools.until(lambda: _facts(running.bus.events[begun:]) == _facts(first))
        assert await dispatch_database.fetchval("select count(*) from uncertain") == 1


async def test_a_chunk_id_that_is_none_is_buried(carrier, worker_of, tools):
    async with worker_of([tools.link_of(carrier)]) as running:
        chunk = tools.make_chunk(1)
        data = OutcomesMissed(chunk_id="7", enterprise="e", at=1)
        effect = await running.feed(running.worker.repeater, topics.MISSED, data, chunk)
        assert [each.code for each in effect.invalid] == ["chunk_id_invalid"]
