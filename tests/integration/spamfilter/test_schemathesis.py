"""Bad input on the API of spamfilter: every operation of its OpenAPI document, with and without a token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import api_probe
import pytest
import pytest_asyncio

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

pytestmark = api_probe.MARKS

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
async def probed(module_postgres_url: str) -> AsyncIterator[api_probe.Probed]:
    await migrate(module_postgres_url, OWNERS["spamfilter"])
    database = Database(module_postgres_url, "spamfilter", application="test")
    await database.open()
    rulesets = Rulesets(database)
    policy = PolicyHolder(rulesets, threshold=30, poll_s=1.0)
    await policy.load()
    settings = SpamfilterSettings(operator_token="secret")
    app = build_app(Runtime(settings), title="test")
    access = Access(settings)
    app.include_router(screening_api.router(access, policy, SystemClock()))
    app.include_router(rulesets_api.router(access, rulesets, policy, SystemClock()))
    async with api_probe.serving(app) as address:
        yield api_probe.Probed(address, app.openapi(), lambda _operation: {"authorization": "Bearer secret"})
    await database.close()


async def test_the_list_is_the_document(probed):
    assert api_probe.operations_of(probed.document) == set(OPERATIONS)


@pytest.mark.parametrize("way", api_probe.WAYS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_no_input_is_a_fault_of_ours(probed, operation, way):
    await api_probe.no_fault(probed, operation, way)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_stranger_is_refused(probed, operation):
    await api_probe.no_stranger(probed, operation)
