"""Administration of rules and code templates: list, draft, try, put in force, roll back."""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field

from servicekit.apidoc import refusals
from servicekit.clock import Clock
from servicekit.problems import CONFLICT, INVALID_REQUEST, NOT_FOUND, Problem
from servicekit.validation import NO_NUL
from spamfilter.api.access import Access, Caller, Role
from spamfilter.api.screening import MAX_TEXTS, ScreenedOut, Text, screened_out
from spamfilter.domain.codes import PatternError, pattern_of
from spamfilter.domain.matcher import Matcher
from spamfilter.domain.rules import Rule, RuleError, RuleSet
from spamfilter.handlers import rules as editing
from spamfilter.handlers.explain import explain_all
from spamfilter.handlers.policy import PolicyHolder
from spamfilter.store.rulesets import Rulesets

MAX_NUMBER = 2_000_000_000
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]


class DraftRequest(BaseModel):
    """Changes that make a new set out of another."""

    base: int | None = Field(
        default=None, ge=1, le=MAX_NUMBER, description="The set to start from; the one in force if absent"
    )
    rules: list[dict[str, Any]] = Field(
        default=[],
        max_length=5_000,
        description="Rules to add, or to put in place of those with the same id",
        examples=[[{"id": "invoice-900", "category": "invoice", "level": "hold", "all": [["代开发票"], ["@contact"]]}]],
    )
    remove: list[str] = Field(default=[], max_length=5_000, description="Ids of rules to take out")
    note: str = Field(default="", max_length=400, pattern=NO_NUL)
    activate: bool = Field(default=False, description="Put the new set in force at once (role admin)")


class RulesetOut(BaseModel):
    """One rule set."""

    number: int
    version: str
    rules: int
    note: str = ""
    created_by: str = ""
    created_at: datetime | None = None
    active: bool


class RulesOut(BaseModel):
    """The rules of one set."""

    number: int
    version: str
    rules: list[dict[str, Any]]


class TrialRequest(BaseModel):
    """Texts to screen with a set that is not in force."""

    texts: list[Text] = Field(min_length=1, max_length=MAX_TEXTS)
    port: str = Field(default="", pattern=r"^[0-9]{0,21}$")


class TrialOut(BaseModel):
    """How the texts would be judged, and where that differs from now."""

    ruleset: str
    against: str
    changed: list[int]
    results: list[ScreenedOut]


class TemplateRequest(BaseModel):
    """A text of verification codes approved for a port, with {code} exactly once."""

    tenant: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    port: str = Field(pattern=r"^[0-9]{3,21}$")
    pattern: str = Field(
        min_length=6, max_length=300, pattern=NO_NUL, examples=["【关心】您的验证码是{code}，{minutes}分钟内有效。"]
    )


class TemplateOut(TemplateRequest):
    """A standing code template."""

    id: int
    approved_by: str


