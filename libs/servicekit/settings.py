"""Settings of a service, read once at start: environment, then the secrets file, then defaults; every value can say
where it is from.

Boundary: no setting is read anywhere else, and no secret is ever shown (`explain` masks them).
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, SecretStr, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

ENV_PREFIX = "GUANXIN_"

MAX_SECRETS_OCTETS = 64 * 1024
"""A secrets file is a handful of passwords; anything larger is a mistake."""


class SettingsError(ValueError):
    """A settings source cannot be read; the text names the source and what to do."""


class SecretsFile(PydanticBaseSettingsSource):
    """The JSON object in the file named by ``GUANXIN_SECRETS_FILE``; keys are field names."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self.path = os.environ.get(f"{ENV_PREFIX}SECRETS_FILE", "")
        self.values = _read_secrets(Path(self.path)) if self.path else {}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value the file has for the field, or None."""
        return self.values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return what the file says about fields of these settings; other services' entries are ignored."""
        return {name: value for name, value in self.values.items() if name in self.settings_cls.model_fields}


class ServiceSettings(BaseSettings):
    """What every service is told; subclass it and add your own fields (environment name: ``GUANXIN_`` + field in
    capitals).
    """

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True, populate_by_name=True)

    service: str
    """Name of the service: ingest, spamfilter, review, dispatch, billing-sync."""
    instance: str = ""
    """Name of this process, unique among the workers of the service; ``<service>-1`` when not told."""
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8080, ge=0, le=65_535)
    """0 takes any free port."""
    database_url: SecretStr = SecretStr("")
    """PostgreSQL address with user and password; secret, because it carries them."""
    kafka_bootstrap_servers: str = "127.0.0.1:9092"
    state_dir: Path = Path(".local/state")
    """A directory of this process's own; nothing in it is needed to lose no message."""
    secrets_file: Path | None = None
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    otlp_endpoint: str = ""
    """OTLP/HTTP traces endpoint (``http://collector:4318/v1/traces``); empty: not exported."""
    trace_file: Path | None = None
    """Spans as JSON lines, for a machine without a collector."""
    traces_per_second: int = Field(default=50, ge=0, le=10_000)
    """New traces begun per second; a request that comes with a sampled trace is always followed."""
    db_pool_max: int = Field(default=8, ge=1, le=100)
    db_statement_timeout_ms: int = Field(default=15_000, ge=100, le=600_000)
    code_step_ms: int = Field(default=10, ge=0, le=10_000)
    """What a verification code may take at one step of its way here; beyond, other classes rest between their batches.  0: they never do.
    Where nothing else is going on a step takes 4 to 8 ms."""
    shutdown_grace_s: float = Field(default=10.0, ge=0.1, le=300.0)
    session_secret: SecretStr = SecretStr("")
    """Key of signed cookies and stored digests; the local stack makes a random one at its first start."""

    @model_validator(mode="before")
    @classmethod
    def _name_instance(cls, values: Any) -> Any:
        if isinstance(values, dict) and not values.get("instance"):
            service = values.get("service") or cls.model_fields["service"].default
            if isinstance(service, str):
                return {**values, "instance": f"{service}-1"}
        return values

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources in order of precedence; there is no ``.env`` file, on purpose: one place less to look."""
        return (init_settings, env_settings, SecretsFile(settings_cls))

    def require(self, *names: str) -> Self:
        """Return self; raises `SettingsError` naming every one of ``names`` that is empty, and where to set it."""
        missing = [name for name in names if not _plain(getattr(self, name))]
        if missing:
            where = ", ".join(f"{ENV_PREFIX}{name.upper()}" for name in missing)
            raise SettingsError(f"not set: {where} / 未设置: {where}")
        return self


@dataclass(frozen=True, slots=True)
class Explained:
    """One setting, its value as it may be shown, and where it is from."""

    name: str
    env: str
    value: str
    origin: str
    """`environment`, the path of the secrets file, or `default`."""


def explain(cls: type[ServiceSettings]) -> list[Explained]:
    """Return every setting of ``cls`` with its value and origin; raises pydantic's ValidationError when one is invalid."""
    settings = cls()  # type: ignore[call-arg]  # the environment gives the service
    secrets = SecretsFile(cls)
    from_file = secrets()
    environment = {name.upper() for name in os.environ}
    rows = []
    for name in cls.model_fields:
        env = f"{ENV_PREFIX}{name}".upper()
        origin = "environment" if env in environment else secrets.path if name in from_file else "default"
        rows.append(Explained(name, env, _shown(getattr(settings, name)), origin))
    return rows


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "****" if value.get_secret_value() else ""
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _read_secrets(path: Path) -> dict[str, Any]:
    try:
        octets = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"secrets file {path}: {error.strerror}") from error
    if len(octets) > MAX_SECRETS_OCTETS:
        raise SettingsError(f"secrets file {path}: {len(octets)} octets, at most {MAX_SECRETS_OCTETS}")
    try:
        values = json.loads(octets)
    except ValueError as error:
        # The error's text quotes the document, so it is not repeated here.
        raise SettingsError(f"secrets file {path}: not JSON") from error
    if not isinstance(values, dict):
        raise SettingsError(f"secrets file {path}: a JSON object was expected")
    return values
