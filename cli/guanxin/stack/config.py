"""The settings of the local stack: what `--config FILE` may say, with the defaults for everything it does not.

A link's table is passed to dispatch as it stands (each dialect has names of its own); only what the stack itself
needs is checked here.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from guanxin.stack.carriers import CARRIERS
from guanxin.stack.errors import StackError
from guanxin.stack.services import MOST_WORKERS, SERVICES

_ALSO_CALLED = {row.protocol: kind for kind, row in CARRIERS.items()}


def _known_simulator(name: str) -> str:
    """Return the simulator's own name; a protocol's name with its version means the same (smpp34)."""
    kind = _ALSO_CALLED.get(name, name)
    if kind not in CARRIERS:
        raise ValueError(f"{name!r} is no simulator; simulators are {', '.join(CARRIERS)}")
    return kind


SimulatorName = Annotated[str, AfterValidator(_known_simulator)]
Workers = Annotated[int, Field(ge=0, le=MOST_WORKERS)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SimulatorLink(_Strict):
    """`[stack.simulator_link]`: what is agreed with each simulated carrier, when no `[[links]]` are given."""

    rate: int = Field(default=100, ge=1, le=1_000_000, description="segments a second over all sessions")
    sessions: int = Field(default=2, ge=1, le=100)
    workers: int = Field(default=0, ge=0, le=100, description="dispatch workers a link is spread over, 0: all")
    accounts: int = Field(default=1, ge=1, le=9, description="accounts at each carrier, each a link of its own")
    window: int = Field(default=32, ge=10, le=10_000)


class StackTable(_Strict):
    """`[stack]`: how many of each service, which simulators, whether with demo data and traffic."""

    workers: dict[str, Workers] = Field(default_factory=dict)
    simulators: tuple[SimulatorName, ...] = tuple(CARRIERS)
    demo: bool = True
    simulator_link: SimulatorLink = SimulatorLink()
    environment: dict[str, str] = Field(default_factory=dict, description="further settings for every service")

    @model_validator(mode="after")
    def _distinct_simulators(self) -> StackTable:
        if len(set(self.simulators)) != len(self.simulators):
            raise ValueError("simulators: one is named twice")
        return self

    @model_validator(mode="after")
    def _known_services(self) -> StackTable:
        for name in self.workers:
            if name not in SERVICES:
                raise ValueError(f"workers: {name!r} is no service; services are {', '.join(SERVICES)}")
        return self


class LinkTable(BaseModel):
    """One `[[links]]`: a carrier's address; everything else is for the dialect."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(min_length=1, max_length=64, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")
    protocol: str = Field(min_length=1, max_length=32)
    host: str = Field(min_length=1, max_length=253)
    port: int = Field(ge=1, le=65535)


class KafkaTable(_Strict):
    """`[kafka]`: a foreign broker in place of the embedded one."""

    bootstrap_servers: str | None = Field(default=None, min_length=1)


class DatabaseTable(_Strict):
    """`[database]`: a foreign PostgreSQL in place of the embedded one."""

    url: str | None = Field(default=None, pattern=r"^postgres(ql)?://")


class StackConfig(_Strict):
    """The whole file."""

    stack: StackTable = StackTable()
    links: tuple[LinkTable, ...] = ()
    kafka: KafkaTable = KafkaTable()
    database: DatabaseTable = DatabaseTable()

    @model_validator(mode="after")
    def _distinct_links(self) -> StackConfig:
        names = [link.name for link in self.links]
        if len(set(names)) != len(names):
            raise ValueError("links: two links have the same name")
        return self

    def workers(self, service: str) -> int:
        """Return how many processes of ``service`` to start."""
        return self.stack.workers.get(service, 1)


def load(path: Path | None) -> StackConfig:
    """Read and check ``path``; raises StackError(code="config_invalid") naming the place that is wrong."""
    if path is None:
        return StackConfig()
    try:
        return StackConfig.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise _invalid(path, str(error)) from error
    except tomllib.TOMLDecodeError as error:
        raise _invalid(path, str(error)) from error
    except ValidationError as error:
        raise _invalid(path, "; ".join(_place(item) for item in error.errors())) from error


def _place(item: Any) -> str:
    where = ".".join(str(part) for part in item["loc"])
    return f"{where}: {item['msg']}" if where else str(item["msg"])


def _invalid(path: Path, why: str) -> StackError:
    return StackError(
        "config_invalid",
        (f"配置文件 {path} 有误：{why}", f"The configuration file {path} is wrong: {why}."),
        ("请改正后重试。", "Correct it and try again."),
    )
