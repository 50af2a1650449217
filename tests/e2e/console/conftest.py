"""The console served from a real database to a real browser."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from playwright.async_api import Browser, Page, async_playwright

from bus.records import Batch, RawRecord, Record
from contracts import envelope, ids
from contracts.chunk import Chunk, Entry
from contracts.events.spamfilter import ChunkScreened, Finding, Judgement, Verdict
from contracts.lanes import Lane
from review.app import Rules, attach_console, new_gate
from review.handlers.gate import Gate
from review.settings import ReviewSettings
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.migrate import OWNERS, migrate

ROOT = Path(__file__).parents[3]
PASSWORDS = {role: f"{role}-secret-1" for role in ("reviewer", "supervisor", "admin", "auditor")}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@dataclass
class Served:
    """A running console."""

    url: str
    database: Database
    new_gate: Callable[[], Gate]
    gate: Gate
    runtime: Runtime

    async def hold(self, text: str, total: int = 60, *, port: str = "10655001", user: str = "crm", **more: Any) -> str:
        """Hold a task, or one more chunk of ``task``, and return the task's id."""
        now = self.runtime.clock.wall_ms()
        chunk_id, task_id = (ids.new_id(now, os.urandom(10)) for _ in range(2))
        task_id = more.get("task", task_id)
        entry = Entry(
            task_id=task_id,
            first=0,
            count=total,
            port=port,
            pieces=[text],
            expires_at=now + 3_600_000,
            task_total=total,
            task_chunks=more.get("chunks", 1),
            user=user,
        )
        chunk = Chunk(
            chunk_id=chunk_id,
            tenant="demo",
            enterprise=more.get("enterprise", "城东供电"),
            lane=Lane.NOTICE,
            accepted_at=now,
            recipients=[8613800138000 + n for n in range(total)],
            carriers="M" * total,
            entries=[entry],
        )
        judgements = []
        if "word" in more:
            at = text.index(more["word"])
            finding = Finding("fin-01", "finance", "hold", (at, at + len(more["word"])), more["word"])
            judgements = [Judgement(0, total, Verdict.HOLD, "keyword_hold", [finding])]
        event = ChunkScreened(chunk, "r1", now, judgements)
        topic = "spamfilter.screened.notice"
        wrapped = envelope.wrap(event, id=chunk_id, key="demo:x", tenant="demo", occurred_at=now)
        batch = Batch(topic, Lane.NOTICE, [Record(RawRecord(topic, 0, 0, now, b"", b"", ()), wrapped, "")])
        async with self.database.transaction() as tx:
            await self.gate.effect(tx, batch)
        return task_id

    async def state(self, task: str) -> str:
        return str(await self.database.fetchval("select state from item where task_id = $1", task))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(module_postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    await migrate(module_postgres_url, OWNERS["review"])
    settings = ReviewSettings(
        database_url=module_postgres_url,
        state_dir=tmp_path_factory.mktemp("state"),
        http_port=0,
        review_hours="00:00-24:00",
        review_every_day=True,
        review_sending_window="00:00-24:00",
        assets_dir=Path(os.environ.get("GUANXIN_ASSETS_DIR", ROOT / ".local" / "assets")),
        operator_token="gxop_test",
        logins=[{"user": role, "role": role, "password": PASSWORDS[role], "api_users": ["oa"]} for role in PASSWORDS],
    )
    runtime = Runtime(settings)
    database = Database.of(settings, "review")
    await database.open()
    runtime.on_close(database.close)
    rules = Rules.of(settings)
    app = await attach_console(runtime, settings, database, rules)
    http = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(http.serve())
    while not http.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    port = http.servers[0].sockets[0].getsockname()[1]

    def fresh_gate() -> Gate:
        return new_gate(runtime.clock, settings, rules)

    yield Served(f"http://127.0.0.1:{port}", database, fresh_gate, fresh_gate(), runtime)

    async def stop_server() -> None:
        http.should_exit = True
        await serving

    await runtime.shut_down(stop_server)


# The audit log refuses changes: only its owner can empty it, by taking the guard away first.
RESET = """
delete from held_part; delete from held_chunk; delete from item; delete from gate; delete from task_gate;
delete from content_count; delete from content_cluster; delete from port_policy; delete from tenant_policy;
delete from console_session; update console_user set wrong_tries = 0, locked_until = 0;
alter table audit disable trigger audit_no_change; delete from audit;
alter table audit enable trigger audit_no_change;
"""


@pytest_asyncio.fixture(loop_scope="module")
async def served(server: Served) -> Served:
    """The console as on its first day: one server for the module, emptied before each test."""
    await server.database.execute(RESET)
    await server.database.execute("delete from console_user where name <> all($1)", list(PASSWORDS))
    server.gate = server.new_gate()
    return server


@dataclass
class Person:
    """A browser page of somebody; what its scripts complain about is collected."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    async def sign_in(self, name: str, password: str | None = None) -> None:
        await self.page.goto(f"{self.url}/login")
        await self.page.fill("#name", name)
        await self.page.fill("#password", password or PASSWORDS[name])
        await self.page.click("button.btn-primary")

    async def at_queue(self, name: str) -> None:
        await self.sign_in(name)
        await self.page.wait_for_url("**/queue")
        await self.page.wait_for_selector(".gx-live-on")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        pytest.fail("no Chromium on this machine: install Debian's `chromium`")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def browse(served: Served, chromium: Browser) -> AsyncIterator[Any]:
    people: list[Person] = []

    async def new(*, locale: str = "zh-CN", width: int = 1440) -> Person:
        context = await chromium.new_context(locale=locale, viewport={"width": width, "height": 900})
        context.set_default_timeout(20_000)
        person = Person(await context.new_page(), served.url)
        person.page.on("pageerror", lambda error: person.complaints.append(f"error: {error}"))
        person.page.on(
            "console",
            lambda m: person.complaints.append(f"{m.type}: {m.text}") if m.type in ("error", "warning") else None,
        )
        people.append(person)
        return person

    yield new
    for person in people:
        await person.page.context.close()
    assert [complaint for person in people for complaint in person.complaints] == []
