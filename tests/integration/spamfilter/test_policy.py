"""Rules in the database: seeded once, changed at run time without a restart, rolled back, guarded by roles."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI, Request, Response

from servicekit.clock import SystemClock
from servicekit.database import Database
from servicekit.migrate import OWNERS, migrate
from servicekit.problems import Problem, problem_response
from spamfilter.api import rulesets as rulesets_api
from spamfilter.api import screening as screening_api
from spamfilter.api.access import Access
from spamfilter.handlers.policy import PolicyHolder
from spamfilter.settings import SpamfilterSettings
from spamfilter.store.rulesets import Rulesets

TOKENS = '[{"name":"eve","role":"editor","token":"edit"},{"name":"vic","role":"viewer","token":"view"}]'
ELEPHANT = {"id": "elephant-1", "category": "other", "level": "hold", "all": [["蓝色的大象"]]}


@dataclass
class Desk:
    client: httpx.AsyncClient
    rulesets: Rulesets
    policy: PolicyHolder

    async def call(self, method: str, path: str, token="admin", **more):
        return await self.client.request(method, path, headers={"authorization": f"Bearer {token}"}, **more)


@pytest_asyncio.fixture
async def desk(postgres_url: str) -> AsyncIterator[Desk]:
    await migrate(postgres_url, OWNERS["spamfilter"])
    database = Database(postgres_url, "spamfilter", application="test")
    await database.open()
    rulesets = Rulesets(database)
    policy = PolicyHolder(rulesets, threshold=30, poll_s=0.1)
    await policy.load()
    access = Access(SpamfilterSettings(operator_token="admin", spamfilter_tokens=TOKENS))
    app = FastAPI()

    @app.exception_handler(Problem)
    async def refuse(request: Request, problem: Problem) -> Response:
        return problem_response(problem, "en")

    app.include_router(screening_api.router(access, policy, SystemClock()))
    app.include_router(rulesets_api.router(access, rulesets, policy, SystemClock()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk") as client:
        yield Desk(client, rulesets, policy)
    await database.close()


async def test_shipped_rules_are_seeded_once_by_however_many(desk):
    seeded = await asyncio.gather(*(desk.rulesets.seed([]) for _ in range(4)))
    assert seeded == [False] * 4
    (only,) = (await desk.call("GET", "/v1/rulesets")).json()
    assert only["active"]
    assert only["rules"] >= 100


async def test_a_change_reaches_another_process_without_a_restart(desk):
    other = PolicyHolder(desk.rulesets, threshold=30, poll_s=0.1)
    await other.load()
    follower = asyncio.create_task(other.run())
    before = other.current.matcher.version
    made = (await desk.call("POST", "/v1/rules", json={"rules": [ELEPHANT], "activate": True})).json()
    async with asyncio.timeout(10):
        while other.current.matcher.version == before:  # noqa: ASYNC110 - polled like a user would
            await asyncio.sleep(0.02)
    assert other.current.matcher.version == made["version"]
    assert other.current.matcher.screen(["看，蓝色★的大象"], ["1069"], 0)[0].findings[0].rule == "elephant-1"
    await other.stop()
    await follower


async def test_a_draft_changes_nothing_until_it_is_tried_and_put_in_force_and_rolls_back(desk):
    text = {"texts": ["看，蓝色的大象", "您好"]}
    draft = (await desk.call("POST", "/v1/rules", "edit", json={"rules": [ELEPHANT]})).json()
    assert not draft["active"]
    results = (await desk.call("POST", "/v1/screen", "view", json=text)).json()
    assert [r["verdict"] for r in results["results"]] == ["pass", "pass"]
    trial = (await desk.call("POST", f"/v1/rulesets/{draft['number']}/test", "view", json=text)).json()
    assert trial["changed"] == [0]
    assert (await desk.call("POST", f"/v1/rulesets/{draft['number']}/activate", "edit")).status_code == 403
    assert (await desk.call("POST", f"/v1/rulesets/{draft['number']}/activate")).status_code == 200
    found = (await desk.call("POST", "/v1/screen", "view", json=text)).json()["results"][0]
    assert (found["verdict"], found["findings"][0]["span"]) == ("hold", [2, 7])
    assert found["ruleset"] == draft["version"]
    back = (await desk.call("POST", "/v1/rulesets/rollback")).json()
    assert back["number"] == results["ruleset"].split("-")[0] or back["version"] == results["ruleset"]
    assert (await desk.call("POST", "/v1/rulesets/rollback")).status_code == 409


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({**ELEPHANT, "all": [["@link"]]}, "rule_needs_term"),
        ({**ELEPHANT, "level": "shout"}, "rule_invalid"),
        ({**ELEPHANT, "all": [["★"]]}, "term_empty"),
        ({**ELEPHANT, "surprise": 1}, "rule_invalid"),
    ],
)
async def test_a_rule_that_cannot_be_used_is_refused_and_nothing_is_stored(desk, rule, code):
    answer = await desk.call("POST", "/v1/rules", json={"rules": [rule], "activate": True})
    assert (answer.status_code, answer.json()["rule_code"]) == (422, code)
    assert len((await desk.call("GET", "/v1/rulesets")).json()) == 1


@pytest.mark.parametrize("token", ["", "wrong", "edit2"])
async def test_without_a_valid_token_nothing_is_answered(desk, token):
    assert (await desk.call("GET", "/v1/rules", token)).status_code == 401


async def test_code_templates_take_effect_and_are_withdrawn(desk):
    body = {"tenant": "demo", "port": "106900001", "pattern": "【关心】验证码{code}，客服95598"}
    made = (await desk.call("POST", "/v1/code-templates", json=body)).json()
    assert (await desk.call("POST", "/v1/code-templates", json=body)).json()["id"] == made["id"]
    assert desk.policy.current.templates.of("demo", "106900001")
    assert (await desk.call("DELETE", f"/v1/code-templates/{made['id']}")).status_code == 204
    assert not desk.policy.current.templates.of("demo", "106900001")
    assert (await desk.call("DELETE", f"/v1/code-templates/{made['id']}")).status_code == 404
    bad = {**body, "pattern": "没有变量的模板"}
    assert (await desk.call("POST", "/v1/code-templates", json=bad)).status_code == 422


async def test_the_database_away_leaves_the_rules_in_force(desk):
    async def gone() -> int:
        from servicekit.database import DatabaseUnavailable

        raise DatabaseUnavailable("away")

    holder = PolicyHolder(SimpleNamespace(version=gone), threshold=30, poll_s=0.1)
    holder._policy = desk.policy.current
    task = asyncio.create_task(holder.run())
    await asyncio.wait([task], timeout=0.35)
    assert not task.done()
    assert holder.current.matcher.version == desk.policy.current.matcher.version
    await holder.stop()
    await task
