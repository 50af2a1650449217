"""What the routes are given: the use cases and the gate, made once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query, Request
from fastapi.responses import Response

from ingest.adapters.composer import Composer
from ingest.adapters.disk import DiskWatch
from ingest.adapters.seal import Sealer
from ingest.domain.admission import Limits
from ingest.domain.register import Key
from ingest.handlers.accept_single import SingleAccepter
from ingest.handlers.accept_task import TaskAccepter
from ingest.handlers.cancel import Canceller
from ingest.handlers.gate import Credentials, Gate
from ingest.handlers.once import InFlight
from ingest.handlers.register import RegisterCache
from ingest.handlers.show import Shower
from ingest.handlers.targets import Targets
from ingest.settings import IngestSettings
from servicekit.clock import Clock
from servicekit.database import Database

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases of this process."""

    settings: IngestSettings
    clock: Clock
    database: Database
    register: RegisterCache
    sealer: Sealer
    gate: Gate
    disk: DiskWatch
    limits: Limits
    in_flight: InFlight
    targets: Targets
    composer: Composer
    singles: SingleAccepter
    tasks: TaskAccepter
    canceller: Canceller
    shower: Shower


def caller(services: Services, request: Request, scope: str, body_sha256: str = EMPTY_SHA256) -> Key:
    """Return the key of a request, its signature checked where there is one; raises `Problem`."""
    credentials = Credentials(request.scope["headers"])
    key = services.gate.key(credentials, scope)
    services.gate.signed(key, credentials, request.method, target_of(request.scope), body_sha256)
    return key


def target_of(scope: Any) -> str:
    """Return path and query as the caller wrote them, which is what a signature covers."""
    path: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    query: bytes = scope.get("query_string", b"")
    return (path + b"?" + query if query else path).decode("latin-1")


def json(document: object, status: int = 200) -> Response:
    """Return a JSON response."""
    return Response(msgspec.json.encode(document), status_code=status, media_type="application/json")


TaskId = Annotated[
    str,
    Path(pattern=r"^[0-9a-f]{32}$", description="Task id / 任务编号", examples=["0193f1a2b3c47d5e8f90a1b2c3d4e400"]),
]
MessageId = Annotated[
    str,
    Path(
        pattern=r"^[0-9a-f]{32}-(0|[1-9][0-9]{0,5})$",
        description="Message id: `<chunk>-<index>` / 消息编号",
        examples=["0193f1a2b3c47d5e8f90a1b2c3d4e800-0"],
    ),
]
Limit = Annotated[int, Query(ge=1, le=1_000, description="Most items of the page / 每页条数")]
Moment = Annotated[int | None, Query(ge=0, le=1 << 47, description="Unix ms")]
