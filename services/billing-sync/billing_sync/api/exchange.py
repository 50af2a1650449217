"""Charging files over HTTP: list, show, offer again, verify; and the reconciliation of records with answers."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel

from billing_sync.adapters.folder import Folder
from billing_sync.api.access import Access
from billing_sync.handlers import files as making
from billing_sync.store import files, reconciliation
from servicekit.clock import Clock
from servicekit.database import Database
from servicekit.problems import INVALID_REQUEST, NOT_FOUND, Problem

Number = Annotated[int, Path(ge=1, le=2**62)]
Millis = Annotated[int | None, Query(ge=0, le=2**52)]

DAY_MS = 86_400_000
LONGEST_MS = 32 * DAY_MS


class FileOut(BaseModel):
    """One charging file; amounts are decimal text in yuan."""

    no: int
    name: str
    state: str
    begin: int
    end: int
    records: int
    total: str
    octets: int
    sha256: str
    made_at: datetime
    offered_at: datetime | None
    fetched_at: datetime | None
    acknowledged_at: datetime | None
    refusal: str
    bad_lines: list[tuple[int, str]]
    resent: int


class VerifyOut(BaseModel):
    """Whether the rows still make the file, and whether the one on disk is it."""

    no: int
    name: str
    ok: bool
    rows_agree: bool
    on_disk: bool
    disk_agrees: bool
    sha256: str


class ReconciliationOut(BaseModel):
    """Counts of segments; the last four must be 0."""

    begin: int
    end: int
    ok: bool
    answered: int
    open: int
    closed: int
    filed: int
    doubled_answers: int
    doubled_records: int
    missing: int
    unfounded: int
    by_carrier: list[dict[str, Any]]
    differences: list[dict[str, Any]]
    files: int
    file_gaps: int
    file_records: int
    file_total: str


def router(access: Access, database: Database, folder: Folder, clock: Clock) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(dependencies=[Depends(access)])

    @routes.get("/v1/files", tags=["files"], summary="话单文件列表 / Charging files, newest first")
    async def listed(
        before: Annotated[int, Query(ge=1, le=2**62, description="Only files with a smaller number")] = 2**62,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[FileOut]:
        async with database.connection() as connection:
            return [_out(row) for row in await files.newest(connection, before, limit)]

    @routes.get("/v1/files/{no}", tags=["files"], summary="话单文件 / One file")
    async def shown(no: Number) -> FileOut:
        return _out(await _get(database, no))

    @routes.post("/v1/files/{no}/resend", tags=["files"], summary="重新提供 / Offer a file once more")
    async def resent(no: Number) -> FileOut:
        await making.resend(database, folder, await _get(database, no))
        return _out(await _get(database, no))

    @routes.get("/v1/files/{no}/verify", tags=["files"], summary="核对 / Re-create and compare")
    async def verified(no: Number) -> VerifyOut:
        row = await _get(database, no)
        result = await making.verify(database, folder, row)
        ok = result.rows_agree and result.on_disk and result.disk_agrees
        return VerifyOut(no=no, name=row.name, ok=ok, **asdict(result))

    @routes.get("/v1/reconciliation", tags=["reconciliation"], summary="对账 / Records against answers")
    async def reconciled(since: Millis = None, until: Millis = None) -> ReconciliationOut:
        end = clock.wall_ms() + 1 if until is None else until
        begin = max(0, end - DAY_MS) if since is None else since
        if not begin < end <= begin + LONGEST_MS:
            raise Problem(
                INVALID_REQUEST, zh="since 须早于 until, 且跨度不超过 32 天", en="since before until, at most 32 days"
            )
        async with database.connection() as connection:
            figures = await reconciliation.figures(connection, begin, end)
            differences = await reconciliation.differences(connection, begin, end)
            carriers = await reconciliation.by_carrier(connection, begin, end)
            made, last, records, total = await reconciliation.filed_total(connection)
        return ReconciliationOut(
            begin=begin,
            end=end,
            ok=not differences and made == last,
            **asdict(figures),
            by_carrier=[{"carrier": c, "link": link, "segments": n} for c, link, n in carriers],
            differences=[asdict(difference) for difference in differences],
            files=made,
            file_gaps=last - made,
            file_records=records,
            file_total=format(total, "f"),
        )

    return routes


async def _get(database: Database, no: int) -> files.FileRow:
    async with database.connection() as connection:
        row = await files.get(connection, no)
    if row is None:
        raise Problem(NOT_FOUND, zh=f"没有话单文件 {no}", en=f"There is no charging file {no}")
    return row


def _out(row: files.FileRow) -> FileOut:
    return FileOut(
        no=row.head.no,
        name=row.name,
        state=row.state,
        begin=row.head.begin,
        end=row.head.end,
        records=row.records,
        total=format(row.total, "f"),
        octets=row.octets,
        sha256=row.sha256.hex(),
        made_at=row.made_at,
        offered_at=row.offered_at,
        fetched_at=row.fetched_at,
        acknowledged_at=row.acked_at,
        refusal=row.refusal,
        bad_lines=row.bad_lines,
        resent=row.resent,
    )
