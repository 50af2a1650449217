"""Accidents between commit and the next stage: what was answered 202 arrives all the same."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import httpx
import pytest
from silence import silence

from bus.outbox import Relay, Sweeper
from bus.replay import read_topic
from contracts import events, topics
from contracts.envelope import decode
from ingest.store import housekeeping
from ingest.store.outbox import ChunkOutbox, StalledChunks

SINGLE = {"port": "95598", "class": "verification", "to": "13800138000", "content": "验证码 482913"}


@pytest.mark.timeout(240)
async def test_a_process_killed_after_its_answer_loses_nothing(start, postgres_url, eventually):
    """A real process is killed with SIGKILL under load; another one's relay publishes what it left."""
    async with start(postgres_url, relay_after_s=0.5) as other:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "GUANXIN_DATABASE_URL": postgres_url,
            "GUANXIN_KAFKA_BOOTSTRAP_SERVERS": other.settings.kafka_bootstrap_servers,
            "GUANXIN_SESSION_SECRET": other.settings.session_secret.get_secret_value(),
            "GUANXIN_OPERATOR_TOKEN": other.operator,
            "GUANXIN_STATE_DIR": str(other.settings.state_dir / "victim"),
            "GUANXIN_GROUP_SUFFIX": f"-{secrets.token_hex(5)}",
            "GUANXIN_HTTP_PORT": str(_free_port()),
            "GUANXIN_INSTANCE": "victim",
        }
        command = [sys.executable, "-m", "ingest"]
        victim = await asyncio.to_thread(subprocess.Popen, command, env=environment, stdout=subprocess.DEVNULL)
        try:
            base = f"http://127.0.0.1:{environment['GUANXIN_HTTP_PORT']}"
            async with httpx.AsyncClient(base_url=base, headers={"authorization": f"Bearer {other.key}"}) as http:

                async def ready():
                    try:
                        return (await http.get("/health/ready")).status_code == 200
                    except httpx.HTTPError:
                        return False

                await eventually(ready, within=120)
                answered = await _load_until_killed(http, victim)
        finally:
            victim.kill()
            victim.wait()
        assert len(answered) >= 100

        async def all_published():
            published = await other.published("verification")
            texts = {
                (chunk_id, index)
                for chunk_id, envelopes in published.items()
                for index in range(len(envelopes[0].data.chunk.recipients))
            }
            return all((each.partition("-")[0], int(each.partition("-")[2])) in texts for each in answered)

        await eventually(all_published, within=30)
        states = (await other.get("/v1/ledger")).json()["states"]
        assert states["accepted"] >= len(answered)


async def _load_until_killed(http: httpx.AsyncClient, victim: subprocess.Popen[bytes]) -> list[str]:
    answered: list[str] = []

    async def post() -> None:
        while True:
            try:
                answer = await http.post("/v1/messages", json=SINGLE)
            except httpx.HTTPError:
                return
            if answer.status_code == 202:
                answered.append(answer.json()["id"])
            if len(answered) >= 100 and victim.poll() is None:
                victim.send_signal(signal.SIGKILL)

    await asyncio.gather(*(post() for _ in range(8)))
    return answered


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_the_relay_publishes_what_nobody_did(start, postgres_url, eventually):
    async with start(postgres_url, relay_after_s=3_600.0) as service:
        made = (await service.post("/v1/messages", SINGLE)).json()["id"].partition("-")[0]

        async def marked():
            return await service.database.fetchval(
                "select published_at from chunk_state where chunk_id = $1::uuid", made
            )

        await eventually(marked)
        # As after a crash between commit and publishing.
        await service.database.execute("update chunk_state set published_at = null")
        relay = Relay("test", service.database, service.producer, ChunkOutbox(), older_than_s=0.0)
        assert await relay.once() == 1
        assert await relay.once() == 0
        first, second = (await service.published("verification"))[made]
        assert first == second, "the same event under the same id"


