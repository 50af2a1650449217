"""Whatever is sent to the API, it never answers 5xx: every operation of the OpenAPI document, fed by schemathesis."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

pytestmark = pytest.mark.asyncio(loop_scope="module")

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


@pytest.mark.parametrize("mode", [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE])
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_no_input_is_a_fault_of_ours(service, operation, mode):
    document = (await service.http.get("/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    method, path = operation.split(" ")
    key = service.operator if "/admin/" in path else service.key
    loop = asyncio.get_running_loop()

    async def call(case: Any) -> int:
        fields = case.as_transport_kwargs(base_url="http://ingest")
        fields.pop("cookies", None)
        headers = {**(fields.pop("headers", None) or {}), "authorization": f"Bearer {key}"}
        answer = await service.http.request(headers=clean(headers), **sendable(fields))
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json", answer.text
            assert json.loads(answer.content)["code"]
        return answer.status_code

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
        status = asyncio.run_coroutine_threadsafe(call(case), loop).result(30)
        assert status < 500, f"{operation} answered {status}"

    await asyncio.to_thread(run)


def clean(headers: dict[str, Any]) -> dict[str, Any]:
    """Drop what httpx itself refuses to send."""
    return {
        name: value
        for name, value in headers.items()
        if isinstance(value, str) and value.isascii() and value.isprintable() and name.isascii()
    }


def sendable(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the request as httpx takes it."""
    return {
        {"data": "content"}.get(name, name) if name == "data" and isinstance(value, bytes | str) else name: value
        for name, value in fields.items()
        if name in {"method", "url", "params", "json", "data", "files"} and value is not None
    }
