"""Bad input on the API of review: every operation of its OpenAPI document, with and without a token."""

from __future__ import annotations

from collections.abc import AsyncIterator

import api_probe
import pytest
import pytest_asyncio

pytestmark = api_probe.MARKS

OPERATIONS = (
    "GET /v1/audit/verify",
    "GET /v1/review/tasks",
    "GET /v1/review/tasks/{task_id}",
    "GET /v1/review/checklist",
    "POST /v1/review/tasks/{task_id}/approve",
    "POST /v1/review/tasks/{task_id}/reject",
    "POST /v1/review/tasks/{task_id}/undo",
    "POST /v1/review/tasks/{task_id}/fastlane",
    "GET /v1/ports",
    "GET /v1/ports/{port}/policy",
    "PUT /v1/ports/{port}/policy",
    "PUT /v1/policy/threshold",
    "POST /v1/ports/{port}/suspend",
    "POST /v1/ports/{port}/reinstate",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def probed(console) -> AsyncIterator[api_probe.Probed]:
    async with api_probe.serving(console.app) as address:
        token = {"authorization": "Bearer gxop_test"}
        known = {"task_id": console.tasks, "port": ["10655001"]}
        yield api_probe.Probed(address, console.app.openapi(), lambda _operation: token, known)


async def test_the_list_is_the_document(probed):
    assert api_probe.operations_of(probed.document) == set(OPERATIONS)


@pytest.mark.parametrize("way", api_probe.WAYS)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_no_input_is_a_fault_of_ours(probed, operation, way):
    await api_probe.no_fault(probed, operation, way)


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_stranger_is_refused(probed, operation):
    await api_probe.no_stranger(probed, operation)