async def test_the_sweeper_publishes_again_until_something_follows(start, postgres_url, eventually):
    async with start(postgres_url, sweep_after_s=3_600.0) as service:
        moving = (await service.post("/v1/messages", SINGLE)).json()["id"].partition("-")[0]
        stalled = (await service.post("/v1/messages", SINGLE)).json()["id"].partition("-")[0]
        await service.say(
            topics.lane_topic(topics.OUTCOMES, "verification"),
            events.MessagesQueued(chunk_id=moving, at=1),
            stage="queued",
        )

        async def followed():
            return await service.state_of(f"{moving}-0") == "queued"

        await eventually(followed)

        async def all_marked():
            return not await service.database.fetchval("select count(*) from chunk_state where published_at is null")

        await eventually(all_marked)
        sweeper = Sweeper("test", service.database, service.producer, StalledChunks(60.0), older_than_s=0.0)
        assert await sweeper.once() == 1
        published = await service.published("verification")
        assert (len(published[moving]), len(published[stalled])) == (1, 2)
        later = Sweeper("test", service.database, service.producer, StalledChunks(60.0), older_than_s=0.0)
        assert await later.once() == 1, "the first pause is the sweeper's own"
        assert await later.once() == 0, "then it waits longer each time"
        sweeps = await service.database.fetchval(
            "select sweeps from chunk_state where chunk_id = $1", UUID(hex=stalled)
        )
        assert sweeps == 2


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[str, Callable[[bool], None]]]:
    """A way to PostgreSQL that can be cut: every connection breaks, and new ones do too until it is mended."""
    parts = urlsplit(url)
    writers: set[asyncio.StreamWriter] = set()
    cut = False

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if cut:
            writer.close()
            return
        behind, ahead = await asyncio.open_connection(parts.hostname, parts.port)
        writers.update((writer, ahead))
        await asyncio.gather(pump(reader, ahead), pump(behind, writer))

    def set_cut(to: bool) -> None:
        nonlocal cut
        cut = to
        for writer in writers:
            writer.transport.abort()
        writers.clear()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    account = parts.netloc.rpartition("@")[0]
    try:
        yield urlunsplit(parts._replace(netloc=f"{account}@127.0.0.1:{port}")), set_cut
    finally:
        set_cut(True)
        server.close()


async def test_without_postgresql_nothing_is_promised(start, postgres_url, eventually):
    async with proxied(postgres_url) as (url, cut), start(url) as service:
        cut(True)
        answers = [await service.post("/v1/messages", SINGLE) for _ in range(3)]
        task = {"port": "95598", "class": "notice", "content": "x", "recipients": ["13800138000"]}
        answers.append(await service.post("/v1/tasks", task))
        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].headers["retry-after"] == "1"
        cut(False)

        async def accepted():
            return (await service.post("/v1/messages", SINGLE)).status_code == 202

        await eventually(accepted, within=30)


async def test_a_start_without_kafka_accepts_and_publishes_when_there_is_one(
    start, postgres_url, kafka_bootstrap, eventually
):
    """PostgreSQL is the record of truth: a process that begins while Kafka is away listens, accepts, says what is missing."""
    port = _free_port()
    async with start(postgres_url, kafka_bootstrap_servers=f"127.0.0.1:{port}", relay_after_s=0.5) as service:
        one = await service.post("/v1/messages", {**SINGLE, "class": "notice"})
        task = {"port": "95598", "class": "notice", "content": "x", "recipients": ["13800138000"]}
        assert (one.status_code, (await service.post("/v1/tasks", task)).status_code) == (202, 202)
        service.runtime.health.started()
        report = await service.runtime.health.report()
        assert report.ready, report.checks
        assert "broker" in (report.checks["producer"] or "")
        host, _, real = kafka_bootstrap.rpartition(":")
        async with silence(f"//{host}:{real}") as line:
            server = await asyncio.start_server(line.serve, "127.0.0.1", port)

            async def published():
                return (
                    await service.database.fetchval("select count(*) from chunk_state where published_at is null") == 0
                )

            async def well():
                return all(said is None for said in (await service.runtime.health.report()).checks.values())

            await eventually(published, within=60)
            # Whoever has not found the broker yet still looks here.
            await eventually(well, within=60)
            server.close()
        chunk_id = one.json()["id"].partition("-")[0]
        assert chunk_id in await _published_notices(service, kafka_bootstrap)


