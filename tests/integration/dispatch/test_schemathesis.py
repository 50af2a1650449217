"""Bad input on the API of dispatch: every operation of its OpenAPI document, with and without a token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import api_probe
import pytest
import pytest_asyncio

from dispatch.api.routes import mount
from dispatch.app import Worker
from dispatch.domain.linkconfig import parse_links
from dispatch.settings import DispatchSettings
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.migrate import OWNERS, migrate
from servicekit.web import build_app

pytestmark = api_probe.MARKS

OPERATIONS = (
    "GET /v1/links",
    "POST /v1/links/{name}/drain",
    "POST /v1/links/{name}/suspend",
    "POST /v1/links/{name}/resume",
    "GET /v1/route",
    "GET /v1/unmatched",
    "GET /v1/optouts",
    "POST /v1/optouts",
)

LINK = {"protocol": "smpp34", "host": "127.0.0.1", "port": 1, "system_id": "gx", "password": "x", "rate": 10}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def probed(module_postgres_url: str, tmp_path_factory) -> AsyncIterator[api_probe.Probed]:
    await migrate(module_postgres_url, OWNERS["dispatch"])
    database = Database(module_postgres_url, "dispatch", application="test")
    await database.open()
    settings = DispatchSettings(operator_token="secret", state_dir=tmp_path_factory.mktemp("state"), watchdog=False)
    links = parse_links([LINK | {"name": "a", "sessions": 2, "window": 10}, LINK | {"name": "b", "carriers": ["CMCC"]}])
    # Prepared and not run: the API reads tables, and no carrier is called.
    worker = Worker(settings, database, None, links)  # type: ignore[arg-type]
    await worker.prepare()
    await database.execute(PENDING)
    app = build_app(Runtime(settings), title="test")
    mount(app, worker, settings)
    async with api_probe.serving(app) as address:
        token = {"authorization": "Bearer secret"}
        number = ["13800138000", "1064912345678"]
        known = {"name": ["a", "b"], "link": ["a"], "number": number, "to": number, "class": ["marketing"]}
        yield api_probe.Probed(address, app.openapi(), lambda _operation: token, known)
    await worker.drain()
    await worker.close()
    await database.close()


PENDING = """
insert into receipt_pending (id, link, ids, raw_id, state, code, recipient, sender, submitted_at, done_at, received_at, next_at)
values (1, 'a', '{1f,31}', '1f', 'delivered', 'DELIVRD:000', '8613800138000', '10655', 1, 2, 3, 4)
"""


async def test_the_list_is_the_document(probed):
    assert api_probe.operations_of(probed.document) == set(OPERATIONS)


@pytest.mark.parametrize("way", api_probe.WAYS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_no_input_is_a_fault_of_ours(probed, operation, way):
    await api_probe.no_fault(probed, operation, way)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_stranger_is_refused(probed, operation):
    await api_probe.no_stranger(probed, operation)
