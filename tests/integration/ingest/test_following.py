"""What later stages say becomes states, timelines, webhooks and counters: once, in any order, with its offset."""

from __future__ import annotations

import asyncio
import secrets

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bus import decoding
from contracts import events, topics
from contracts.events.dispatch import CloseCause, SegmentState
from contracts.events.review import Decision
from contracts.events.spamfilter import Finding, Judgement, Verdict

pytestmark = pytest.mark.asyncio(loop_scope="module")

LANE = "internal"
TASK = {"port": "95598", "class": LANE, "content": "今晚八点停电检修", "recipients": ["13800138000", "13000130000"]}


def topic(stage: str) -> str:
    return topics.lane_topic(stage, LANE)


async def posted(service, **changes) -> tuple[str, str]:
    """Post a task of one chunk and return (task id, chunk id)."""
    answer = await service.post("/v1/tasks", {**TASK, **changes})
    assert answer.status_code == 202, answer.text
    task_id = answer.json()["id"]
    row = await service.database.fetchrow("select chunk_id from chunk where task_id = $1::uuid", task_id)
    return task_id, row["chunk_id"].hex


def judged(chunk_id, *judgements):
    return events.ChunkJudged(chunk_id=chunk_id, ruleset="7", screened_at=2, judgements=list(judgements))


def answered(chunk_id, indices, *, segments=None, totals=None, statuses=None, at=30):
    size = len(indices)
    return events.SegmentsAnswered(
        chunk_id=chunk_id, enterprise="power", link="carrier-a", slot=1, epoch=3, batch=1, at=at, protocol="smpp34",
        carrier="CMCC", indices=indices, segments=segments or [1] * size, totals=totals or [1] * size,
        statuses=statuses or [0] * size, carrier_ids=[f"c{i}" for i in range(size)], recipients=[1] * size,
        senders=["95598"], task_ids=["t"],
    )  # fmt: skip


def reported(chunk_id, indices, state=SegmentState.DELIVERED, *, segments=None, totals=None):
    size = len(indices)
    return events.SegmentsReported(
        chunk_id=chunk_id, enterprise="power", link="carrier-a", batch=1, at=40, indices=indices,
        segments=segments or [1] * size, totals=totals or [1] * size, states=[state] * size,
        codes=["DELIVRD:000" if state is SegmentState.DELIVERED else "UNDELIV:045"] * size, done_at=[39] * size,
    )  # fmt: skip


async def counts(service, task_id) -> dict[str, int]:
    document = (await service.get(f"/v1/tasks/{task_id}")).json()
    return {state: count for state, count in document["counts"].items() if count}


async def until(service, eventually, task_id, expected) -> None:
    async def there():
        return await counts(service, task_id) == expected

    await eventually(there)


