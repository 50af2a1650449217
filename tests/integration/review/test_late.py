"""Parts that arrive after the decision on their task: covered by it, or waiting for one of their own, whatever the order."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

import review.domain
from contracts.events.ingest import TaskCancelled
from contracts.events.review import ChunkReleased, Decision, MessagesDecided
from contracts.events.spamfilter import Finding, Judgement, Verdict
from contracts.lanes import Lane
from review.domain import checklist as checklists
from review.domain.hours import Hours
from review.domain.item import UNDO_MS
from review.domain.policy import Tier, Window
from review.domain.sight import MAX_SIGHTS
from review.handlers.clockwork import Clockwork
from review.handlers.decide import Actor, Desk
from review.handlers.inspect import Inspector
from review.handlers.release import Releases
from review.handlers.withdraw import Withdrawals
from review.store.policies import PolicyStore

PLAIN = "尊敬的客户，您本月电费已出账，请及时缴纳，感谢您的支持。"
CHECKLIST = checklists.parse((Path(review.domain.__file__).parent / "checklist.json").read_bytes())
WEI = Actor("t1", "wei", "reviewer")
LI = Actor("t1", "li", "reviewer")
LOAN = Finding("fin-01", "finance", "hold", (0, 2), "贷款")
BET = Finding("gam-07", "gambling", "hold", (0, 2), "下注")


def marked(event, *findings, first=0, count=2):
    """The chunk with its first messages marked ``hold``."""
    judgement = Judgement(first, count, Verdict.HOLD, "keyword_hold", list(findings))
    return msgspec.structs.replace(event, judgements=[judgement])


class Room:
    """A desk, its clockwork and its relay over one gate."""

    def __init__(self, bench) -> None:
        self.bench = bench
        whole_day = Hours(Window(0, 1440), every_day=True)
        policies = PolicyStore(Tier.HIGH, 50)
        self.desk = Desk(
            bench.database, bench.clock, policies, CHECKLIST, whole_day, Window(480, 1260), claim_ms=900_000
        )
        self.clockwork = Clockwork(bench.database, bench.clock, CHECKLIST, refusals_to_suspend=5, keep_days=30)

    async def published(self):
        await self.clockwork.tick()
        source = Releases()
        async with self.bench.database.connection() as connection:
            rows = await source.pending(connection, 0.0, 100)
            events = [event.data for row in rows for _, event in source.events(row)]
            await source.mark(connection, rows)
        return events

    async def settled(self):
        self.bench.clock.advance(UNDO_MS)
        return await self.published()

    async def items(self, task):
        return [
            dict(row)
            for row in await self.bench.database.fetch(
                "select * from item where task_id = $1 or late_of = $1 order by round", task
            )
        ]

    async def withdraw(self, task, make_batch):
        event = TaskCancelled(task, "e1", self.bench.clock.now_ms)
        async with self.bench.database.transaction() as tx:
            await Withdrawals(self.bench.clock).effect(tx, make_batch([event], topic="ingest.cancelled"))


@pytest.fixture
def room(bench):
    return Room(bench)


def task_of(event):
    return event.chunk.entries[0].task_id


def released(events):
    return sum(
        len(e.chunk.recipients) if e.indices is None else len(e.indices) for e in events if isinstance(e, ChunkReleased)
    )


def said(events):
    return {(e.decision, e.task_id) for e in events if isinstance(e, MessagesDecided)}


async def approved_after_first_chunk(room, make, chunks=3, **more):
    first, *rest = make.task(PLAIN, 500 * chunks, **more)
    await room.bench.pass_through([first])
    assert (await room.desk.approve(WEI, [task_of(first)])).done == [task_of(first)]
    assert released(await room.settled()) == 500
    return task_of(first), rest


async def test_what_nobody_saw_waits_for_a_decision_of_its_own(room, make):
    task, (second, third) = await approved_after_first_chunk(room, make)
    await room.bench.pass_through([marked(second, LOAN)])
    # The 498 others hold nothing new and are released by the recorded approval.
    assert released(await room.settled()) == 498
    first_item, late = await room.items(task)
    assert (first_item["state"], late["state"], late["late_of"], late["round"]) == ("approved", "queued", task, 2)
    assert (late["reason"], late["total"]) == ("keyword_hold", 2)
    await room.bench.pass_through([third])
    assert released(await room.settled()) == 500
    assert (await room.desk.approve(LI, [late["task_id"]])).done == [late["task_id"]]
    events = await room.settled()
    assert released(events) == 2
    (release,) = [e for e in events if isinstance(e, ChunkReleased)]
    assert (release.by, release.indices) == ("li", [0, 1])
    # To the rest of the platform it is the caller's task.
    assert said(events) == {(Decision.RELEASED, task)}
    assert await room.published() == []


async def test_a_finding_the_reviewer_saw_is_covered_and_another_word_is_not(room, make):
    first, second, third = make.task(PLAIN, 1_500)
    task = task_of(first)
    await room.bench.pass_through([marked(first, LOAN)])
    await room.desk.approve(WEI, [task])
    assert released(await room.settled()) == 500
    await room.bench.pass_through([marked(second, LOAN, count=5)])
    assert released(await room.settled()) == 500
    other_word = msgspec.structs.replace(LOAN, matched="放款")
    await room.bench.pass_through([marked(third, other_word)])
    assert released(await room.settled()) == 498
    assert [row["state"] for row in await room.items(task)] == ["approved", "queued"]


async def test_a_finding_that_lets_pass_is_something_to_see_too(room, make):
    _task, (second, third) = await approved_after_first_chunk(room, make)
    score = Judgement(0, 1, Verdict.PASS, "content_score", [msgspec.structs.replace(BET, level="score")])
    await room.bench.pass_through([msgspec.structs.replace(second, judgements=[score])])
    assert released(await room.settled()) == 0
    await room.bench.pass_through([third])
    assert released(await room.settled()) == 500


async def test_another_text_of_the_same_task_is_something_to_see(room, make):
    first, second = make.task(PLAIN, 1_000)
    task = task_of(first)
    await room.bench.pass_through([first])
    await room.desk.approve(WEI, [task])
    await room.settled()
    entry = msgspec.structs.replace(
        second.chunk.entries[0], pieces=["您有一笔中奖奖金待领取，请点击链接完成登记，逾期作废。"]
    )
    chunk = msgspec.structs.replace(second.chunk, entries=[entry])
    await room.bench.pass_through([msgspec.structs.replace(second, chunk=chunk)])
    assert released(await room.settled()) == 0
    assert [row["state"] for row in await room.items(task)] == ["approved", "queued"]


async def test_within_the_undo_time_a_late_finding_is_no_part_of_the_decision(room, make):
    first, second = make.task(PLAIN, 1_000)
    task = task_of(first)
    await room.bench.pass_through([first])
    await room.desk.approve(WEI, [task])
    await room.bench.pass_through([marked(second, BET)])
    assert [row["state"] for row in await room.items(task)] == ["approved", "queued"]
    # Taken back, both wait; approved again, the late part still waits.
    assert (await room.desk.undo(WEI, [task])).done == [task]
    assert await room.settled() == []
    await room.desk.approve(WEI, [task])
    assert released(await room.settled()) == 998
    assert [row["state"] for row in await room.items(task)] == ["approved", "queued"]


async def test_what_joins_a_waiting_task_stops_a_decision_that_did_not_see_it(room, make):
    first, second, third = make.task(PLAIN, 1_500)
    task = task_of(first)
    await room.bench.pass_through([first])
    await room.bench.pass_through([second])
    (row,) = await room.items(task)
    assert row["news"] == 0
    await room.bench.pass_through([marked(third, LOAN)])
    assert (await room.desk.approve(WEI, [task], seen={task: 0})).refused == {task: "changed"}
    assert (await room.desk.reject(WEI, [task], "YW-1", seen={task: 0})).refused == {task: "changed"}
    (row,) = await room.items(task)
    assert (row["state"], row["news"], row["reason"], row["risk"]) == ("queued", 1, "keyword_hold", 2)
    inspection = await Inspector(room.bench.database, room.bench.clock).inspect("t1", task)
    assert [(found.finding.matched, found.messages) for found in inspection.findings] == [("贷款", 2)]
    assert (await room.desk.approve(WEI, [task], seen={task: 1})).done == [task]
    assert released(await room.settled()) == 1_500


async def test_a_decision_and_a_late_part_at_once_leave_no_third_way(room, make):
    for _ in range(8):
        first, second = make.task(PLAIN, 1_000)
        task = task_of(first)
        await room.bench.pass_through([first])
        result, _ = await asyncio.gather(
            room.desk.approve(WEI, [task], seen={task: 0}), room.bench.pass_through([marked(second, LOAN)])
        )
        rows = await room.items(task)
        if result.done:
            assert [row["state"] for row in rows] == ["approved", "queued"]
            assert released(await room.settled()) == 998
        else:
            assert result.refused == {task: "changed"}
            assert [row["state"] for row in rows] == ["queued"]
            assert released(await room.settled()) == 0


async def test_a_decision_waits_for_the_part_that_is_being_filed(room, make):
    """The gate's transaction is open, holding the item: the approval that comes meanwhile is not made on what it did not see."""
    first, _ = make.task(PLAIN, 1_000)
    task = task_of(first)
    await room.bench.pass_through([first])
    async with room.bench.database.transaction() as tx:
        await tx.execute("update item set news = news + 1 where task_id = $1", task)
        deciding = asyncio.create_task(room.desk.approve(WEI, [task]))
        async with room.bench.database.connection() as other:
            waiting = 0
            while not (waiting or deciding.done()):
                waiting = await other.fetchval(
                    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
                )
    assert waiting
    assert (await deciding).refused == {task: "changed"}


