"""The HTTP API of dispatch: links and sessions, commands on links, routes, unmatched receipts, opt-outs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from fastapi import FastAPI, Path, Query, Security
from pydantic import BaseModel, Field

from contracts.chunk import CARRIERS
from contracts.lanes import Lane
from dispatch.api.documents import Commanded, Links, OptOutMade, OptOuts, Route, UnmatchedPage
from dispatch.domain.quiet import QuietHours
from dispatch.handlers.linkview import links_view
from dispatch.settings import DispatchSettings
from dispatch.store import replies, slots
from servicekit.bearer import operator_only
from servicekit.problems import NOT_FOUND, Problem, define
from servicekit.validation import NO_NUL
from smstext import numbers

if TYPE_CHECKING:
    from dispatch.handlers.leases import Leases
    from servicekit.clock import Clock
    from servicekit.database import Database

NOT_A_NUMBER = define("dispatch.not_a_number", 422, "号码无法识别", "The number cannot be understood")

_COMMANDS = {"drain": "draining", "suspend": "suspended", "resume": "active"}

LATEST_MS = 1 << 47
"""Unix ms, the year 6429: what is later is a mistake."""

LinkName = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$", description="链路名 / name of the link")]


class Parts(Protocol):
    """What the API needs of a worker."""

    database: Database
    leases: Leases
    clock: Clock


class OptOutIn(BaseModel):
    """An opt-out recorded by hand."""

    number: str = Field(min_length=5, max_length=20, examples=["13800138000"])
    enterprise: str = Field(min_length=1, max_length=64, pattern=NO_NUL)
    tenant: str = Field(default="default", min_length=1, max_length=64, pattern=NO_NUL)
    port: str = Field(default="", pattern="^[0-9]{0,21}$")
    by: str = Field(default="operator", max_length=64, pattern=NO_NUL)


def mount(app: FastAPI, worker: Parts, settings: DispatchSettings) -> None:
    """Add the routes."""
    guard = [Security(operator_only(settings.operator_token.get_secret_value()))]
    _links(app, worker, guard)
    _route(app, worker, settings, guard)
    _lists(app, worker, guard)


def _links(app: FastAPI, worker: Parts, guard: list[Any]) -> None:
    @app.get("/v1/links", tags=["links"], summary="链路与会话 / links and their sessions", dependencies=guard)
    async def list_links() -> Links:
        return Links.model_validate({"links": await links_view(worker.database)})

    async def command(name: str, state: str) -> Commanded:
        if not await slots.set_state(worker.database, name, state):
            raise Problem(NOT_FOUND, zh=f"没有名为 {name} 的链路", en=f"There is no link called {name}")
        worker.leases.poke()
        return Commanded(name=name, state=state)

    @app.post("/v1/links/{name}/drain", tags=["links"], summary="排空并断开 / finish and unbind", dependencies=guard)
    async def drain(name: LinkName) -> Commanded:
        return await command(name, _COMMANDS["drain"])

    @app.post(
        "/v1/links/{name}/suspend",
        tags=["links"],
        summary="暂停发送，保持会话 / stop sending, stay bound",
        dependencies=guard,
    )
    async def suspend(name: LinkName) -> Commanded:
        return await command(name, _COMMANDS["suspend"])

    @app.post("/v1/links/{name}/resume", tags=["links"], summary="恢复 / resume", dependencies=guard)
    async def resume(name: LinkName) -> Commanded:
        return await command(name, _COMMANDS["resume"])


def _route(app: FastAPI, worker: Parts, settings: DispatchSettings, guard: list[Any]) -> None:
    quiet = QuietHours.parse(settings.quiet_hours)

    @app.get(
        "/v1/route", tags=["route"], summary="会走哪条链路，为什么 / where it would go, and why", dependencies=guard
    )
    async def route(
        to: Annotated[str, Query(min_length=3, max_length=20)],
        port: Annotated[str, Query(pattern="^[0-9]{0,21}$")] = "",
        lane: Annotated[Lane, Query(alias="class")] = Lane.NOTICE,
        at: Annotated[int, Query(ge=0, le=LATEST_MS, description="Unix ms, 0 = now / 现在")] = 0,
    ) -> Route:
        normalised = numbers.normalise_many([to])
        if normalised.rejected:
            reason = normalised.rejected[0][1]
            zh, en = numbers.REASONS[reason]
            raise Problem(NOT_A_NUMBER, zh=zh, en=en, reason=reason)
        letter = normalised.letters()
        found = worker.leases.routes.route(letter)
        now_ms = at or worker.clock.wall_ms()
        until = quiet.ends_at(now_ms) if lane is Lane.MARKETING else 0
        return Route.model_validate(
            {
                "to": numbers.mask(normalised.numbers[0]),
                "port": port,
                "class": lane.value,
                "carrier": CARRIERS[letter],
                "group": found.group,
                "links": list(found.links),
                "rule": found.reason,
                "rule_zh": found.reason_zh,
                "not_before": until,
                "quiet_hours": settings.quiet_hours if until else "",
            }
        )


def _lists(app: FastAPI, worker: Parts, guard: list[Any]) -> None:
    @app.get(
        "/v1/unmatched", tags=["receipts"], summary="未匹配的状态报告 / receipts that match nothing", dependencies=guard
    )
    async def unmatched(
        link: Annotated[str, Query(max_length=63, pattern=NO_NUL)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> UnmatchedPage:
        rows = await worker.database.fetch(
            "select id, link, raw_id, state, code, recipient, received_at, tries, next_at from receipt_pending"
            " where $1 = '' or link = $1 order by received_at desc limit $2",
            link,
            limit,
        )
        total = await worker.database.fetchval("select count(*) from receipt_pending where $1 = '' or link = $1", link)
        receipts = [{**dict(row), "recipient": _masked(row["recipient"])} for row in rows]
        return UnmatchedPage.model_validate({"total": total, "receipts": receipts})

    @app.get("/v1/optouts", tags=["opt-outs"], summary="退订名单 / opt-outs", dependencies=guard)
    async def opt_outs(
        enterprise: Annotated[str, Query(max_length=64, pattern=NO_NUL)] = "",
        number: Annotated[str, Query(max_length=20)] = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> OptOuts:
        wanted = _canonical(number) if number else 0
        rows = await worker.database.fetch(
            "select tenant, enterprise, number, port, at, word, mo_id, by from opt_out"
            " where ($1 = '' or enterprise = $1) and ($2::int8 = 0 or number = $2) order by at desc limit $3",
            enterprise,
            wanted,
            limit,
        )
        shown = [{**dict(row), "number": numbers.mask(row["number"])} for row in rows]
        return OptOuts.model_validate({"optouts": shown})

    @app.post(
        "/v1/optouts", status_code=201, tags=["opt-outs"], summary="登记退订 / record an opt-out", dependencies=guard
    )
    async def add_opt_out(body: OptOutIn) -> OptOutMade:
        number = _canonical(body.number)
        new = await replies.opt_out(
            worker.database,
            body.tenant,
            body.enterprise,
            number,
            body.port,
            worker.clock.wall_ms(),
            word="",
            mo_id="",
            by=body.by,
        )
        return OptOutMade(number=numbers.mask(number), enterprise=body.enterprise, new=new)


def _canonical(text: str) -> int:
    try:
        return numbers.normalise(text)
    except numbers.NumberError as error:
        raise Problem(NOT_A_NUMBER, zh=error.zh, en=error.en, reason=error.reason) from error


def _masked(text: str) -> str:
    return re.sub(r"(?<=\d{3})\d(?=\d{4})", "*", text)
