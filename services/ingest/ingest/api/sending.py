"""The ways in: tasks as JSON, tasks as files, single messages, cancelling, previewing."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from contracts.lanes import Lane
from ingest import metrics, problems
from ingest.api import bodies, documents
from ingest.api.hot import PATH, HotMessages
from ingest.api.services import Services, TaskId, caller, json, target_of
from ingest.domain import pricing
from ingest.domain.composition import fill
from ingest.domain.refusal import Refused
from ingest.domain.request import decode_form
from ingest.domain.template import parse
from ingest.handlers.gate import Credentials
from ingest.handlers.once import Answer, checked_key
from servicekit.problems import Problem
from servicekit.telemetry import current_traceparent
from smstext import normalise_many

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="Same key and body: same answer; same key, other body: 409 / 幂等键",
    ),
]


class PreviewBody(BaseModel):
    """A text, or a template with an example of its variables; recipients make the price exact."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"content": "【国网电力】您本月电费86.40元。", "class": "notice", "recipients": ["13800138000"]}
            ]
        }
    )

    content: str = Field(min_length=1, max_length=2_000)
    variables: dict[str, str] | None = Field(default=None, description="makes `content` a template", max_length=50)
    lane: Lane = Field(default=Lane.NOTICE, alias="class")
    recipients: list[str] = Field(default_factory=list, max_length=1_000)


def _body(name: str, media_type: str = "application/json") -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"requestBody": {"required": True, "content": {media_type: {"schema": schema}}}}


def _answered(answer: Answer) -> Response:
    headers = {"idempotent-replay": "true"} if answer.repeated else None
    return Response(answer.body, status_code=answer.status, media_type="application/json", headers=headers)


def router(services: Services, hot: HotMessages) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["send"], responses=documents.PROBLEMS)

    @routes.post(
        "/v1/tasks",
        status_code=202,
        response_model=documents.TaskAccepted,
        openapi_extra=_body("TaskRequest"),
        summary="Send one content, or a template, to 1..100,000 recipients / 提交群发任务",
    )
    async def post_task(request: Request, _idempotency_key: IdempotencyKey = None) -> Response:
        return await _post_task(services, request)

    @routes.post(
        "/v1/tasks/upload",
        status_code=202,
        response_model=documents.TaskAccepted,
        openapi_extra=_body("TaskUpload", "multipart/form-data"),
        summary="Send to the recipients of a CSV, TXT or XLSX file / 上传号码文件提交任务",
    )
    async def post_upload(request: Request, _idempotency_key: IdempotencyKey = None) -> Response:
        return await _post_upload(services, request)

    @routes.post(
        PATH,
        status_code=202,
        response_model=documents.MessageAccepted,
        openapi_extra=_body("MessageRequest"),
        summary="Send one message / 提交单条消息",
    )
    async def post_message(_request: Request, _idempotency_key: IdempotencyKey = None) -> _Handed:
        # Reached only when the application is mounted without its `Shortcut`; the endpoint is the same.
        return _Handed(hot)

    @routes.post(
        "/v1/tasks/{task_id}/cancel",
        response_model=documents.Cancelled,
        summary="Withdraw a task / 撤回任务",
    )
    async def cancel(request: Request, task_id: TaskId) -> Response:
        key = caller(services, request, "send")
        return json({"id": task_id, "cancelled_at": await services.canceller.cancel(key, task_id)})

    @routes.post(
        "/v1/preview",
        response_model=documents.Preview,
        summary="Alphabet, segments and price of a text before it is sent / 预览分条与价格",
    )
    async def preview(request: Request, body: PreviewBody) -> Response:
        return await _preview(services, request, body)

    return routes


class _Handed(Response):
    """A response that lets the bare endpoint answer."""

    def __init__(self, hot: HotMessages) -> None:
        super().__init__()
        self._hot = hot

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._hot(scope, receive, send)


def _open(services: Services) -> None:
    if services.disk.low():
        raise Problem(problems.DISK_LOW, headers={"retry-after": "30"})


async def _post_task(services: Services, request: Request) -> Response:
    _open(services)
    credentials = Credentials(request.scope["headers"])
    key = services.gate.key(credentials, "send")
    settings, composer = services.settings, services.composer
    body = await bodies.read(
        request, inline=settings.inline_octets, limit=settings.max_body_octets, folder=composer.folder
    )
    try:
        idem_key = checked_key(credentials.idempotency_key)
        services.gate.signed(key, credentials, "POST", target_of(request.scope), body.sha256)
        answer = await services.tasks.accept(
            key,
            body=body.octets,
            body_path=body.path,
            digest=bytes.fromhex(body.sha256),
            idem_key=idem_key,
            traceparent=current_traceparent(),
        )
    except Refused as refused:
        metrics.REFUSED.labels(refused.code).inc()
        raise
    finally:
        composer.discard(body.path)
    return _answered(answer)


async def _post_upload(services: Services, request: Request) -> Response:
    _open(services)
    credentials = Credentials(request.scope["headers"])
    key = services.gate.key(credentials, "send")
    composer = services.composer
    upload = await bodies.read_upload(request, limit=services.settings.max_upload_octets, folder=composer.folder)
    try:
        idem_key = checked_key(credentials.idempotency_key)
        services.gate.signed(key, credentials, "POST", target_of(request.scope), upload.sha256)
        answer = await services.tasks.accept(
            key,
            form=decode_form(dict(upload.fields)),
            file_path=upload.path,
            file_name=upload.name,
            digest=upload.digest,
            idem_key=idem_key,
            traceparent=current_traceparent(),
        )
    except Refused as refused:
        metrics.REFUSED.labels(refused.code).inc()
        raise
    finally:
        composer.discard(upload.path)
    return _answered(answer)


async def _preview(services: Services, request: Request, body: PreviewBody) -> Response:
    key = caller(services, request, "send")
    text = body.content
    if body.variables is not None:
        template = parse(text)
        missing = [name for name in template.names if name not in body.variables]
        if missing:
            raise Refused("template_invalid", {"cause": "variable_missing", "variable": missing[0]})
        text = fill(template, [body.variables[name] for name in template.names])
    document = pricing.preview(text)
    tariff = await services.shower.tariff(key.tenant)
    counts: dict[str, int] = {}
    for letter in normalise_many(body.recipients).letters() if body.recipients else "M":
        if letter != "X":
            counts[letter] = counts.get(letter, 0) + document["segments"]
    document["price"] = None if tariff is None else pricing.price(tariff, body.lane, counts)
    return json(document)