def router(access: Access, rulesets: Rulesets, policy: PolicyHolder, clock: Clock) -> APIRouter:
    """Return the routes."""
    routes = APIRouter()
    viewer = Annotated[Caller, Depends(access.require(Role.VIEWER))]
    editor = Annotated[Caller, Depends(access.require(Role.EDITOR))]
    admin = Annotated[Caller, Depends(access.require(Role.ADMIN))]

    @routes.get("/v1/rulesets", tags=["rules"], summary="规则集列表 / Rule sets, newest first")
    async def listed(
        _caller: viewer,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> list[RulesetOut]:
        return [RulesetOut.model_validate(row, from_attributes=True) for row in await rulesets.newest(limit)]

    @routes.get(
        "/v1/rules", tags=["rules"], summary="规则 / Rules of the set in force, or of another", responses=refusals(404)
    )
    async def shown(
        _caller: viewer,
        ruleset: Annotated[int | None, Query(ge=1, le=2_000_000_000)] = None,
    ) -> RulesOut:
        found = policy.current.matcher.rules if ruleset is None else await _get(rulesets, ruleset)
        return _rules_out(found)

    @routes.post(
        "/v1/rules",
        status_code=201,
        tags=["rules"],
        summary="新建规则集 / Make a new set from changes",
        responses=refusals(403, 404),
    )
    async def drafted(request: DraftRequest, caller: editor) -> RulesetOut:
        changes = _rules_in(request.rules)
        base = await _get(rulesets, request.base or policy.current.matcher.rules.number)
        if request.activate:
            access.demand(caller, Role.ADMIN)
        try:
            made = await editing.draft(rulesets, base, changes, request.remove, caller.name, request.note)
        except RuleError as error:
            raise _refused(error) from error
        if request.activate:
            await rulesets.activate(made.number, caller.name)
            await policy.refresh()
        return RulesetOut(
            number=made.number,
            version=made.version,
            rules=len(made.rules),
            note=request.note,
            created_by=caller.name,
            active=request.activate,
        )

    @routes.post(
        "/v1/rulesets/{number}/activate", tags=["rules"], summary="启用 / Put a set in force", responses=refusals(403)
    )
    async def activated(number: Number, caller: admin) -> RulesetOut:
        found = await _get(rulesets, number)
        await rulesets.activate(number, caller.name)
        await policy.refresh()
        return RulesetOut(number=number, version=found.version, rules=len(found.rules), active=True)

    @routes.post(
        "/v1/rulesets/rollback",
        tags=["rules"],
        summary="回退 / Put the set before this one back",
        responses=refusals(403, 404, 409),
    )
    async def rolled_back(caller: admin) -> RulesetOut:
        number = await rulesets.rollback(caller.name)
        if number is None:
            raise Problem(CONFLICT, zh="没有更早启用过的规则集", en="No earlier set was ever in force")
        found = await _get(rulesets, number)
        await policy.refresh()
        return RulesetOut(number=number, version=found.version, rules=len(found.rules), active=True)

    @routes.post("/v1/rulesets/{number}/test", tags=["rules"], summary="试运行 / Try a set on texts")
    async def tried(number: Number, request: TrialRequest, _caller: viewer) -> TrialOut:
        there = await asyncio.to_thread(Matcher, await _get(rulesets, number))
        here = policy.current.matcher
        at = clock.wall_ms()
        new = await explain_all(there, request.texts, request.port, at)
        old = await explain_all(here, request.texts, request.port, at)
        return TrialOut(
            ruleset=there.version,
            against=here.version,
            changed=[i for i, (one, other) in enumerate(zip(new, old, strict=True)) if one.verdict != other.verdict],
            results=[screened_out(one, there.version) for one in new],
        )

    @routes.get("/v1/code-templates", tags=["codes"], summary="验证码模板 / Approved code templates")
    async def templates(_caller: viewer) -> list[TemplateOut]:
        return [TemplateOut.model_validate(row, from_attributes=True) for row in await rulesets.templates()]

    @routes.post(
        "/v1/code-templates",
        status_code=201,
        tags=["codes"],
        summary="批准模板 / Approve a code template",
        responses=refusals(403),
    )
    async def approved(request: TemplateRequest, caller: admin) -> TemplateOut:
        try:
            pattern_of(request.pattern)
        except PatternError as error:
            raise Problem(INVALID_REQUEST, zh=f"pattern: {error}", en=f"pattern: {error}") from error
        number = await rulesets.approve_template(request.tenant, request.port, request.pattern, caller.name)
        await policy.refresh()
        return TemplateOut(**request.model_dump(), id=number, approved_by=caller.name)

    @routes.delete(
        "/v1/code-templates/{number}",
        status_code=204,
        tags=["codes"],
        summary="撤销模板 / Withdraw one",
        responses=refusals(403),
    )
    async def withdrawn(number: Number, caller: admin) -> None:
        if not await rulesets.withdraw_template(number, caller.name):
            raise Problem(NOT_FOUND, zh="没有这个模板", en="There is no such template")
        await policy.refresh()

    return routes


async def _get(rulesets: Rulesets, number: int) -> RuleSet:
    found = await rulesets.get(number)
    if found is None:
        raise Problem(NOT_FOUND, zh=f"没有规则集 {number}", en=f"There is no rule set {number}")
    return found


def _rules_in(rules: list[dict[str, Any]]) -> list[Rule]:
    try:
        return msgspec.convert(rules, list[Rule])
    except msgspec.ValidationError as error:
        raise _refused(RuleError("rule_invalid", str(error))) from error


def _rules_out(found: RuleSet) -> RulesOut:
    return RulesOut(number=found.number, version=found.version, rules=msgspec.to_builtins(list(found.rules)))


def _refused(error: RuleError) -> Problem:
    return Problem(INVALID_REQUEST, zh=f"规则不合法: {error}", en=str(error), rule_code=error.code)
