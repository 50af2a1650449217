"""Bad input on the API of billing-sync: every operation of its OpenAPI document, with and without a token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import api_probe
import pytest
import pytest_asyncio

from billing_sync.adapters.folder import Folder
from billing_sync.api import exchange, tariffs
from billing_sync.api.access import Access
from billing_sync.settings import BillingSettings
from servicekit.clock import SystemClock
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.migrate import OWNERS, migrate
from servicekit.web import build_app

pytestmark = api_probe.MARKS

OPERATIONS = (
    "GET /v1/files",
    "GET /v1/files/{no}",
    "POST /v1/files/{no}/resend",
    "GET /v1/files/{no}/verify",
    "GET /v1/reconciliation",
    "GET /v1/tariffs",
    "POST /v1/tariffs",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def probed(module_postgres_url: str, tmp_path_factory) -> AsyncIterator[api_probe.Probed]:
    await migrate(module_postgres_url, OWNERS["billing-sync"])
    database = Database(module_postgres_url, "billing", application="test")
    await database.open()
    settings = BillingSettings(operator_token="secret")
    app = build_app(Runtime(settings), title="test")
    access = Access(settings)
    folder = Folder(tmp_path_factory.mktemp("billing"))
    app.include_router(exchange.router(access, database, folder, SystemClock()))
    app.include_router(tariffs.router(access, database, SystemClock()))
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