async def test_two_lanes_open_one_item(room, make, make_batch):
    """A chunk cut between two lanes meets at the recorded way of its task, also before any item is there."""
    (event,) = make.task(PLAIN, 60)
    task = task_of(event)
    notice = msgspec.structs.replace(event, part=1, indices=list(range(30, 60)))
    code = marked(msgspec.structs.replace(event, part=0, indices=list(range(30))), LOAN)
    await asyncio.gather(
        room.bench.pass_through([code], Lane.VERIFICATION), room.bench.pass_through([notice], Lane.NOTICE)
    )
    (row,) = await room.items(task)
    assert row["state"] == "queued"
    held = await room.bench.database.fetchval(
        "select sum(cardinality(indices)) from held_part where task_id = $1", task
    )
    assert held == 60


@pytest.mark.parametrize("end", ["rejected", "expired", "withdrawn"])
async def test_after_any_other_end_late_parts_follow_it(room, make, make_batch, end):
    expires = room.bench.clock.now_ms + 60_000
    first, second = make.task(PLAIN, 1_000, expires_at=expires)
    task = task_of(first)
    await room.bench.pass_through([first])
    if end == "rejected":
        await room.desk.reject(WEI, [task], "9B-7")
    elif end == "withdrawn":
        await room.withdraw(task, make_batch)
    else:
        room.bench.clock.advance(60_000)
    assert said(await room.settled()) == {(Decision(end), task)}
    await room.bench.pass_through([marked(second, BET)])
    events = await room.settled()
    assert released(events) == 0
    assert said(events) == {(Decision(end), task)}
    assert len(await room.items(task)) == 1


