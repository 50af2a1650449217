"""What spamfilter is told beyond the settings all services share (environment ``GUANXIN_<NAME>``)."""

from __future__ import annotations

from pydantic import Field, SecretStr

from servicekit.settings import ServiceSettings


class SpamfilterSettings(ServiceSettings):
    """Figures of spec/spam.md are the defaults."""

    service: str = "spamfilter"
    operator_token: SecretStr = SecretStr("")
    """Bearer token of administration over HTTP, role admin.  Empty: nobody administers."""
    spamfilter_tokens: SecretStr = SecretStr("")
    """Further tokens as a JSON list of {name, role, token}; roles are viewer, editor, admin."""
    sender_threshold: int = Field(default=30, ge=20, le=50)
    """Messages of one sender within the window; the next one is blocked."""
    sender_window_s: int = Field(default=300, ge=10, le=3_600)
    code_cap_minute: int = Field(default=1, ge=0, le=1_000)
    """Codes from one port to one number; 0 switches the cap off."""
    code_cap_hour: int = Field(default=5, ge=0, le=1_000)
    code_cap_day: int = Field(default=10, ge=0, le=1_000)
    policy_poll_s: float = Field(default=1.0, ge=0.1, le=60.0)
    """How often the rule set in force is looked up; a change takes effect within this time."""
