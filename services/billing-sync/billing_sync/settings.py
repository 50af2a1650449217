"""What billing-sync is told beyond the settings all services share (environment ``GUANXIN_<NAME>``)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from servicekit.settings import ServiceSettings


class BillingSettings(ServiceSettings):
    """Figures of spec/billing.md are the defaults."""

    service: str = "billing-sync"
    operator_token: SecretStr = SecretStr("")
    """Bearer token of administration over HTTP.  Empty: nobody administers."""
    billing_node: str = Field(default="GX01", pattern=r"^[A-Z0-9]{2,12}$")
    """Province or node in file names."""
    billing_interval_s: int = Field(default=300, ge=1, le=86_400)
    billing_file_records: int = Field(default=10_000, ge=1, le=100_000)
    billing_unknown_after_s: int = Field(default=72 * 3_600, ge=1, le=30 * 86_400)
    """A segment without a receipt is closed as unknown after so long."""
    billing_encoding: Literal["utf-8", "gb18030"] = "utf-8"
    billing_dir: Path | None = None
    """Exchange folder (`outgoing`, `ack`, `acknowledged`); `billing` below the state directory when not told."""
    billing_tick_s: float = Field(default=1.0, ge=0.05, le=60.0)
    """How often files are made, acknowledgements read and terms looked at."""
    billing_tariff_tenants: str = "demo"
    """Comma separated tenants that get the standard tariff at start when they have none."""
    sftp_host: str = "127.0.0.1"
    sftp_port: int = Field(default=2222, ge=0, le=65_535)
    """0 takes any free port."""
    sftp_user: str = Field(default="boss", pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    sftp_password: SecretStr = SecretStr("")
    """Empty: the SFTP server is not started."""

    @property
    def exchange_dir(self) -> Path:
        """The exchange folder."""
        return self.billing_dir or self.state_dir / "billing"
