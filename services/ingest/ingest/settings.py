"""What this service is told beyond the settings all services share (environment ``GUANXIN_<NAME>``)."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, SecretStr

from servicekit.settings import ServiceSettings

MEGABYTE = 1024 * 1024


class IngestSettings(ServiceSettings):
    """Defaults are those of the specification; sizes in octets, times in the unit of the name."""

    service: str = "ingest"
    operator_token: SecretStr = SecretStr("")
    """Bearer token of administration over HTTP: enterprises, ports, keys, templates.  Empty: nobody administers."""
    group_suffix: str = Field(default="", pattern="^[a-z0-9-]{0,40}$")
    """Put after the names of the consumer groups, where several installations share one broker."""
    gather_ms: float = Field(default=2.0, ge=0.0, le=50.0)
    """How long the first of a micro-batch of single messages waits for others."""
    max_text: int = Field(default=2_000, ge=1, le=2_000)
    max_segments: int = Field(default=10, ge=1, le=30)
    max_pending_singles: int = Field(default=20_000, ge=500, le=1_000_000)
    """Single messages waiting for their commit; above it callers are told to come back."""
    max_body_octets: int = Field(default=32 * MEGABYTE, ge=MEGABYTE)
    """Of a JSON task: 100,000 recipients with variables."""
    max_upload_octets: int = Field(default=256 * MEGABYTE, ge=MEGABYTE)
    max_upload_rows: int = Field(default=1_000_000, ge=1, le=1_000_000)
    inline_octets: int = Field(default=16_384, ge=0, le=MEGABYTE)
    """JSON tasks up to this size are worked on in the event loop (2 ms); larger ones in another process."""
    disk_paths: list[Path] = Field(default_factory=list)
    """File systems to watch beside the state directory: those of PostgreSQL and Kafka where they are on this machine."""
    disk_min_free_octets: int = Field(default=512 * MEGABYTE, ge=0)
    sweep_after_s: float = Field(default=180.0, ge=1.0)
    """A chunk without a further stage for so long is published again."""
    ask_after_s: float = Field(default=900.0, ge=1.0)
    """Dispatch is asked again for the outcomes, review for the decision, of a chunk that has shown no end for so long; longer than
    receipts and charging files usually take."""
    relay_after_s: float = Field(default=5.0, ge=0.5)
    """An unpublished chunk this old is the relay's: its writer is gone, or the broker was."""
    signature_window_s: int = Field(default=300, ge=10, le=3_600)
    idempotency_days: int = Field(default=3, ge=1, le=30)
    keep_days: int = Field(default=160, ge=1, le=3_650)
    """Detail is kept five months (spec/billing.md, "Retention"); then its day partitions are dropped."""
    webhook_private_targets: bool = False
    """Whether callbacks may go to loopback and private addresses: only for a stack on one machine."""
    webhook_timeout_s: float = Field(default=10.0, ge=0.5, le=60.0)
    webhook_dead_after_s: float = Field(default=86_400.0, ge=1.0)
    webhook_back_off_s: float = Field(default=2.0, ge=0.05, le=600.0)
    """First pause after a failed delivery; doubles up to an hour."""
