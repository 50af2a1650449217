"""Whatever is sent to the API, it never answers 5xx: every operation of the OpenAPI document, fed by schemathesis."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    # schemathesis draws from `random` itself.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

EXAMPLES = 25
"""Requests per operation and mode: some twenty operations in a minute."""

OPERATIONS = (
    "POST /v1/tasks", "POST /v1/messages", "POST /v1/tasks/{task_id}/cancel", "POST /v1/preview", "GET /v1/tasks",
    "GET /v1/tasks/{task_id}", "GET /v1/tasks/{task_id}/messages", "GET /v1/tasks/{task_id}/rejected",
    "GET /v1/messages/{message_id}", "GET /v1/numbers/{number}", "GET /v1/replies", "GET /v1/ledger", "GET /v1/webhooks",
    "POST /v1/webhooks/{target_id}/replay", "POST /v1/admin/enterprises", "POST /v1/admin/ports",
    "POST /v1/admin/templates", "POST /v1/admin/keys", "GET /v1/keys", "POST /v1/keys", "POST /v1/keys/{key_id}/rotate",
    "POST /v1/keys/{key_id}/revoke", "POST /v1/tasks/upload",
)  # fmt: skip


async def test_the_list_is_the_document(service):
    document = (await service.http.get("/openapi.json")).json()
    found = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}
    assert found == set(OPERATIONS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def address(service, eventually):
    """The service behind a real HTTP server, as schemathesis sends what no client library would."""
    config = uvicorn.Config(service.app, host="127.0.0.1", port=0, lifespan="off", log_level="critical")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started():
        return server.started

    await eventually(started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await serving


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_no_input_is_a_fault_of_ours(service, address, operation, mode):
    document = (await service.http.get("/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.base_url = address
    method, path = operation.split(" ")
    key = service.operator if "/admin/" in path else service.key
    seen = set()

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
        answer = case.call(headers={"Authorization": f"Bearer {key}"})
        seen.add(answer.status_code)
        assert answer.status_code < 500, f"{operation} answered {answer.status_code}: {answer.text}"
        # What is no HTTP at all the server itself refuses, before us.
        if answer.status_code >= 400 and answer.text != "Invalid HTTP request received.":
            assert answer.headers["content-type"] == ["application/problem+json"], answer.text
            assert answer.json()["code"]

    await asyncio.to_thread(run)
    assert seen
