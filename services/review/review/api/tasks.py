"""JSON API of held tasks, port policies and the audit chain: what `guanxin review`, `port` and `audit` call.

Callers present the operator's bearer token.  Answers show no recipient; errors are problem details.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

import asyncpg
import structlog
from fastapi import Depends, FastAPI, Path, Query, Security
from pydantic import BaseModel, ConfigDict, Field, field_validator

from review.api.documents import (
    AuditVerified,
    Checklist,
    EffectivePolicy,
    PortList,
    PortRow,
    Standard,
    Thresholds,
)
from review.domain.item import ItemState, urgency
from review.domain.policy import PortPolicy, Tier, Window
from review.handlers.decide import MAX_NOTE, Actor, Desk, Result
from review.handlers.people import People
from review.handlers.ports import Ports
from review.store import audit, items, queue
from servicekit.apidoc import refusals
from servicekit.bearer import bearer_token, unauthenticated
from servicekit.clock import Clock
from servicekit.database import Database
from servicekit.problems import NOT_FOUND, Problem, define
from servicekit.validation import NO_NUL

log = structlog.get_logger()

UNKNOWN_STANDARD = define("review.unknown_standard", 422, "引用的审核标准不存在", "The standard cited does not exist")
NOT_DECIDED = define("review.not_decided", 409, "任务未被处理", "The task was not decided")

MAX_LISTED = 1_000
TaskId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="任务号 / task id")]
PortNumber = Annotated[str, Path(pattern="^[0-9]{3,21}$", description="端口号 / port")]


class HeldTask(BaseModel):
    """A held task."""

    id: str
    task: str
    """The caller's task: another id than its own where parts arrived after the decision on it."""
    round: int
    """1, or higher for an item of parts that arrived after a decision."""
    state: str
    enterprise: str
    port: str
    tier: str
    lane: str
    reason: str
    total: int
    content: str
    queued_at: int
    expires_at: int
    fast_lane: bool
    urgency: str
    claimed_by: str | None
    decided_by: str | None
    decided_at: int | None
    cited: str
    note: str


class TaskPage(BaseModel):
    """Held tasks, newest first; ``next`` is the cursor of the following page, null at the end."""

    tasks: list[HeldTask]
    next: str | None


class Decided(BaseModel):
    """What became of a decision: ``published_at`` is when it takes effect; until then it can be undone."""

    done: list[str]
    refused: dict[str, str]
    published_at: int


class ApproveBody(BaseModel):
    """Reason of an approval."""

    model_config = ConfigDict(extra="forbid")
    note: str = Field(default="", max_length=MAX_NOTE, pattern=NO_NUL)


class RejectBody(BaseModel):
    """A refusal cites a standard."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"cite": "YW-2", "note": "签名不是金融企业"}}
    )
    cite: str = Field(min_length=1, max_length=20)
    note: str = Field(default="", max_length=MAX_NOTE, pattern=NO_NUL)


class PortBody(BaseModel):
    """Policy of a port."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"tier": "high", "threshold": 50, "window": "08:00-21:00", "enterprise": "e1"}},
    )
    tier: Tier
    enterprise: str = Field(default="", max_length=64, pattern=NO_NUL)
    threshold: int | None = Field(default=None, ge=0, le=1_000_000)
    window: str | None = Field(default=None, max_length=11)
    fast_lane: bool = False

    @field_validator("window")
    @classmethod
    def _is_window(cls, text: str | None) -> str | None:
        try:
            return None if text is None else str(Window.parse(text))
        except ValueError as error:
            raise ValueError("时间窗写作 08:00-21:00 / a window is written 08:00-21:00") from error

    def policy(self, port: str) -> PortPolicy:
        """Return it as the domain's."""
        window = None if self.window is None else Window.parse(self.window)
        return PortPolicy(port, self.tier, self.threshold, window, self.fast_lane, enterprise=self.enterprise)


class ThresholdBody(BaseModel):
    """The tenant's bulk threshold."""

    model_config = ConfigDict(extra="forbid")
    threshold: int = Field(ge=0, le=1_000_000)