async def test_a_message_is_followed_from_request_to_charge(service, eventually):
    task_id, chunk_id = await posted(service, content="长" * 80, recipients=["13800138000"], ref="meter-7")
    finding = Finding(rule="K-1", category="test", level="score", span=(0, 1), matched="长")
    await service.say(
        topic(topics.JUDGED), judged(chunk_id, Judgement(0, 1, Verdict.HOLD, "keyword_hold", [finding])), stage="judged"
    )
    held = events.MessagesDecided(chunk_id=chunk_id, decision=Decision.HELD, at=3, task_id=task_id, reason="keyword")
    await service.say(topic(topics.DECIDED), held, stage="decided", attempt=1)
    await until(service, eventually, task_id, {"held": 1})
    released = events.MessagesDecided(
        chunk_id=chunk_id, decision=Decision.RELEASED, at=4, task_id=task_id, reason="approved", by="anna"
    )
    await service.say(topic(topics.DECIDED), released, stage="decided", attempt=2)
    await until(service, eventually, task_id, {"queued": 1})
    out = topic(topics.OUTCOMES)
    await service.say(out, events.MessagesQueued(chunk_id=chunk_id, at=5), stage="queued")
    await service.say(out, answered(chunk_id, [0, 0], segments=[1, 2], totals=[2, 2]), stage="answered")
    await until(service, eventually, task_id, {"submitted": 1})
    await service.say(out, reported(chunk_id, [0], segments=[2], totals=[2]), stage="reported", attempt=1)
    await service.say(out, reported(chunk_id, [0], segments=[1], totals=[2]), stage="reported", attempt=2)
    await until(service, eventually, task_id, {"delivered": 1})
    charged = events.SegmentsCharged(
        chunk_id=chunk_id, file_no=12, file_name="f12", at=50, tariff="7", indices=[0, 0], segments=[1, 2],
        amounts=["0.035", "0.035"],
    )  # fmt: skip
    await service.say(topic(topics.CHARGED), charged, stage="charged")

    async def charged_shown():
        shown = (await service.get(f"/v1/messages/{chunk_id}-0")).json()
        return shown if all("charge" in segment for segment in shown["segments"]) else None

    shown = await eventually(charged_shown)
    steps = [(step["state"], step["place"]) for step in shown["timeline"]]
    assert sorted(steps) == sorted(
        [
            ("accepted", "ingest"), ("screened", "spamfilter"), ("held", "review"), ("released", "review"),
            ("queued", "dispatch"), ("submitted", "carrier-a/1"), ("submitted", "carrier-a/1"),
            ("delivered", "carrier-a"), ("delivered", "carrier-a"), ("charged", "billing"), ("charged", "billing"),
        ]
    )  # fmt: skip
    assert (shown["state"], shown["ref"]) == ("delivered", "meter-7")
    first = shown["segments"][0]
    assert (first["link"], first["carrier_id"], first["receipt"]["code"]) == ("carrier-a", "c0", "DELIVRD:000")
    assert first["charge"]["amount"] == "0.035"
    assert next(step for step in shown["timeline"] if step["state"] == "released")["by"] == "anna"
    assert (await service.get(f"/v1/tasks/{task_id}")).json()["finished"]


async def test_the_same_event_twice_changes_nothing(service, eventually):
    task_id, chunk_id = await posted(service)
    out = topic(topics.OUTCOMES)
    doubt = events.SegmentsUncertain(
        chunk_id=chunk_id, enterprise="power", link="l", slot=0, epoch=1, at=6, indices=[0, 1], segments=[1, 1],
        rule="resend",
    )  # fmt: skip
    await service.say(out, doubt, stage="uncertain")
    await service.say(out, answered(chunk_id, [0, 1]), stage="answered")
    await until(service, eventually, task_id, {"submitted": 2})
    # Applied again it would make the messages uncertain once more.
    await service.say(out, doubt, stage="uncertain")
    await service.say(out, reported(chunk_id, [1]), stage="reported")
    await until(service, eventually, task_id, {"submitted": 1, "delivered": 1})
    rows = await service.database.fetch("select event_id from journal where chunk_id = $1::uuid", chunk_id)
    assert len(rows) == 3


async def test_receipts_before_answers_and_outcomes_before_verdicts(service, eventually):
    task_id, chunk_id = await posted(service)
    out = topic(topics.OUTCOMES)
    await service.say(out, reported(chunk_id, [0]), stage="reported")
    await until(service, eventually, task_id, {"accepted": 1, "delivered": 1})
    await service.say(out, answered(chunk_id, [0, 1], statuses=[0, 8]), stage="answered")
    await service.say(out, events.MessagesQueued(chunk_id=chunk_id, at=5), stage="queued")
    await service.say(topic(topics.JUDGED), judged(chunk_id), stage="judged")
    await until(service, eventually, task_id, {"delivered": 1, "failed": 1})


