"""Bad input on the API of ingest: every operation of its OpenAPI document, with and without a token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import api_probe
import pytest
import pytest_asyncio

pytestmark = api_probe.MARKS

OPERATIONS = (
    "POST /v1/tasks", "POST /v1/messages", "POST /v1/tasks/{task_id}/cancel", "POST /v1/preview", "GET /v1/tasks",
    "GET /v1/tasks/{task_id}", "GET /v1/tasks/{task_id}/messages", "GET /v1/tasks/{task_id}/rejected",
    "GET /v1/messages/{message_id}", "GET /v1/numbers/{number}", "GET /v1/replies", "GET /v1/ledger", "GET /v1/webhooks",
    "POST /v1/webhooks/{target_id}/replay", "POST /v1/admin/enterprises", "POST /v1/admin/ports",
    "POST /v1/admin/templates", "POST /v1/admin/keys", "GET /v1/keys", "POST /v1/keys", "POST /v1/keys/{key_id}/rotate",
    "POST /v1/keys/{key_id}/revoke", "POST /v1/tasks/upload",
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def probed(service) -> AsyncIterator[api_probe.Probed]:
    document = (await service.http.get("/openapi.json")).json()

    def headers_of(operation: str) -> dict[str, str]:
        return {"authorization": f"Bearer {service.operator if '/admin/' in operation else service.key}"}

    async with api_probe.serving(service.app) as address:
        yield api_probe.Probed(address, document, headers_of)


async def test_the_list_is_the_document(probed):
    assert api_probe.operations_of(probed.document) == set(OPERATIONS)


@pytest.mark.parametrize("way", api_probe.WAYS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_no_input_is_a_fault_of_ours(probed, operation, way):
    await api_probe.no_fault(probed, operation, way)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_stranger_is_refused(probed, operation):
    await api_probe.no_stranger(probed, operation)