class ReinstateBody(BaseModel):
    """Reinstating needs a reason."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=2, max_length=MAX_NOTE, pattern=NO_NUL)


def build_api(app: FastAPI, clock: Clock, database: Database, desk: Desk, people: People, ports: Ports) -> None:
    """Add the JSON routes."""
    operator = _operator(people)
    _add_tasks(app, clock, database, desk, operator)
    _add_decisions(app, desk, operator)
    _add_ports(app, ports, operator)

    @app.get("/v1/audit/verify", tags=["audit"], summary="校验审计链 / walk the audit chain")
    async def verify_audit(actor: Annotated[Actor, Depends(operator)]) -> AuditVerified:
        async with database.connection() as connection:
            found = await audit.check(connection, actor.tenant)
        return AuditVerified(
            whole=found.broken_at == 0,
            records=found.records,
            head=found.head.hex(),
            broken_at=found.broken_at or None,
            cause=found.cause or None,
        )


def _operator(people: People) -> Callable[..., Awaitable[Actor]]:
    async def dependency(token: Annotated[str, Security(bearer_token)]) -> Actor:
        actor = people.operator(token)
        if actor is None:
            raise unauthenticated()
        return actor

    return dependency


def _add_tasks(
    app: FastAPI, clock: Clock, database: Database, desk: Desk, operator: Callable[..., Awaitable[Actor]]
) -> None:
    @app.get("/v1/review/tasks", tags=["review"], summary="待审任务 / held tasks")
    async def list_tasks(
        actor: Annotated[Actor, Depends(operator)],
        state: Annotated[ItemState | None, Query(description="缺省为等待中的 / waiting ones when absent")] = None,
        port: Annotated[str, Query(pattern="^[0-9]{0,21}$")] = "",
        before: Annotated[
            str, Query(pattern="^([0-9a-f]{32})?$", description="上一页最后的任务号 / last id seen")
        ] = "",
        limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 100,
    ) -> TaskPage:
        async with database.connection() as connection:
            wanted = "" if state is None else state.value
            rows = await queue.listing(connection, actor.tenant, wanted, port, before, limit)
        now = clock.wall_ms()
        tasks = [_shown(row, now) for row in rows]
        return TaskPage(tasks=tasks, next=rows[-1]["task_id"] if len(rows) == limit else None)

    @app.get("/v1/review/tasks/{task_id}", tags=["review"], summary="一个任务 / one task")
    async def show_task(task_id: TaskId, actor: Annotated[Actor, Depends(operator)]) -> HeldTask:
        async with database.connection() as connection:
            row = await items.find(connection, actor.tenant, task_id)
        if row is None:
            raise Problem(NOT_FOUND, zh="没有这个被扣留的任务", en="There is no such held task")
        return _shown(row, clock.wall_ms())

    @app.get("/v1/review/checklist", tags=["review"], summary="审核标准 / the checklist")
    async def show_checklist() -> Checklist:
        listed = desk.checklist
        standards = [Standard(code=i.code, group=i.group, zh=i.zh, en=i.en) for i in listed.items]
        return Checklist(version=listed.version, items=standards)


def _add_decisions(app: FastAPI, desk: Desk, operator: Callable[..., Awaitable[Actor]]) -> None:
    @app.post("/v1/review/tasks/{task_id}/approve", tags=["review"], summary="放行 / approve", responses=refusals(409))
    async def approve(
        task_id: TaskId, actor: Annotated[Actor, Depends(operator)], body: ApproveBody | None = None
    ) -> Decided:
        return _decided(await desk.approve(actor, [task_id], body.note if body else ""))

    @app.post("/v1/review/tasks/{task_id}/reject", tags=["review"], summary="驳回 / reject", responses=refusals(409))
    async def reject(task_id: TaskId, body: RejectBody, actor: Annotated[Actor, Depends(operator)]) -> Decided:
        if desk.checklist.find(body.cite) is None:
            known = ", ".join(item.code for item in desk.checklist.items)
            raise Problem(UNKNOWN_STANDARD, zh=f"可引用：{known}", en=f"May be cited: {known}")
        return _decided(await desk.reject(actor, [task_id], body.cite, body.note))

    @app.post(
        "/v1/review/tasks/{task_id}/undo",
        tags=["review"],
        summary="撤回决定 / undo a decision",
        responses=refusals(409),
    )
    async def undo(task_id: TaskId, actor: Annotated[Actor, Depends(operator)]) -> Decided:
        return _decided(await desk.undo(actor, [task_id]))

    @app.post(
        "/v1/review/tasks/{task_id}/fastlane", tags=["review"], summary="快速通道 / fast lane", responses=refusals(409)
    )
    async def fastlane(
        task_id: TaskId, actor: Annotated[Actor, Depends(operator)], body: ApproveBody | None = None
    ) -> Decided:
        return _decided(await desk.fast_lane(actor, [task_id], body.note if body else ""))


def _add_ports(app: FastAPI, ports: Ports, operator: Callable[..., Awaitable[Actor]]) -> None:
    @app.get("/v1/ports", tags=["ports"], summary="端口策略 / port policies")
    async def list_ports(actor: Annotated[Actor, Depends(operator)]) -> PortList:
        rows = [_port(row) for row in await ports.listed(actor.tenant)]
        return PortList(ports=rows, **await ports.thresholds(actor.tenant))

    @app.get("/v1/ports/{port}/policy", tags=["ports"], summary="一个端口的策略 / policy of a port")
    async def show_port(port: PortNumber, actor: Annotated[Actor, Depends(operator)]) -> EffectivePolicy:
        return EffectivePolicy(**await ports.effective(actor.tenant, port))

    @app.put("/v1/ports/{port}/policy", tags=["ports"], summary="设置端口策略 / set a port's policy")
    async def put_port(port: PortNumber, body: PortBody, actor: Annotated[Actor, Depends(operator)]) -> EffectivePolicy:
        await ports.put(actor, body.policy(port))
        return EffectivePolicy(**await ports.effective(actor.tenant, port))

    @app.put("/v1/policy/threshold", tags=["ports"], summary="群发门限 / the tenant's bulk threshold")
    async def put_threshold(body: ThresholdBody, actor: Annotated[Actor, Depends(operator)]) -> Thresholds:
        await ports.put_threshold(actor, body.threshold)
        return Thresholds(**await ports.thresholds(actor.tenant))

    @app.post("/v1/ports/{port}/suspend", tags=["ports"], summary="暂停端口 / suspend a port")
    async def suspend(
        port: PortNumber, body: ReinstateBody, actor: Annotated[Actor, Depends(operator)]
    ) -> EffectivePolicy:
        await ports.suspend(actor, port, body.reason)
        return EffectivePolicy(**await ports.effective(actor.tenant, port))

    @app.post("/v1/ports/{port}/reinstate", tags=["ports"], summary="恢复端口 / reinstate a port")
    async def reinstate(
        port: PortNumber, body: ReinstateBody, actor: Annotated[Actor, Depends(operator)]
    ) -> EffectivePolicy:
        if not await ports.reinstate(actor, port, body.reason):
            raise Problem(NOT_FOUND, zh="该端口没有被暂停", en="The port is not suspended")
        return EffectivePolicy(**await ports.effective(actor.tenant, port))


def _decided(result: Result) -> Decided:
    if not result.done:
        task, why = next(iter(result.refused.items()))
        if why == "not_found":
            raise Problem(NOT_FOUND, zh="没有这个被扣留的任务", en="There is no such held task")
        raise Problem(NOT_DECIDED, zh=f"任务 {task}：{why}", en=f"Task {task}: {why}", refused=result.refused)
    return Decided(done=result.done, refused=result.refused, published_at=result.due_at)


def _shown(row: asyncpg.Record, now: int) -> HeldTask:
    return HeldTask(
        id=row["task_id"],
        task=row["late_of"] or row["task_id"],
        round=row["round"],
        state=row["state"],
        enterprise=row["enterprise"],
        port=row["port"],
        tier=row["tier"],
        lane=row["lane"],
        reason=row["reason"],
        total=row["total"],
        content=row["content"],
        queued_at=row["queued_at"],
        expires_at=row["expires_at"],
        fast_lane=row["fast_lane"],
        urgency=urgency(row["queued_at"], now).value,
        claimed_by=row["claimed_by"],
        decided_by=row["decided_by"],
        decided_at=row["decided_at"],
        cited=row["cited"],
        note=row["note"],
    )


def _port(row: asyncpg.Record) -> PortRow:
    window = None if row["window_start"] is None else str(Window(row["window_start"], row["window_end"]))
    return PortRow(
        port=row["port"],
        enterprise=row["enterprise"],
        tier=row["tier"],
        threshold=row["threshold"],
        window=window,
        fast_lane=row["fast_lane"],
        suspended=row["suspended_at"] is not None,
        changed_at=row["changed_at"],
        changed_by=row["changed_by"],
    )