async def _published_notices(service, bootstrap: str) -> set[str]:
    topic = topics.lane_topic(topics.ACCEPTED, "notice")
    return {
        decode(raw.value or b"", raw.header("type")).data.chunk.chunk_id
        async for raw in read_topic(bootstrap, topic, since_ms=service.begun_ms)
    }


async def test_acceptance_stops_before_the_disk_is_full(start, postgres_url):
    async with start(postgres_url, disk_min_free_octets=1 << 60) as service:
        for path, body in (("/v1/messages", SINGLE), ("/v1/tasks", {}), ("/v1/tasks/upload", {})):
            answer = await service.post(path, body)
            assert (answer.status_code, answer.json()["code"]) == (503, "disk_low")
        assert (await service.get("/v1/ledger")).status_code == 200


async def test_too_many_waiting_are_sent_away(start, postgres_url):
    async with start(postgres_url, max_pending_singles=500, gather_ms=50) as service:
        answers = await asyncio.gather(*(service.post("/v1/messages", SINGLE) for _ in range(900)))
        by_status = [answer.status_code for answer in answers]
        assert set(by_status) == {202, 503}
        stored = await service.database.fetchval("select sum(count) from chunk")
        assert stored == by_status.count(202)


async def test_days_have_partitions_and_old_ones_go(start, postgres_url):
    async with start(postgres_url) as service:
        names = [r["relname"] for r in await service.database.fetch("select relname from pg_class where relkind = 'r'")]
        days = sorted(name.removeprefix("journal_") for name in names if name.startswith("journal_2"))
        assert len(days) >= 4
        for day in days:
            assert {f"chunk_{day}", f"chunk_state_{day}"} <= set(names)
        made = (await service.post("/v1/messages", SINGLE)).json()["id"].partition("-")[0]
        table = await service.database.fetchval(
            "select tableoid::regclass::text from chunk where chunk_id = $1::uuid", made
        )
        assert table.startswith("chunk_2")
        async with service.database.connection() as connection:
            last = date(int(days[0][:4]), int(days[0][4:6]), int(days[0][6:])) + timedelta(days=1)
            dropped = await housekeeping.drop_before(connection, last)
        assert dropped == [f"chunk_{days[0]}", f"chunk_state_{days[0]}", f"journal_{days[0]}"]


async def test_a_day_that_is_over_is_indexed_by_number(start, postgres_url):
    async with start(postgres_url) as service:
        made = (await service.post("/v1/messages", {**SINGLE, "to": "13600000001"})).json()["id"]
        table = await service.database.fetchval(
            "select tableoid::regclass::text from chunk where chunk_id = $1::uuid", made.partition("-")[0]
        )
        day = datetime.strptime(table.removeprefix("chunk_"), "%Y%m%d").replace(tzinfo=UTC).date()
        async with service.database.connection() as connection:
            assert await housekeeping.unsealed_before(connection, day) == []
            assert await housekeeping.unsealed_before(connection, day + timedelta(days=1)) == [table]
        own = await service.database.dedicated()
        for _ in range(2):
            await housekeeping.seal(own, table)
        await own.execute("set enable_seqscan = off")
        plan = await own.fetch(f"explain select 1 from {table} where recipients @> array[8613600000001]")
        await own.close()
        assert f"{table}_number" in "".join(row[0] for row in plan)
        async with service.database.connection() as connection:
            assert await housekeeping.unsealed_before(connection, day + timedelta(days=1)) == []
        shown = (await service.get("/v1/numbers/13600000001")).json()
        assert [message["id"] for message in shown["messages"]] == [made]
