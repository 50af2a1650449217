"""A chunk that comes again: under other rules, after the bus lost what followed, or past its own cancellation."""

from __future__ import annotations

import msgspec
import pytest

from review.handlers.release import Releases
from review.store import items

PLAIN = "尊敬的客户，您本月电费已出账，请及时缴纳，感谢您的支持。"


@pytest.fixture
def chunk(make):
    (event,) = make.task(PLAIN, 3)
    return event


def cut(event, part, indices):
    return msgspec.structs.replace(event, part=part, indices=indices)


def messages(passed):
    return sorted(
        i for r in passed.released for i in (range(len(r.chunk.recipients)) if r.indices is None else r.indices)
    )


async def test_no_message_is_released_twice_when_other_templates_cut_the_chunk(bench, chunk):
    whole = await bench.pass_through([cut(chunk, 0, None)])
    assert messages(whole) == [0, 1, 2]
    assert messages(await bench.pass_through([cut(chunk, 1, [2])])) == []
    again = await bench.pass_through([cut(chunk, 0, [0, 1])])
    assert [r.release_id for r in again.released] == [r.release_id for r in whole.released]
    assert await bench.database.fetchval("select count(*) from gate") == 1


async def test_no_message_stays_behind_when_the_chunk_is_whole_the_second_time(bench, chunk):
    first = await bench.pass_through([cut(chunk, 0, [0, 1])])
    assert messages(first) == [0, 1]
    second = await bench.pass_through([cut(chunk, 0, None)])
    fresh = [r for r in second.released if r.release_id not in {r.release_id for r in first.released}]
    assert [r.indices for r in fresh] == [[2]]
    third = await bench.pass_through([cut(chunk, 0, None)])
    assert sorted(r.release_id for r in third.released) == sorted(r.release_id for r in second.released)


async def test_what_another_lane_took_is_not_taken_again(bench, chunk):
    assert messages(await bench.pass_through([cut(chunk, 1, [2])])) == [2]
    second = await bench.pass_through([cut(chunk, 0, None), cut(chunk, 0, None)])
    assert {tuple(r.indices or ()) for r in second.released} == {(0, 1)}
    assert len({r.release_id for r in second.released}) == 1


async def test_an_approved_release_the_bus_lost_is_published_again(bench, make, clock):
    events = make.task(PLAIN, 60)
    await bench.pass_through(events)
    task = events[0].chunk.entries[0].task_id
    await bench.database.execute(
        "update item set state = 'approved', due_at = 0, final_at = 1 where task_id = $1", task
    )

    async def published():
        source = Releases()
        async with bench.database.connection() as connection:
            rows = await source.pending(connection, 0.0, 100)
            await source.mark(connection, rows)
        return [(topic, e.id, e.data) for row in rows for topic, e in source.events(row)]

    first = await published()
    assert len(first) == 2
    assert await published() == []
    await bench.pass_through(events)
    assert await published() == first
    assert await published() == []


async def test_a_withdrawal_that_crossed_its_chunk_is_found(bench, make, clock):
    events = make.task(PLAIN, 60)
    task = events[0].chunk.entries[0].task_id
    await bench.pass_through(events)
    # Both transactions were open at once: the withdrawal is recorded, and its update did not see the item.
    await bench.database.execute("insert into withdrawn_task values ($1, 't1', $2)", task, clock.now_ms)
    async with bench.database.transaction() as tx:
        await items.withdraw_missed(tx, clock.now_ms)
    assert await bench.database.fetchval("select state from item where task_id = $1", task) == "withdrawn"
