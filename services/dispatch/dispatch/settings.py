"""What dispatch is told from outside; see `servicekit.settings`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from dispatch.domain.book import DEFAULT_IDS
from dispatch.domain.optout import DEFAULT_WORDS
from servicekit.settings import ServiceSettings


class DispatchSettings(ServiceSettings):
    """Settings of a dispatch worker."""

    service: str = "dispatch"
    links_file: Path | None = None
    """JSON list of links with their credentials; nothing else holds the secrets."""
    quiet_hours: str = "21:00-08:00"
    """Chinese time in which marketing is not sent; empty: never quiet."""
    opt_out_words: str = ",".join(DEFAULT_WORDS)
    opt_out_confirmation: str = Field(default="", max_length=200)
    """Text sent once to who opted out, such as 您已退订，不再接收此类短信。; empty: not confirmed."""
    receipt_memory: int = Field(default=DEFAULT_IDS, ge=1_000, le=10_000_000)
    """Carrier ids kept in memory to match receipts without the database."""
    code_target_ms: int = Field(default=30, ge=0, le=10_000)
    """Bulk rests as much as it takes until a verification code is queued here within so many milliseconds of its accept; 0: never."""
    watchdog: bool = True
    """Whether a child kills this worker when it is frozen beyond its lease; off only where the platform does it."""
    operator_token: SecretStr = SecretStr("")
    """Bearer token of the HTTP API.  Empty: nobody administers."""
    group_suffix: str = Field(default="", pattern="^[a-z0-9-]{0,40}$")
    """Put after the names of the consumer groups, where several installations share one broker."""
    retention_days: int = Field(default=7, ge=4, le=3_650)
    """How long releases, answers and receipts are kept here; more than the bus keeps, for releases are taken in once by id."""
