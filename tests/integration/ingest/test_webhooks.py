"""Callbacks: signed, batched, retried with back-off, given up after the time allowed, offered again on demand."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from contracts import events, topics
from contracts.events.dispatch import CloseCause, SegmentState

LANE = "internal"


@dataclass
class Receiver:
    url: str = ""
    statuses: list[int] = field(default_factory=list)
    """What to answer, one after the other; 200 when used up."""
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def events(self) -> list[dict[str, object]]:
        return [event for _, body in self.requests for event in json.loads(body)["events"]]


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(statuses=list(statuses))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")[1:-2]
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
                receiver.requests.append((headers, await reader.readexactly(int(headers["content-length"]))))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\nlocation: http://127.0.0.1:1/\r\n\r\n".encode()
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    try:
        yield receiver
    finally:
        server.close()


async def posted(service, url: str, numbers) -> str:
    body = {"port": "95598", "class": LANE, "content": "您好", "recipients": numbers, "callback_url": url, "ref": "k9"}
    answer = await service.post("/v1/tasks", body)
    assert answer.status_code == 202, answer.text
    row = await service.database.fetchrow("select chunk_id from chunk where task_id = $1::uuid", answer.json()["id"])
    return row["chunk_id"].hex


async def report(service, chunk_id, indices, state=SegmentState.DELIVERED, attempt=0):
    size = len(indices)
    event = events.SegmentsReported(
        chunk_id=chunk_id, enterprise="power", link="l", batch=1, at=40, indices=indices, segments=[1] * size,
        totals=[1] * size, states=[state] * size, codes=["UNDELIV:045"] * size, done_at=[0] * size,
    )  # fmt: skip
    await service.say(topics.lane_topic(topics.OUTCOMES, LANE), event, stage="reported", attempt=attempt)


async def test_final_states_are_told_signed_and_once(start, postgres_url, eventually):
    async with start(postgres_url) as service, receiving() as receiver:
        chunk_id = await posted(service, receiver.url, ["13800138000", "13900139000", "13000130000"])
        out = topics.lane_topic(topics.OUTCOMES, LANE)
        await service.say(out, events.MessagesQueued(chunk_id=chunk_id, at=5), stage="queued")
        await report(service, chunk_id, [0])
        await report(service, chunk_id, [1], SegmentState.FAILED, attempt=1)
        closed = events.MessagesClosed(
            chunk_id=chunk_id, enterprise="power", at=6, indices=[2], cause=CloseCause.OPTED_OUT
        )
        await service.say(out, closed, stage="closed")

        async def told():
            return len(receiver.events) >= 3

        await eventually(told)
        found = {event["id"]: event for event in receiver.events}
        assert len(receiver.events) == len(found) == 3
        assert {i: (e["state"], e["code"], e["to"]) for i, e in found.items()} == {
            f"{chunk_id}-0": ("delivered", "", "8613800138000"),
            f"{chunk_id}-1": ("failed", "UNDELIV:045", "8613900139000"),
            f"{chunk_id}-2": ("blocked", "opted_out", "8613000130000"),
        }
        assert {event["ref"] for event in receiver.events} == {"k9"}
        for headers, body in receiver.requests:
            at, _, mac = headers["guanxin-signature"].removeprefix("t=").partition(",v1=")
            assert (
                mac == hmac.new(service.signing_secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
            )

        async def settled():
            overview = (await service.get("/v1/webhooks")).json()["items"]
            return overview and overview[0]["waiting"] == 0 and overview[0]["delivered"] > 0

        await eventually(settled)


async def test_a_receiver_that_fails_is_tried_again_and_a_redirect_is_a_failure(start, postgres_url, eventually):
    async with start(postgres_url) as service, receiving(500, 302, 503) as receiver:
        chunk_id = await posted(service, receiver.url, ["13800138000"])
        await report(service, chunk_id, [0])

        async def delivered():
            items = (await service.get("/v1/webhooks")).json()["items"]
            return items and items[0]["delivered"] == 1 and items[0]["failures"] == 0

        await eventually(delivered)
        assert len(receiver.requests) == 4
        assert len({body for _, body in receiver.requests}) == 1
        assert len({headers["guanxin-delivery"] for headers, _ in receiver.requests}) == 1


async def test_single_messages_of_one_url_travel_together(start, postgres_url, eventually):
    async with start(postgres_url, gather_ms=50) as service, receiving(503) as receiver:
        body = {"port": "95598", "class": LANE, "content": "x", "callback_url": receiver.url}
        # The target first: made by one request, so that the others are gathered into one chunk.
        await service.post("/v1/messages", {**body, "to": "13800138999"})
        answers = await asyncio.gather(
            *(service.post("/v1/messages", {**body, "to": f"138{n:08d}", "ref": f"{n}"}) for n in range(50))
        )
        made = [answer.json() for answer in answers]
        for chunk_id in {each["id"].partition("-")[0] for each in made}:
            indices = [int(each["id"].partition("-")[2]) for each in made if each["id"].startswith(chunk_id)]
            await report(service, chunk_id, indices)

        async def told():
            return {event["id"] for event in receiver.events} == {each["id"] for each in made}

        await eventually(told)
        assert len(receiver.requests) < 10
        by_id = {event["id"]: event for event in receiver.events}
        assert all(by_id[each["id"]]["task_id"] == each["task_id"] for each in made)


async def test_what_nobody_takes_is_given_up_listed_and_offered_again(start, postgres_url, eventually):
    async with start(postgres_url, webhook_dead_after_s=1.0) as service, receiving(*[500] * 500) as receiver:
        chunk_id = await posted(service, receiver.url, ["13800138000"])
        await report(service, chunk_id, [0])

        async def dead():
            items = (await service.get("/v1/webhooks")).json()["items"]
            return items[0] if items and items[0]["dead"] == 1 else None

        target = await eventually(dead)
        assert target["last_error"] == "HTTP 500"
        receiver.statuses.clear()
        receiver.requests.clear()
        answer = await service.post(f"/v1/webhooks/{target['target_id']}/replay")
        assert answer.json() == {"replayed": 1}

        async def told():
            return [event["id"] for event in receiver.events] == [f"{chunk_id}-0"]

        await eventually(told)


async def test_private_targets_are_refused_unless_allowed(start, postgres_url, eventually):
    async with start(postgres_url, webhook_private_targets=False) as service, receiving() as receiver:
        body = {"port": "95598", "class": LANE, "content": "x", "recipients": ["13800138000"]}
        answer = await service.post("/v1/tasks", {**body, "callback_url": receiver.url})
        assert (answer.status_code, answer.json()["code"]) == (422, "callback_refused")
        # A name is judged when it is resolved: this one was stored while private targets were allowed.
        chunk_id = await posted(service, "http://hook.example.com/x", ["13800138000"])
        await service.database.execute("update webhook_target set url = $1", receiver.url)
        await report(service, chunk_id, [0])

        async def failed():
            items = (await service.get("/v1/webhooks")).json()["items"]
            return items and "callback_refused" in items[0]["last_error"]

        await eventually(failed)
        assert receiver.requests == []
