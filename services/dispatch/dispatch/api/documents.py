"""The answers of dispatch's HTTP API as the OpenAPI document describes them.

A link's and a session's document may grow members that are not named here.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Session(BaseModel):
    """One agreed session of a link."""

    model_config = ConfigDict(extra="allow")

    slot: int
    state: str
    bound: bool
    owner: str
    epoch: int
    rate: int = Field(description="its share, messages a second")
    in_flight: int = Field(description="messages granted and not yet answered")
    window: int
    last_error: str


class Link(BaseModel):
    """One configured carrier account."""

    model_config = ConfigDict(extra="allow")

    name: str
    protocol: str
    state: str = Field(description="active, suspended, draining, or removed from the links file")
    group: str
    carriers: str
    rate: int = Field(description="messages a second over all sessions")
    window: int
    listens: int = Field(description="port on which the carrier's own connections are awaited, 0: none")
    workers: int = Field(description="workers its sessions are spread over at most, 0: all")
    sessions_agreed: int
    sessions_bound: int
    sessions: list[Session]


class Links(BaseModel):
    """Every link."""

    links: list[Link]


class Commanded(BaseModel):
    """The state a link is told to be in."""

    name: str
    state: str


class Route(BaseModel):
    """Where a message would go, and why."""

    to: str = Field(description="masked")
    port: str
    class_: str = Field(alias="class")
    carrier: str
    group: str
    links: list[str]
    rule: str
    rule_zh: str
    not_before: int = Field(description="Unix ms; 0: at once")
    quiet_hours: str


class Unmatched(BaseModel):
    """A receipt that matches no segment yet."""

    id: int
    link: str
    raw_id: str
    state: str
    code: str
    recipient: str = Field(description="masked")
    received_at: int
    tries: int
    next_at: int


class UnmatchedPage(BaseModel):
    """The newest unmatched receipts; ``total`` counts all."""

    total: int
    receipts: list[Unmatched]


class OptOut(BaseModel):
    """A number that said no to an enterprise."""

    tenant: str
    enterprise: str
    number: str = Field(description="masked")
    port: str
    at: int
    word: str
    mo_id: str
    by: str


class OptOuts(BaseModel):
    """The newest opt-outs."""

    optouts: list[OptOut]


class OptOutMade(BaseModel):
    """It is recorded; ``new`` is false when it was already."""

    number: str = Field(description="masked")
    enterprise: str
    new: bool
