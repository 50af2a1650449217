"""People and time at the held tasks: races, undo, expiry, withdrawal, penalties, and what is published in the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import review.domain
from contracts.events.ingest import TaskCancelled
from contracts.events.review import ChunkReleased, Decision, MessagesDecided
from review.domain import checklist as checklists
from review.domain.hours import Hours
from review.domain.item import UNDO_MS
from review.domain.policy import Tier, Window
from review.handlers.clockwork import Clockwork
from review.handlers.decide import Actor, Desk
from review.handlers.release import Releases
from review.handlers.withdraw import Withdrawals
from review.store import audit
from review.store.policies import PolicyStore

WHOLE_DAY = Hours(Window(0, 1440), every_day=True)
PLAIN = "尊敬的客户，您本月电费已出账，请及时缴纳，感谢您的支持。"
CHECKLIST = checklists.parse((Path(review.domain.__file__).parent / "checklist.json").read_bytes())
WEI = Actor("t1", "wei", "reviewer")
LI = Actor("t1", "li", "reviewer")


@pytest.fixture
def desk_with(bench):
    def make(hours=WHOLE_DAY):
        return Desk(
            bench.database,
            bench.clock,
            PolicyStore(Tier.HIGH, 50),
            CHECKLIST,
            hours,
            Window(8 * 60, 21 * 60),
            claim_ms=900_000,
        )

    return make


@pytest.fixture
def desk(desk_with):
    return desk_with()


@pytest.fixture
def clockwork(bench):
    return Clockwork(bench.database, bench.clock, CHECKLIST, refusals_to_suspend=5, keep_days=30)


@pytest.fixture
def published(bench, clockwork):
    """Let time do its work, then return what the relay would publish and mark it."""

    async def take(*, mark=True):
        await clockwork.tick()
        source = Releases()
        async with bench.database.connection() as connection:
            rows = await source.pending(connection, 0.0, 100)
            events = [event for row in rows for event in source.events(row)]
            if mark:
                await source.mark(connection, rows)
        return [envelope for _, envelope in events]

    return take


async def hold(bench, make, total=60, text=PLAIN, **more):
    events = make.task(text, total, **more)
    await bench.pass_through(events)
    return events[0].chunk.entries[0].task_id


async def state_of(bench, task):
    return await bench.database.fetchval("select state from item where task_id = $1", task)


async def test_nothing_is_released_before_it_is_approved_and_the_undo_time_is_over(bench, make, desk, published):
    task = await hold(bench, make, 1_200)
    assert await published() == []
    result = await desk.approve(WEI, [task])
    assert (result.done, result.refused) == ([task], {})
    bench.clock.advance(UNDO_MS - 1)
    assert await published() == []
    bench.clock.advance(1)
    events = [e.data for e in await published()]
    released = [e for e in events if isinstance(e, ChunkReleased)]
    assert sum(len(r.chunk.recipients) for r in released) == 1_200
    assert {(r.reason, r.by, r.indices) for r in released} == {("approved", "wei", None)}
    assert len({r.release_id for r in released}) == 3
    assert {e.decision for e in events if isinstance(e, MessagesDecided)} == {Decision.RELEASED}
    assert await published() == []


async def test_a_crash_between_publish_and_mark_repeats_the_same_events(bench, make, desk, published):
    task = await hold(bench, make, 700)
    await desk.approve(WEI, [task])
    bench.clock.advance(UNDO_MS)
    first = await published(mark=False)
    other = await hold(bench, make, 80, "另一个任务的内容，与前一个毫无关系，稍后才被批准。")
    await desk.approve(WEI, [other])
    bench.clock.advance(UNDO_MS)
    again = await published()
    assert [(e.id, e.data) for e in again[: len(first)]] == [(e.id, e.data) for e in first]
    assert len(again) > len(first)


async def test_a_decision_can_be_taken_back_until_it_is_published(bench, make, desk, published):
    task = await hold(bench, make)
    await desk.approve(WEI, [task])
    assert (await desk.undo(LI, [task])).refused == {task: "already_approved"}
    assert (await desk.undo(WEI, [task])).done == [task]
    bench.clock.advance(UNDO_MS)
    assert await published() == []
    assert await state_of(bench, task) == "claimed"
    await desk.reject(WEI, [task], "9B-7", "赌博")
    bench.clock.advance(UNDO_MS)
    (event,) = await published()
    assert (event.data.decision, event.data.reason, event.data.by, event.data.note) == (
        Decision.REJECTED,
        "9B-7",
        "wei",
        "赌博",
    )
    assert (await desk.undo(WEI, [task])).refused == {task: "already_rejected"}


async def test_two_reviewers_never_decide_the_same_task(bench, make, desk):
    tasks = [await hold(bench, make) for _ in range(5)]
    approved, rejected = await asyncio.gather(desk.approve(WEI, tasks), desk.reject(LI, tasks, "YW-1"))
    assert sorted(approved.done + rejected.done) == sorted(tasks)
    assert set(approved.done).isdisjoint(rejected.done)
    rows = await bench.database.fetch("select task_id, decided_by from item")
    decided = {row["task_id"]: row["decided_by"] for row in rows}
    assert {task: decided[task] for task in approved.done} == dict.fromkeys(approved.done, "wei")


async def test_a_claim_keeps_others_out_until_it_lapses(bench, make, desk, clockwork):
    task = await hold(bench, make)
    assert (await desk.claim(WEI, [task])).done == [task]
    assert (await desk.claim(LI, [task])).refused == {task: "claimed_by_other"}
    assert (await desk.approve(LI, [task])).refused == {task: "claimed_by_other"}
    bench.clock.advance(900_001)
    await clockwork.tick()
    assert await state_of(bench, task) == "queued"
    assert (await desk.approve(LI, [task])).done == [task]


async def test_nobody_decides_a_task_of_his_own(bench, make, desk):
    task = await hold(bench, make, user="crm-key")
    actor = Actor("t1", "wei", "reviewer", ("crm-key",))
    assert (await desk.approve(actor, [task])).refused == {task: "own_task"}
    assert (await desk.claim(actor, [task])).refused == {task: "own_task"}
    assert (await desk.approve(WEI, [task])).done == [task]


async def test_another_tenant_sees_nothing(bench, make, desk):
    task = await hold(bench, make)
    stranger = Actor("t2", "wang", "supervisor")
    assert (await desk.approve(stranger, [task])).refused == {task: "not_found"}
    assert (await desk.fast_lane(stranger, [task])).refused == {task: "not_found"}


async def test_a_held_task_expires_with_its_validity_and_is_never_sent_late(bench, make, desk, published):
    waiting = await hold(bench, make, expires_at=bench.clock.now_ms + 60_000)
    late = await hold(bench, make, expires_at=bench.clock.now_ms + 60_000 + UNDO_MS // 2)
    bench.clock.advance(60_000)
    assert (await desk.approve(WEI, [waiting])).refused == {waiting: "expired"}
    assert (await desk.approve(WEI, [late])).done == [late]
    bench.clock.advance(UNDO_MS)
    events = [e.data for e in await published()]
    assert [e.decision for e in events] == [Decision.EXPIRED, Decision.EXPIRED]


async def test_withdrawing_races_approval_and_one_of_them_wins(bench, make, desk, published, make_batch):
    withdrawals = Withdrawals(bench.clock)

    async def withdraw(task):
        event = TaskCancelled(task, "e1", bench.clock.now_ms)
        async with bench.database.transaction() as tx:
            await withdrawals.effect(tx, make_batch([event], topic="ingest.cancelled"))

    before_publish = await hold(bench, make)
    await asyncio.gather(desk.approve(WEI, [before_publish]), withdraw(before_publish))
    assert await state_of(bench, before_publish) == "withdrawn"
    after_publish = await hold(bench, make)
    await desk.approve(WEI, [after_publish])
    bench.clock.advance(UNDO_MS)
    decisions = {e.data.decision for e in await published() if isinstance(e.data, MessagesDecided)}
    assert decisions == {Decision.WITHDRAWN, Decision.RELEASED}
    await withdraw(after_publish)
    assert await state_of(bench, after_publish) == "approved"


async def test_a_chunk_that_arrives_after_the_decision_follows_it(bench, make, desk, published):
    first, second = make.task(PLAIN, 800)
    await bench.pass_through([first])
    task = first.chunk.entries[0].task_id
    await desk.approve(WEI, [task])
    bench.clock.advance(UNDO_MS)
    assert sum(isinstance(e.data, ChunkReleased) for e in await published()) == 1
    await bench.pass_through([second])
    (released,) = [e.data for e in await published() if isinstance(e.data, ChunkReleased)]
    assert released.chunk.chunk_id == second.chunk.chunk_id


async def test_a_cluster_of_single_messages_is_decided_at_once(bench, make, desk, published):
    await bench.pass_through(make.singles(PLAIN, 550))
    tasks = list(await bench.held())
    assert len(tasks) == 500
    assert len((await desk.approve(WEI, tasks)).done) == 500
    bench.clock.advance(UNDO_MS)
    released = [e.data for e in await published() if isinstance(e.data, ChunkReleased)]
    assert sum(len(r.chunk.recipients) if r.indices is None else len(r.indices) for r in released) == 500
    assert len(released) == 2


async def test_outside_the_hours_only_the_fast_lane_is_decided(bench, make, desk_with):
    desk = desk_with(Hours())  # the clock stands on a Sunday
    task = await hold(bench, make)
    assert (await desk.approve(WEI, [task])).refused == {task: "outside_review_hours"}
    await desk.fast_lane(Actor("t1", "zhao", "supervisor"), [task])
    assert (await desk.approve(WEI, [task])).done == [task]


async def test_approval_outside_the_ports_sending_window_refuses(bench, make, desk, published):
    await bench.policy("10655001", Tier.HIGH, window=Window(8 * 60, 11 * 60))
    task = await hold(bench, make)
    result = await desk.approve(WEI, [task])
    assert (result.done, result.refused) == ([], {task: "outside_sending_window"})
    (event,) = await published()
    assert event.data.decision is Decision.OUTSIDE_SENDING_WINDOW


async def test_five_refusals_for_content_suspend_the_port_and_others_do_not_count(bench, make, desk, published):
    async def refuse(cited, times):
        tasks = [await hold(bench, make) for _ in range(times)]
        await desk.reject(WEI, tasks, cited)
        bench.clock.advance(UNDO_MS)
        await published()

    await refuse("FM-1", 6)
    await refuse("9B-7", 4)
    assert (await bench.pass_through(make.task(PLAIN, 60))).decided[0].decision is Decision.HELD
    await refuse("YW-2", 1)
    assert (await bench.pass_through(make.task(PLAIN, 60))).decided[0].decision is Decision.PORT_SUSPENDED


async def test_a_rejection_must_cite_a_standard(bench, make, desk):
    task = await hold(bench, make)
    with pytest.raises(ValueError, match="no such standard"):
        await desk.reject(WEI, [task], "9B-10")
    assert await state_of(bench, task) == "queued"


async def test_every_action_is_in_the_chain_and_a_change_is_noticed(bench, make, desk):
    task = await hold(bench, make)
    await desk.claim(WEI, [task])
    await desk.approve(WEI, [task])
    await desk.undo(WEI, [task])
    await desk.reject(WEI, [task], "GA-1")
    async with bench.database.connection() as connection:
        whole = await audit.check(connection, "t1")
        records = await audit.search(connection, "t1", subject=task)
    assert (whole.records, whole.broken_at) == (4, 0)
    assert [r.action for r in records] == ["task.reject", "task.undo", "task.approve", "task.claim"]
    with pytest.raises(Exception, match="append only"):
        await bench.database.execute("update audit set actor = 'nobody' where seq = 2")
    async with bench.database.transaction() as tx:
        # What somebody with the database owner's rights could do.
        await tx.execute("alter table audit disable trigger audit_no_change")
        await tx.execute("update audit set actor = 'nobody' where seq = 2")
        await tx.execute("alter table audit enable trigger audit_no_change")
        broken = await audit.check(tx, "t1")
    assert (broken.broken_at, broken.cause) == (2, "changed")


async def test_a_removed_record_is_noticed(bench, make, desk):
    for _ in range(3):
        await desk.approve(WEI, [await hold(bench, make)])
    async with bench.database.transaction() as tx:
        await tx.execute("alter table audit disable trigger audit_no_change")
        await tx.execute("delete from audit where seq = 2")
        broken = await audit.check(tx, "t1")
    assert (broken.broken_at, broken.cause) == (2, "missing")


async def test_payloads_of_decided_tasks_are_deleted_in_time(bench, make, desk, published, clockwork):
    task = await hold(bench, make)
    waiting = await hold(bench, make, expires_at=bench.clock.now_ms + 400 * 86_400_000)
    await desk.approve(WEI, [task])
    bench.clock.advance(UNDO_MS)
    await published()
    bench.clock.advance(31 * 86_400_000)
    fresh = Clockwork(bench.database, bench.clock, CHECKLIST, refusals_to_suspend=5, keep_days=30)
    await fresh.tick()
    sizes = {
        row["task_id"]: row["n"]
        for row in await bench.database.fetch(
            "select task_id, length(payload) as n from held_part join held_chunk using (chunk_id, part)"
        )
    }
    assert sizes[task] == 0
    assert sizes[waiting] > 0