async def test_every_message_is_in_exactly_one_state(service, eventually):
    numbers = [f"137{n:08d}" for n in range(1_000)]
    task_id = (await service.post("/v1/tasks", {**TASK, "recipients": numbers})).json()["id"]
    rows = await service.database.fetch("select chunk_id from chunk where task_id = $1::uuid", task_id)
    one, two = (row["chunk_id"].hex for row in rows)
    out = topic(topics.OUTCOMES)
    await service.say(
        topic(topics.JUDGED), judged(one, Judgement(0, 100, Verdict.BLOCK, "keyword_block")), stage="judged"
    )
    await service.say(out, events.MessagesQueued(chunk_id=one, at=5, indices=list(range(100, 500))), stage="queued")
    await service.say(out, reported(one, list(range(100, 200))), stage="reported")
    await service.say(out, reported(one, [200], SegmentState.FAILED), stage="reported", attempt=1)
    closed = events.MessagesClosed(
        chunk_id=one, enterprise="power", at=6, indices=[201, 202], cause=CloseCause.OPTED_OUT
    )
    await service.say(out, closed, stage="closed")
    decided = events.MessagesDecided(chunk_id=two, decision=Decision.OUTSIDE_REVIEW_HOURS, at=3, task_id=task_id)
    await service.say(topic(topics.DECIDED), decided, stage="decided")
    expected = {"blocked": 102, "queued": 297, "delivered": 100, "failed": 1, "rejected": 500}
    await until(service, eventually, task_id, expected)
    ledger = (await service.get("/v1/ledger", task=task_id)).json()
    assert ledger["accepted"] == 1_000
    assert {state: count for state, count in ledger["states"].items() if count} == expected
    whole = (await service.get("/v1/ledger", key=service.operator)).json()
    stored = await service.database.fetchval("select sum(count) from chunk")
    assert whole["accepted"] == stored
    page = (await service.get(f"/v1/tasks/{task_id}/messages", state="failed")).json()
    assert [item["state"] for item in page["items"]] == ["failed"]


async def test_an_event_on_a_foreign_chunk_is_passed_over(service, eventually):
    task_id, chunk_id = await posted(service)
    out = topic(topics.OUTCOMES)
    await service.say(out, events.MessagesQueued(chunk_id=secrets.token_hex(16), at=5), stage="queued")
    await service.say(out, events.MessagesQueued(chunk_id=chunk_id, at=5), stage="queued")
    await until(service, eventually, task_id, {"queued": 2})


async def test_a_task_is_withdrawn_once_and_announced(service, eventually):
    task_id, chunk_id = await posted(service)
    first = (await service.post(f"/v1/tasks/{task_id}/cancel")).json()
    again = (await service.post(f"/v1/tasks/{task_id}/cancel")).json()
    assert first == again

    async def announced():
        return await service.database.fetchval(
            "select published_at from cancellation where task_id = $1::uuid", task_id
        )

    await eventually(announced)
    closed = events.MessagesClosed(
        chunk_id=chunk_id, enterprise="power", at=6, indices=[0, 1], cause=CloseCause.CANCELLED
    )
    await service.say(topic(topics.OUTCOMES), closed, stage="closed")
    await until(service, eventually, task_id, {"cancelled": 2})
    assert (await service.get(f"/v1/tasks/{task_id}")).json()["cancelled_at"] == first["cancelled_at"]


async def test_a_single_message_is_withdrawn_by_its_task(service):
    made = (await service.post("/v1/messages", {
        "port": "95598", "class": LANE, "to": "13800138000", "content": "x"
    })).json()  # fmt: skip
    assert (await service.post(f"/v1/tasks/{made['task_id']}/cancel")).status_code == 200
    assert (await service.get(f"/v1/tasks/{made['task_id']}")).json()["cancelled_at"]


