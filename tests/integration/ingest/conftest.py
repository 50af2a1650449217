"""A whole ingest in this process, on a fresh database and the real broker."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bus import admin
from bus.producer import Producer
from bus.replay import read_topic
from contracts.envelope import Envelope, decode, partition_key, wrap
from contracts.ids import event_id
from contracts.topics import ACCEPTED, lane_topic
from ingest.app import compose
from ingest.settings import IngestSettings
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.migrate import OWNERS, migrate

OPERATOR = "gxop_test_operator_token"


async def eventually(probe: Callable[[], Awaitable[Any]], *, within: float = 20.0) -> Any:
    """Return the first truthy answer of ``probe``."""
    deadline = time.monotonic() + within
    while True:
        answer = await probe()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not within {within} s"
        await asyncio.sleep(0.02)


@dataclass
class Running:
    app: Any
    settings: IngestSettings
    runtime: Runtime
    http: httpx.AsyncClient
    database: Database
    producer: Producer
    begun_ms: int
    key: str = ""
    key_id: str = ""
    signing_secret: str = ""
    operator: str = OPERATOR

    async def post(self, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> httpx.Response:
        return await self.http.post(path, json=body, headers=self._headers(key, headers))

    async def get(self, path: str, *, key: str | None = None, **params: Any) -> httpx.Response:
        return await self.http.get(path, params=params, headers=self._headers(key, {}))

    def _headers(self, key: str | None, headers: dict[str, str]) -> dict[str, str]:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return {"authorization": f"Bearer {self.key if key is None else key}", **names}

    async def make_key(self, **fields: Any) -> dict[str, Any]:
        body = {"enterprise": "power", "name": secrets.token_hex(4), "rate": 100_000, "burst": 100_000, **fields}
        answer = await self.post("/v1/admin/keys", body, key=OPERATOR)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def seed(self) -> None:
        for enterprise in ("power", "gas"):
            await self.post("/v1/admin/enterprises", {"enterprise": enterprise, "name": enterprise}, key=OPERATOR)
        for enterprise, port in (("power", "95598"), ("power", "106550"), ("gas", "95777")):
            answer = await self.post("/v1/admin/ports", {"enterprise": enterprise, "port": port}, key=OPERATOR)
            assert answer.status_code == 200, answer.text
        made = await self.make_key(
            name=f"main-{secrets.token_hex(3)}", scopes=["send", "read", "admin"], any_sender=True
        )
        self.key, self.key_id, self.signing_secret = made["key"], made["key_id"], made["signing_secret"]

    async def say(
        self,
        topic: str,
        event: Any,
        *,
        stage: str,
        attempt: int | str = 0,
        enterprise: str = "power",
        traceparent: str = "",
    ) -> None:
        """Publish an event as a later stage would."""
        of = getattr(event, "chunk_id", "") or getattr(event, "mo_id", "") or getattr(event, "version", "")
        envelope = wrap(
            event,
            id=event_id(of, stage, attempt),
            key=partition_key("main", enterprise),
            tenant="main",
            occurred_at=self.runtime.clock.wall_ms(),
            traceparent=traceparent,
        )
        await self.producer.send_batch([(topic, envelope)])

    async def published(self, lane: str) -> dict[str, list[Envelope[Any]]]:
        """Return the accepted events of the lane since this service began, by chunk id."""
        found: dict[str, list[Envelope[Any]]] = {}
        topic = lane_topic(ACCEPTED, lane)
        async for raw in read_topic(self.settings.kafka_bootstrap_servers, topic, since_ms=self.begun_ms):
            envelope = decode(raw.value or b"", raw.header("type"))
            found.setdefault(envelope.data.chunk.chunk_id, []).append(envelope)
        return found

    async def state_of(self, message_id: str) -> str:
        answer = await self.get(f"/v1/messages/{message_id}")
        return str(answer.json().get("state"))


@pytest.fixture(name="eventually", scope="session")
def _eventually() -> Any:
    return eventually


@pytest.fixture
def start(topics_applied: str, tmp_path: Path) -> Any:
    """Start a service of the test's own: ``async with start(url, **settings) as service``; the schema is made first."""

    @asynccontextmanager
    async def begin(url: str, **changes: Any) -> AsyncIterator[Running]:
        settings = settings_of(await migrated(url), topics_applied, tmp_path / "state", **changes)
        async with running(settings) as made:
            await made.seed()
            yield made

    return begin


@pytest.fixture(scope="session")
def topics_applied(kafka_bootstrap: str) -> str:
    asyncio.run(admin.apply(kafka_bootstrap))
    return kafka_bootstrap


async def migrated(url: str) -> str:
    await migrate(url, OWNERS["ingest"])
    return url


def settings_of(url: str, bootstrap: str, state: Path, **changes: Any) -> IngestSettings:
    fields: dict[str, Any] = {
        "database_url": url,
        "kafka_bootstrap_servers": bootstrap,
        "state_dir": state,
        "operator_token": OPERATOR,
        "session_secret": "0123456789abcdef" * 2,
        "group_suffix": f"-{secrets.token_hex(5)}",
        "webhook_private_targets": True,
        "webhook_back_off_s": 0.05,
        "disk_min_free_octets": 0,
    }
    return IngestSettings(**{**fields, **changes})


@asynccontextmanager
async def running(settings: IngestSettings) -> AsyncIterator[Running]:
    runtime = Runtime(settings)
    app = await compose(runtime)
    database = Database.of(settings, "ingest")
    await database.open()
    producer = Producer(settings.kafka_bootstrap_servers, client_id="test")
    producer.open()
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    http = httpx.AsyncClient(transport=transport, base_url="http://ingest", timeout=60)

    async def stop_server() -> None:
        await http.aclose()

    try:
        yield Running(app, settings, runtime, http, database, producer, runtime.clock.wall_ms() - 1_000)
        if runtime._failure is not None:
            raise runtime._failure
    finally:
        await runtime.shut_down(stop_server)
        await producer.close()
        await database.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    module_postgres_url: str, topics_applied: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    """One service the tests of a module share."""
    url = await migrated(module_postgres_url)
    async with running(settings_of(url, topics_applied, tmp_path_factory.mktemp("state"))) as made:
        await made.seed()
        yield made
