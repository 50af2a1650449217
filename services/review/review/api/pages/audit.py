"""The audit log: search, verify, export; for supervisors, administrators and auditors."""

import csv
import io
from typing import Annotated, Any

import msgspec
from fastapi import Depends, FastAPI, Query, Request, Response

from console.accounts import Login, Role
from console.show import moment
from review.api.pages import Console
from review.store import audit as store

READERS = (Role.SUPERVISOR, Role.ADMIN, Role.AUDITOR)
_PAGE = 50
_EXPORT = 50_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add(app: FastAPI, console: Console) -> None:
    """Add the routes."""
    shell = console.shell
    reader, guarded = shell.require(*READERS), shell.guarded(*READERS)

    @app.get("/audit", include_in_schema=False)
    async def page(
        request: Request,
        login: Annotated[Login, Depends(reader)],
        before: Annotated[int, Query(ge=0, le=1 << 62)] = 0,
    ) -> Response:
        filters = _filters(request)
        records = await console.inspector.trail(login.account.tenant, **filters, before=before, limit=_PAGE)
        return shell.page(
            request,
            "review/audit.html",
            login=login,
            records=records,
            filters=filters,
            full=len(records) == _PAGE,
            actions=shell.catalog.under("action"),
        )

    @app.post("/audit/verify", include_in_schema=False)
    async def verify(request: Request, login: Annotated[Login, Depends(guarded)]) -> Response:
        async with console.database.connection() as connection:
            found = await store.check(connection, login.account.tenant)
        return shell.page(request, "review/audit_verified.html", login=login, found=found)

    @app.get("/audit.csv", include_in_schema=False)
    async def export(request: Request, login: Annotated[Login, Depends(reader)]) -> Response:
        records = await console.inspector.trail(login.account.tenant, **_filters(request), limit=_EXPORT)
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["seq", "at", "actor", "role", "action", "subject", "detail", "hash"])
        for record in records:
            cells: list[Any] = [record.seq, moment(record.at), record.actor, record.role, record.action, record.subject]
            cells += [msgspec.json.encode(record.detail).decode(), record.hash.hex()]
            writer.writerow([_plain(cell) for cell in cells])
        headers = {"content-disposition": 'attachment; filename="audit.csv"'}
        return Response("\ufeff" + out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _filters(request: Request) -> dict[str, str]:
    return {name: request.query_params.get(name, "").strip()[:128] for name in ("actor", "action", "subject")}


def _plain(cell: Any) -> Any:
    """Keep a spreadsheet from reading a text as a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