async def test_what_has_ended_cannot_be_withdrawn(service, eventually):
    task_id, chunk_id = await posted(service)
    await service.say(topic(topics.OUTCOMES), reported(chunk_id, [0, 1]), stage="reported")
    await until(service, eventually, task_id, {"delivered": 2})
    answer = await service.post(f"/v1/tasks/{task_id}/cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "task_finished")


async def test_replies_and_opt_outs_are_on_the_numbers_timeline(service, eventually):
    # The broker is shared: another run of this test says the same of its own number.
    phone = f"138{secrets.randbelow(100_000_000):08d}"
    number = int(f"86{phone}")
    now = service.runtime.clock.wall_ms()
    task_id, chunk_id = await posted(service, recipients=[phone])
    for each in range(2):
        reply = events.MessageReceived(
            mo_id=f"mo-{chunk_id}", link="l", sender=number, port="9559801", text="T", at=now, chunk_id=chunk_id, index=0,
            enterprise="power", action="opt_out",
        )  # fmt: skip
        await service.say(topics.REPLIES, reply, stage="mo", attempt=each)
    opted = events.OptedOut(number=number, port="95598", enterprise="power", at=now, mo_id=f"mo-{chunk_id}", word="T")
    await service.say(topics.REPLIES, opted, stage="optout")

    async def there():
        shown = (await service.get(f"/v1/numbers/{phone}")).json()
        return shown if shown["opt_outs"] else None

    shown = await eventually(there)
    assert [reply["text"] for reply in shown["replies"]] == ["T"]
    assert [message["task_id"] for message in shown["messages"]] == [task_id]
    assert shown["opt_outs"][0]["word"] == "T"
    page = (await service.get("/v1/replies", number=phone)).json()
    assert page["items"][0]["message_id"] == f"{chunk_id}-0"
    narrow = (await service.make_key(ports=["106550"]))["key"]
    assert (await service.get("/v1/replies", key=narrow)).json()["items"] == []
    assert (await service.get("/v1/replies", key=narrow, port="95598")).json()["items"] == []


async def test_the_tariff_in_force_prices_a_preview(service, eventually):
    for version, rate in (("1", "0.05"), ("2", "0.035")):
        tariff = events.TariffActivated(
            version=version, valid_from=int(version), currency="CNY", per_segment={"CMCC": rate, "default": "0.04"}
        )
        await service.say(topics.TARIFFS, tariff, stage="tariff")
    body = {"content": "字" * 71, "recipients": ["13800138000", "13000130000", "1"]}

    async def priced():
        price = (await service.post("/v1/preview", body)).json()["price"]
        return price if price and price["tariff"] == "2" else None

    price = await eventually(priced)
    assert price["total"] == "0.150"
    assert price["carriers"]["CMCC"]["amount"] == "0.070"


async def test_two_projectors_share_the_work_and_lose_nothing(start, postgres_url, eventually):
    """A second process joins in the middle; every event counts once."""
    suffix = f"-{secrets.token_hex(5)}"
    async with start(postgres_url, group_suffix=suffix, instance="one", http_port=0) as one:
        made = [await posted(one, recipients=[f"135{n:08d}"]) for n in range(60)]
        out = topic(topics.OUTCOMES)

        async def say(some):
            for _, chunk_id in some:
                await one.say(out, answered(chunk_id, [0]), stage="answered")
                await one.say(out, reported(chunk_id, [0]), stage="reported")

        talking = asyncio.create_task(say(made[:30]))
        async with start(postgres_url, group_suffix=suffix, instance="two", http_port=0):
            await talking
            await say(made[30:])

            async def all_delivered():
                return (await one.get("/v1/ledger")).json()["states"]["delivered"] == 60

            await eventually(all_delivered, within=60)
            assert await one.database.fetchval("select count(*) from journal") == 120


async def test_a_followed_trace_says_what_became_of_the_messages(service, eventually, monkeypatch):
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(decoding, "tracer", lambda: provider.get_tracer("test"))
    trace = secrets.token_hex(16)
    task_id, chunk_id = await posted(service)
    for parent, indices in ((f"00-{trace}-{'b' * 16}-01", [0]), (f"00-{trace}-{'c' * 16}-00", [1])):
        event = reported(chunk_id, indices)
        await service.say(topic(topics.OUTCOMES), event, stage="reported", attempt=indices[0], traceparent=parent)
    await until(service, eventually, task_id, {"delivered": 2})

    async def exported():
        return [s for s in exporter.get_finished_spans() if s.attributes.get("chunk_id") == chunk_id]

    (span,) = await eventually(exported)
    assert span.name.endswith("process SegmentsReported")
    assert f"{span.parent.span_id:016x}" == "b" * 16
    assert (span.attributes["messages.delivered"], span.attributes["messages.accepted"]) == (1, 1)
    assert "13800138000" not in repr(span.attributes)
