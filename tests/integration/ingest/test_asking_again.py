"""What the bus loses after it acknowledged it is asked for: outcomes of dispatch, decisions of review, ends of withdrawals."""

from __future__ import annotations

import secrets

from bus.outbox import Sweeper
from bus.replay import read_topic
from contracts import events, topics
from contracts.envelope import decode
from contracts.events.review import Decision
from ingest.store.outbox import CancellationOutbox, StalledChunks
from ingest.store.unsettled import MOST_ASKED, StalledCancellations, UnsettledChunks

LANE = "notice"
OUT = topics.lane_topic(topics.OUTCOMES, LANE)


async def _task(service, recipients=("13800138000", "13800138001")) -> tuple[str, str]:
    body = {"port": "95598", "class": LANE, "content": secrets.token_hex(4), "recipients": list(recipients)}
    task_id = (await service.post("/v1/tasks", body)).json()["id"]
    found = await service.database.fetchval("select chunk_id from chunk where task_id = $1::uuid", task_id)
    return task_id, found.hex


def _sweeper(service, source) -> Sweeper:
    return Sweeper("test", service.database, service.producer, source, older_than_s=0.0)


async def _heard(service, topic: str, about: str) -> list:
    found = []
    async for raw in read_topic(service.settings.kafka_bootstrap_servers, topic, since_ms=service.begun_ms):
        data = decode(raw.value or b"", raw.header("type")).data
        if about in (getattr(data, "chunk_id", ""), getattr(data, "task_id", "")):
            found.append(data)
    return found


async def _state(service, chunk_id: str, column: str):
    return await service.database.fetchval(f"select {column} from chunk_state where chunk_id = $1::uuid", chunk_id)


def _answered(chunk_id: str, indices: list[int]) -> events.SegmentsAnswered:
    size = len(indices)
    return events.SegmentsAnswered(
        chunk_id=chunk_id, enterprise="power", link="l", slot=1, epoch=1, batch=7, at=6, protocol="smpp34", carrier="CMCC",
        indices=indices, segments=[1] * size, totals=[1] * size, statuses=[0] * size, carrier_ids=["c"] * size,
        recipients=[1] * size, senders=["95598"], task_ids=["t"],
    )  # fmt: skip


async def test_dispatch_is_asked_for_what_was_not_heard(start, postgres_url, eventually):
    async with start(postgres_url, ask_after_s=3_600.0) as service:
        _, chunk_id = await _task(service)
        await service.say(OUT, events.MessagesQueued(chunk_id=chunk_id, at=5), stage="queued-0-0")
        await service.say(OUT, _answered(chunk_id, [0]), stage="answered", attempt=7)

        async def followed():
            return await _state(service, chunk_id, "uncharged") == 1

        await eventually(followed)
        assert await _sweeper(service, UnsettledChunks(60.0)).once() == 1
        (question,) = await _heard(service, topics.MISSED, chunk_id)
        assert sorted(question.seen) == ["answered:7", "queued-0-0:0"]
        assert await _sweeper(service, UnsettledChunks(60.0)).once() == 0, "then it waits longer"
        for _ in range(MOST_ASKED - 1):
            await service.database.execute("update chunk_state set unsettled_since = now() - interval '1 hour'")
            assert await _sweeper(service, UnsettledChunks(60.0)).once() == 1
        assert await _state(service, chunk_id, "unsettled_since") is None, "nobody asks for ever"


async def test_a_chunk_that_showed_nothing_is_published_again_and_asked_for(start, postgres_url, eventually):
    async with start(postgres_url, sweep_after_s=3_600.0) as service:
        _, chunk_id = await _task(service)

        async def marked():
            return await _state(service, chunk_id, "published_at")

        await eventually(marked)
        assert await _sweeper(service, StalledChunks(60.0)).once() == 1
        assert len((await service.published(LANE))[chunk_id]) == 2
        (question,) = await _heard(service, topics.MISSED, chunk_id)
        assert (question.seen, question.uncharged) == ([], False)


