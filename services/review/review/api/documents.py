"""Answers of the JSON API as the OpenAPI document describes them."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Standard(BaseModel):
    """A standard of the checklist."""

    code: str
    group: str
    zh: str
    en: str


class Checklist(BaseModel):
    """What a refusal may cite."""

    version: str
    items: list[Standard]


class AuditVerified(BaseModel):
    """Whether the audit chain is whole; if not, where it breaks and how."""

    whole: bool
    records: int
    head: str
    broken_at: int | None
    cause: str | None


class EffectivePolicy(BaseModel):
    """What applies to a port, wherever it comes from."""

    port: str
    registered: bool
    enterprise: str
    tier: str
    threshold: int
    window: str
    fast_lane: bool
    suspended: bool
    policy_version: int


class PortRow(BaseModel):
    """A port's own policy; null: the default applies."""

    port: str
    enterprise: str
    tier: str
    threshold: int | None
    window: str | None
    fast_lane: bool
    suspended: bool
    changed_at: int = Field(description="Unix ms")
    changed_by: str


class Thresholds(BaseModel):
    """The tenant's bulk threshold and the installation's."""

    threshold: int
    default_threshold: int


class PortList(Thresholds):
    """The tenant's ports."""

    ports: list[PortRow]
