"""The report: tasks, released and refused, review time, by reviewer, port, enterprise and standard; with charts and CSV."""

import asyncio
import csv
import io
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response
from openpyxl import Workbook

from console import charts
from console.accounts import Login
from console.i18n import Translator
from review.api.pages import Console
from review.domain.hours import local
from review.store import queue as store

DAY_MS = 86_400_000
_STATES = ("approved", "rejected", "expired", "withdrawn", "outside_review_hours", "outside_sending_window")
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_COLOURS = {"approved": "approved", "rejected": "rejected", "expired": "expired"}


def add(app: FastAPI, console: Console) -> None:
    """Add the routes."""
    shell = console.shell
    anyone = shell.require()

    @app.get("/report", include_in_schema=False)
    async def page(
        request: Request,
        login: Annotated[Login, Depends(anyone)],
        days: Annotated[int, Query(ge=1, le=366)] = 7,
    ) -> Response:
        figures = await _figures(console, login.account.tenant, days)
        t = shell.translator(request)
        return shell.page(request, "review/report.html", login=login, days=days, **figures, **_charts(t, figures))

    @app.get("/report.csv", include_in_schema=False)
    async def export(
        request: Request,
        login: Annotated[Login, Depends(anyone)],
        days: Annotated[int, Query(ge=1, le=366)] = 7,
    ) -> Response:
        out = io.StringIO()
        csv.writer(out).writerows(
            _table(shell.translator(request), await _figures(console, login.account.tenant, days))
        )
        headers = {"content-disposition": 'attachment; filename="review.csv"'}
        # The mark makes spreadsheets read it as UTF-8.
        return Response("\ufeff" + out.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)

    @app.get("/report.xlsx", include_in_schema=False)
    async def workbook(
        request: Request,
        login: Annotated[Login, Depends(anyone)],
        days: Annotated[int, Query(ge=1, le=366)] = 7,
    ) -> Response:
        table = _table(shell.translator(request), await _figures(console, login.account.tenant, days))
        headers = {"content-disposition": 'attachment; filename="review.xlsx"'}
        return Response(await asyncio.to_thread(_workbook, table), media_type=_XLSX, headers=headers)


def _table(t: Translator, figures: dict[str, Any]) -> list[list[Any]]:
    head = [t("report.day"), t("report.state"), t("report.tasks"), t("report.messages")]
    rows = [[row["day"], t.code("state", row["state"]), row["tasks"], row["messages"]] for row in figures["by_day"]]
    return [head, *rows]


def _workbook(table: list[list[Any]]) -> bytes:
    book = Workbook(write_only=True)
    sheet = book.create_sheet("review")
    for row in table:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


async def _figures(console: Console, tenant: str, days: int) -> dict[str, Any]:
    now = console.clock.wall_ms()
    midnight = local(now).replace(hour=0, minute=0, second=0, microsecond=0)
    since = int((midnight - timedelta(days=days - 1)).timestamp() * 1_000)
    until = now + 1
    async with console.database.connection() as connection:
        reviewers = await store.by_reviewer(connection, tenant, since, until)
        by_day = await store.by_day(connection, tenant, since, until)
        columns = {
            f"by_{name}": await store.by_column(connection, tenant, name, since, until)
            for name in ("port", "enterprise", "cited", "reason")
        }
    totals: dict[str, int] = {}
    for row in by_day:
        totals[row["state"]] = totals.get(row["state"], 0) + row["tasks"]
    calendar = [(midnight - timedelta(days=days - 1 - n)).strftime("%Y-%m-%d") for n in range(days)]
    return {
        "totals": totals,
        "overall": next((row for row in reviewers if row["reviewer"] is None), None),
        "reviewers": [row for row in reviewers if row["reviewer"] is not None],
        "by_day": by_day,
        "calendar": calendar,
        "messages": sum(row["messages"] for row in by_day),
        "tasks": sum(row["tasks"] for row in by_day),
        **columns,
    }


def _charts(t: Translator, figures: dict[str, Any]) -> dict[str, Any]:
    per_day = {(row["day"], row["state"]): row["tasks"] for row in figures["by_day"]}
    days: list[str] = figures["calendar"]
    shown = [state for state in _STATES if figures["totals"].get(state)] or ["approved"]
    series = [
        (t(f"state.{state}"), [per_day.get((day, state), 0) for day in days], _COLOURS.get(state, "other"))
        for state in shown
    ]
    reviewers = figures["reviewers"]
    return {
        "chart_days": charts.stacked_bars([day[5:] for day in days], series),
        "chart_reviewers": charts.bars_across(
            [row["reviewer"] for row in reviewers],
            t("report.mean_minutes"),
            [round(float(row["mean"]) / 60_000, 1) for row in reviewers],
            "accent",
        ),
    }