async def test_all_final_and_not_charged_asks_for_everything(start, postgres_url, eventually):
    async with start(postgres_url, ask_after_s=3_600.0) as service:
        _, chunk_id = await _task(service, ["13800138000"])
        report = events.SegmentsReported(
            chunk_id=chunk_id, enterprise="power", link="l", batch=8, at=7, indices=[0], segments=[1], totals=[1],
            states=[events.dispatch.SegmentState.DELIVERED], codes=["DELIVRD:000"], done_at=[6],
        )  # fmt: skip
        await service.say(OUT, _answered(chunk_id, [0]), stage="answered", attempt=7)
        await service.say(OUT, report, stage="reported", attempt=8)

        async def delivered():
            return await service.state_of(f"{chunk_id}-0") == "delivered"

        await eventually(delivered)
        assert await _sweeper(service, UnsettledChunks(60.0)).once() == 1
        (question,) = await _heard(service, topics.MISSED, chunk_id)
        assert (question.seen, question.uncharged) == ([], True)
        charge = events.SegmentsCharged(
            chunk_id=chunk_id, file_no=1, file_name="f", at=9, tariff="1", indices=[0], segments=[1], amounts=["0.03"]
        )
        await service.say(topics.lane_topic(topics.CHARGED, LANE), charge, stage="charged", attempt=1)

        async def settled():
            return await _state(service, chunk_id, "unsettled_since") is None

        await eventually(settled)


async def test_review_is_asked_by_the_chunk_itself(start, postgres_url, eventually):
    async with start(postgres_url, ask_after_s=3_600.0) as service:
        task_id, chunk_id = await _task(service)
        held = events.MessagesDecided(chunk_id=chunk_id, decision=Decision.HELD, at=3, task_id=task_id, reason="bulk")
        await service.say(topics.lane_topic(topics.DECIDED, LANE), held, stage="decided", attempt=1)

        async def is_held():
            return await service.state_of(f"{chunk_id}-0") == "held"

        await eventually(is_held)
        before = len((await service.published(LANE))[chunk_id])
        assert await _sweeper(service, UnsettledChunks(60.0)).once() == 1
        assert len((await service.published(LANE))[chunk_id]) == before + 1
        assert await _heard(service, topics.MISSED, chunk_id) == [], "dispatch has nothing of it"


async def test_a_withdrawal_is_announced_until_nothing_can_be_stopped(start, postgres_url, eventually):
    async with start(postgres_url, ask_after_s=3_600.0) as service:
        task_id, chunk_id = await _task(service)
        await service.post(f"/v1/tasks/{task_id}/cancel")

        async def announced():
            return await service.database.fetchval("select published_at from cancellation")

        await eventually(announced)
        assert await _sweeper(service, CancellationOutbox()).once() == 0
        assert await _sweeper(service, StalledCancellations(60.0)).once() == 1
        assert await _sweeper(service, StalledCancellations(60.0)).once() == 0, "then it waits longer"
        assert len(await _heard(service, topics.CANCELLED, task_id)) == 2
        await service.say(OUT, _answered(chunk_id, [0, 1]), stage="answered", attempt=7)

        async def submitted():
            return await service.state_of(f"{chunk_id}-1") == "submitted"

        await eventually(submitted)
        await service.database.execute("update cancellation set again_at = null")
        assert await _sweeper(service, StalledCancellations(60.0)).once() == 0
        assert await service.database.fetchval("select settled from cancellation")


async def test_the_withdrawal_of_a_single_message_is_announced_again_too(start, postgres_url, eventually):
    async with start(postgres_url, ask_after_s=3_600.0) as service:
        body = {"port": "95598", "class": LANE, "to": "13800138000", "content": "x"}
        task_id = (await service.post("/v1/messages", body)).json()["task_id"]
        await service.post(f"/v1/tasks/{task_id}/cancel")

        async def announced():
            return await service.database.fetchval("select published_at from cancellation")

        await eventually(announced)
        assert await _sweeper(service, StalledCancellations(60.0)).once() == 1