async def test_a_refused_late_part_stays_refused_and_the_plain_rest_still_goes(room, make):
    task, (second, third, fourth) = await approved_after_first_chunk(room, make, 4)
    await room.bench.pass_through([marked(second, BET)])
    await room.settled()
    late = (await room.items(task))[1]["task_id"]
    await room.desk.reject(LI, [late], "9B-7")
    assert said(await room.settled()) == {(Decision.REJECTED, task)}
    await room.bench.pass_through([marked(third, BET)])
    events = await room.settled()
    assert (released(events), said(events)) == (498, {(Decision.RELEASED, task), (Decision.REJECTED, task)})
    # Also what is new again follows the refusal: the task's suspicious part was judged.
    await room.bench.pass_through([marked(fourth, LOAN)])
    assert released(await room.settled()) == 498
    assert len(await room.items(task)) == 2


async def test_a_withdrawal_ends_the_late_item_too(room, make, make_batch):
    task, (second, third) = await approved_after_first_chunk(room, make)
    await room.bench.pass_through([marked(second, LOAN)])
    await room.settled()
    await room.withdraw(task, make_batch)
    assert [row["state"] for row in await room.items(task)] == ["approved", "withdrawn"]
    assert said(await room.settled()) == {(Decision.WITHDRAWN, task)}
    await room.bench.pass_through([marked(third, BET)])
    events = await room.settled()
    assert (released(events), (Decision.WITHDRAWN, task) in said(events)) == (498, True)


