"""Whatever is sent to the API, it never answers 5xx: every operation of the OpenAPI document, fed by schemathesis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings

from servicekit.clock import SystemClock
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.migrate import OWNERS, migrate
from servicekit.web import build_app
from spamfilter.api import rulesets as rulesets_api
from spamfilter.api import screening as screening_api
from spamfilter.api.access import Access
from spamfilter.handlers.policy import PolicyHolder
from spamfilter.settings import SpamfilterSettings
from spamfilter.store.rulesets import Rulesets

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # schemathesis draws from `random` itself.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

EXAMPLES = 25
UNSPOILABLE = ("POST /v1/rulesets/rollback", "GET /v1/code-templates")
OPERATIONS = (
    "POST /v1/screen",
    "GET /v1/rulesets",
    "GET /v1/rules",
    "POST /v1/rules",
    "POST /v1/rulesets/{number}/activate",
    "POST /v1/rulesets/rollback",
    "POST /v1/rulesets/{number}/test",
    "GET /v1/code-templates",
    "POST /v1/code-templates",
    "DELETE /v1/code-templates/{number}",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(module_postgres_url) -> AsyncIterator[SimpleNamespace]:
    await migrate(module_postgres_url, OWNERS["spamfilter"])
    database = Database(module_postgres_url, "spamfilter", application="test")
    await database.open()
    rulesets = Rulesets(database)
    policy = PolicyHolder(rulesets, threshold=30, poll_s=1.0)
    await policy.load()
    config_ = SpamfilterSettings(operator_token="secret")
    app = build_app(Runtime(config_), title="test")
    access = Access(config_)
    app.include_router(screening_api.router(access, policy, SystemClock()))
    app.include_router(rulesets_api.router(access, rulesets, policy, SystemClock()))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
    address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield SimpleNamespace(address=address, document=app.openapi())
    server.should_exit = True
    await serving
    await database.close()


async def test_the_list_is_the_document(served):
    found = {f"{method.upper()} {path}" for path, item in served.document["paths"].items() for method in item}
    assert found == set(OPERATIONS)


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_no_input_is_a_fault_of_ours(served, operation, mode):
    schema = schemathesis.openapi.from_dict(served.document)
    schema.config.base_url = served.address
    method, path = operation.split(" ")
    if mode is schemathesis.GenerationMode.NEGATIVE and operation in UNSPOILABLE:
        pytest.skip("it has nothing that could be wrong")

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        answer = case.call(headers={"Authorization": "Bearer secret"})
        assert answer.status_code < 500, f"{operation} answered {answer.status_code}: {answer.text}"
        if answer.status_code >= 400 and answer.text != "Invalid HTTP request received.":
            assert answer.headers["content-type"] == ["application/problem+json"], answer.text

    await asyncio.to_thread(run)
