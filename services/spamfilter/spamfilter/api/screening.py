"""`POST /v1/screen`: what the rules say of given texts, without sending anything and without keeping a word."""

from typing import Annotated, Self

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field, model_validator

from servicekit.clock import Clock
from spamfilter.api.access import Access, Caller, Role
from spamfilter.domain.matcher import Matcher, Screening
from spamfilter.domain.soundness import MAX_TEXT
from spamfilter.handlers.explain import explain_all
from spamfilter.handlers.policy import PolicyHolder

MAX_TEXTS = 1_000
Text = Annotated[str, Field(max_length=MAX_TEXT)]


class ScreenRequest(BaseModel):
    """One text, or up to 1,000."""

    text: Text | None = None
    texts: list[Text] | None = Field(default=None, max_length=MAX_TEXTS)
    port: str = Field(default="", pattern=r"^[0-9]{0,21}$", description="Sender, for rules with exceptions")
    at: int | None = Field(
        default=None, ge=0, description="Unix ms at which the rules shall be in force; now if absent"
    )

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.text is None) == (self.texts is None):
            raise ValueError("give either text or texts / text 与 texts 二选一")
        return self


class FoundOut(BaseModel):
    """A rule that fired."""

    rule: str
    category: str
    level: str
    span: tuple[int, int] | None
    matched: str
    figure: float | None = None


class ScreenedOut(BaseModel):
    """What the rules say of one text; span is [start, end) in code points of it."""

    verdict: str
    reason: str
    score: float
    findings: list[FoundOut]
    ruleset: str


class ScreenResponse(BaseModel):
    """Results in the order of the texts."""

    ruleset: str
    results: list[ScreenedOut]


def screened_out(screening: Screening, version: str) -> ScreenedOut:
    """Return the answer's form of a screening."""
    return ScreenedOut(
        verdict=screening.verdict.value,
        reason=screening.reason,
        score=screening.score,
        findings=[
            FoundOut(rule=f.rule, category=f.category, level=f.level, span=f.span, matched=f.matched, figure=f.figure)
            for f in screening.findings
        ],
        ruleset=version,
    )


def router(access: Access, policy: PolicyHolder, clock: Clock) -> APIRouter:
    """Return the route."""
    routes = APIRouter(tags=["screening"])

    @routes.post("/v1/screen", summary="审核文本 / Screen texts")
    async def screen(
        request: ScreenRequest, _caller: Annotated[Caller, Depends(access.require(Role.VIEWER))]
    ) -> ScreenResponse:
        matcher: Matcher = policy.current.matcher
        at = clock.wall_ms() if request.at is None else request.at
        texts = request.texts if request.texts is not None else [request.text or ""]
        found = await explain_all(matcher, texts, request.port, at)
        return ScreenResponse(
            ruleset=matcher.version, results=[screened_out(screening, matcher.version) for screening in found]
        )

    return routes