async def test_all_late_findings_wait_in_one_item_and_an_approval_of_it_covers_them(room, make):
    task, (second, third, fourth) = await approved_after_first_chunk(room, make, 4)
    await room.bench.pass_through([marked(second, LOAN), marked(third, BET)])
    await room.settled()
    _, late = await room.items(task)
    assert late["total"] == 4
    await room.desk.approve(LI, [late["task_id"]])
    assert released(await room.settled()) == 4
    await room.bench.pass_through([marked(fourth, BET, LOAN)])
    assert released(await room.settled()) == 500
    assert len(await room.items(task)) == 2


async def test_the_same_late_chunk_twice_changes_nothing(room, make):
    task, (second, _) = await approved_after_first_chunk(room, make)
    late = marked(second, LOAN)
    before = await room.bench.pass_through([late])
    again = await room.bench.pass_through([late])
    assert [(e.id, e.data) for _, e in before.events] == [(e.id, e.data) for _, e in again.events]
    assert released(await room.settled()) == 498
    rows = await room.items(task)
    assert [(row["state"], row["total"]) for row in rows] == [("approved", 1_500), ("queued", 2)]


async def test_the_pages_lead_from_one_decision_to_the_other(room, make):
    task, (second, _) = await approved_after_first_chunk(room, make)
    await room.bench.pass_through([marked(second, LOAN)])
    late = (await room.items(task))[1]["task_id"]
    inspector = Inspector(room.bench.database, room.bench.clock)
    seen, before = await inspector.inspect("t1", late), await inspector.inspect("t1", task)
    assert [(one["task_id"], one["state"], one["decided_by"]) for one in seen.rounds] == [(task, "approved", "wei")]
    assert [one["task_id"] for one in before.rounds] == [late]
    assert [found.finding.rule for found in seen.findings] == ["fin-01"]
    assert seen.totals["messages"] == 2


async def test_the_record_of_a_late_decision_names_the_callers_task(room, make):
    task, (second, _) = await approved_after_first_chunk(room, make)
    await room.bench.pass_through([marked(second, LOAN)])
    late = (await room.items(task))[1]["task_id"]
    await room.desk.reject(LI, [late], "9B-7")
    trail = await Inspector(room.bench.database, room.bench.clock).trail("t1", subject=late)
    assert [(record.action, record.detail["late_of"]) for record in trail] == [("task.reject", task)]


async def test_an_item_shows_so_many_findings_and_takes_no_further_one_for_seen(room, make):
    first, second, third = make.task(PLAIN, 1_500)
    task = task_of(first)

    def each(event, start):
        findings = [msgspec.structs.replace(LOAN, matched=f"词{start + n}") for n in range(500)]
        judgements = [Judgement(n, 1, Verdict.HOLD, "keyword_hold", [one]) for n, one in enumerate(findings)]
        return msgspec.structs.replace(event, judgements=judgements)

    await room.bench.pass_through([each(first, 0)])
    await room.bench.pass_through([each(second, 500)])
    assert await room.bench.database.fetchval("select count(*) from item_sight where task_id = $1", task) == MAX_SIGHTS
    await room.desk.approve(WEI, [task])
    assert released(await room.settled()) == 1_000
    await room.bench.pass_through([each(third, 500)])
    assert released(await room.settled()) == 0
    assert [row["state"] for row in await room.items(task)] == ["approved", "queued"]


async def test_messages_shown_with_findings_are_deleted_with_the_payloads(room, make):
    (event,) = make.task(PLAIN, 60)
    await room.bench.pass_through([marked(event, LOAN)])
    await room.desk.approve(WEI, [task_of(event)])
    await room.settled()
    room.bench.clock.advance(31 * 86_400_000)
    await Clockwork(room.bench.database, room.bench.clock, CHECKLIST, refusals_to_suspend=5, keep_days=30).tick()
    assert await room.bench.database.fetchval("select array_agg(text) from item_sight") == [""]
    inspection = await Inspector(room.bench.database, room.bench.clock).inspect("t1", task_of(event))
    assert (inspection.purged, [found.finding.matched for found in inspection.findings]) == (True, ["贷款"])
