"""Settings of review; the figures of review.md are the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from console.accounts import Role
from review.domain.hours import REVIEW_HOURS, SENDING_WINDOW
from review.domain.policy import DEFAULT_THRESHOLD, Tier, Window
from servicekit.settings import ServiceSettings


class LoginSeed(BaseModel):
    """One account to begin with; it exists once and is not changed afterwards."""

    user: str = Field(pattern=r"^[\w.@-]{1,64}$")
    password: SecretStr
    role: Role
    display: str = Field(default="", max_length=64)
    tenant: str = ""
    api_users: list[str] = []


class ReviewSettings(ServiceSettings):
    """Everything review can be told; environment names are ``GUANXIN_`` and the field in capitals."""

    service: str = "review"
    review_default_tier: Tier = Tier.HIGH
    """Tier of a port without a policy: a newly connected one is high-risk until somebody says otherwise."""
    review_threshold: int = Field(default=DEFAULT_THRESHOLD, ge=0, le=1_000_000)
    """Messages of the same content that pass at once, where neither tenant nor port has its own figure."""
    review_split_window_minutes: int = Field(default=10, ge=1, le=1_440)
    """Span over which sends of the same content add up."""
    review_hours: str = str(REVIEW_HOURS)
    """``08:30-17:30``, local time in Shanghai; ``00:00-24:00`` is the whole day."""
    review_every_day: bool = False
    """True: holidays and weekends too (machines that show the platform)."""
    review_outside_hours: Literal["refuse", "wait"] = "refuse"
    review_sending_window: str = str(SENDING_WINDOW)
    """Sending window of ports without their own."""
    review_claim_minutes: int = Field(default=15, ge=1, le=480)
    """How long a claim holds without a sign of life from the page."""
    review_session_minutes: int = Field(default=60, ge=5, le=1_440)
    """A console session ends this long after its last use, and in any case after twelve hours."""
    review_refusals_to_suspend: int = Field(default=5, ge=1, le=1_000)
    review_checklist: Path | None = None
    """A file of the installation's own checklist; absent: the shipped one."""
    review_keep_days: int = Field(default=30, ge=1, le=3_650)
    """Payloads of decided tasks are deleted after so many days; the decisions stay."""
    review_tenant: str = Field(default="demo", pattern="^[a-z0-9][a-z0-9_-]{0,39}$")
    """Tenant of the accounts of ``logins`` and of the operator."""
    logins: tuple[LoginSeed, ...] = ()
    """Accounts made at start where they do not exist yet; usually in the secrets file."""
    operator_token: SecretStr = SecretStr("")
    """Bearer token of administration over HTTP; empty: no such access."""
    assets_dir: Path = Path(".local/assets")
    """Where set-up put the pages' foreign files."""
    console_secure_cookies: bool = False
    """True behind HTTPS: the session cookie is then never sent over plain HTTP."""

    @field_validator("review_hours", "review_sending_window")
    @classmethod
    def _is_window(cls, text: str) -> str:
        return str(Window.parse(text))
