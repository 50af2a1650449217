"""The ways to ask what became of it: tasks, messages, numbers, replies, webhooks, the ledger."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from ingest.api import documents
from ingest.api.services import Limit, MessageId, Moment, Services, TaskId, caller, json
from ingest.handlers.gate import Credentials
from ingest.store import webhooks
from servicekit.problems import NOT_FOUND, Problem

Cursor = Annotated[str, Query(max_length=200, description="`next` of the page before / 游标")]
Number = Annotated[str, Query(max_length=40, description="A phone number / 号码")]


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["read"], responses=documents.PROBLEMS)
    shower = services.shower

    @routes.get("/v1/tasks", response_model=documents.TaskPage, summary="Tasks, newest first / 任务列表")
    async def tasks(
        request: Request,
        before: Annotated[str, Query(pattern="^([0-9a-f]{32})?$")] = "",
        ref: Annotated[str, Query(max_length=64)] = "",
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
    ) -> Response:
        return json(await shower.tasks(caller(services, request, "read"), before, limit, _storable(ref)))

    @routes.get("/v1/tasks/{task_id}", response_model=documents.Task, summary="A task with counters / 任务状态")
    async def task(request: Request, task_id: TaskId) -> Response:
        return json(await shower.task(caller(services, request, "read"), task_id))

    @routes.get(
        "/v1/tasks/{task_id}/messages", response_model=documents.MessagePage, summary="Its messages / 任务的消息"
    )
    async def messages(
        request: Request,
        task_id: TaskId,
        after: Annotated[str, Query(pattern="^([0-9a-f]{32}-(0|[1-9][0-9]{0,5}))?$")] = "",
        state: Annotated[str, Query(max_length=20)] = "",
        number: Number = "",
        limit: Limit = 100,
    ) -> Response:
        key = caller(services, request, "read")
        return json(await shower.messages(key, task_id, after=after, limit=limit, state=state, number=number))

    @routes.get(
        "/v1/tasks/{task_id}/rejected",
        response_model=documents.RejectedPage,
        summary="Recipients that get no message, with reasons / 被拒号码",
    )
    async def rejected(
        request: Request, task_id: TaskId, start: Annotated[int, Query(ge=0, le=1_000_000)] = 0, limit: Limit = 1_000
    ) -> Response:
        return json(await shower.rejected(caller(services, request, "read"), task_id, start, limit))

    @routes.get(
        "/v1/messages/{message_id}",
        response_model=documents.Message,
        summary="A message's timeline: transitions, segments, receipts, charge / 消息轨迹",
    )
    async def message(request: Request, message_id: MessageId) -> Response:
        return json(await shower.message(caller(services, request, "read"), message_id))

    @routes.get(
        "/v1/numbers/{number}",
        response_model=documents.NumberTimeline,
        summary="Everything between the enterprise and a number / 号码轨迹",
    )
    async def number_timeline(
        request: Request, number: Annotated[str, Path(max_length=40)], since: Moment = None
    ) -> Response:
        return json(await shower.number(caller(services, request, "read"), number, since))

    @routes.get("/v1/replies", response_model=documents.ReplyPage, summary="Replies (MO), oldest first / 上行短信")
    async def replies(
        request: Request,
        port: Annotated[str, Query(pattern="^[0-9]{0,21}$")] = "",
        number: Number = "",
        after: Cursor = "",
        limit: Limit = 100,
    ) -> Response:
        key = caller(services, request, "read")
        return json(await shower.replies(key, port=port, number=number, after=_storable(after), limit=limit))

    @routes.get(
        "/v1/ledger",
        response_model=documents.Ledger,
        summary="Every accepted message in exactly one state / 台账",
        description="With the operator's token: of the whole installation.",
    )
    async def ledger(
        request: Request,
        since: Moment = None,
        until: Moment = None,
        task: Annotated[str, Query(pattern="^([0-9a-f]{32})?$")] = "",
    ) -> Response:
        operator = services.gate.operator(Credentials(request.scope["headers"]))
        key = None if operator else caller(services, request, "read")
        return json(await shower.ledger(key, since, until, task))

    _webhooks(routes, services)
    return routes


def _webhooks(routes: APIRouter, services: Services) -> None:
    @routes.get("/v1/webhooks", response_model=documents.WebhookPage, summary="Callback URLs and what waits / 回调")
    async def overview(request: Request) -> Response:
        key = caller(services, request, "read")
        async with services.database.connection() as connection:
            rows = await webhooks.overview(connection, key.tenant, key.enterprise)
        return json({"items": [dict(row) for row in rows]})

    @routes.post(
        "/v1/webhooks/{target_id}/replay",
        response_model=documents.Replayed,
        summary="Offer given-up deliveries again / 重投死信",
    )
    async def replay(request: Request, target_id: Annotated[int, Path(ge=1, le=1 << 62)]) -> Response:
        key = caller(services, request, "send")
        async with services.database.transaction() as connection:
            count = await webhooks.replay_dead(connection, key.tenant, key.enterprise, target_id)
        if count is None:
            raise Problem(NOT_FOUND)
        return json({"replayed": count})


def _storable(text: str) -> str:
    # PostgreSQL holds no NUL: what contains one matches nothing, and must not become a fault of ours.
    return text.replace("\0", "\ufffd")
