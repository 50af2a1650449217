"""``guanxin ledger``: every accepted message in exactly one state, beside what the simulated carriers counted."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.table import Table

from guanxin import output, show
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.ledger import Ledger, compare
from guanxin.output import Exit

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    help=t("台账：每条已受理短信恰在一个状态。例：", "The ledger: every message in one state. Example: ")
    + "guanxin ledger"
)
def ledger(
    *,
    since: Annotated[str | None, typer.Option("--since", help=t("起始时间，ISO 8601", "from, ISO 8601"))] = None,
    task: Annotated[str | None, typer.Option("--task", help=t("只看一个任务", "one task only"))] = None,
    carrier: Annotated[bool, typer.Option(help=t("与模拟器对账", "compare with the simulators' counts"))] = True,
    json_: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Print the table; exit code 1 when a message is lost or in no state."""
    platform = Platform()
    seen = [platform.outside("GET", f"{url}/stats") for url in platform.simulators()] if carrier and not task else []
    if since is None and seen:
        # The simulators count since they started: both sides must cover the same time.
        since = str(min(each["since"] for each in seen))
    params = {"since": since, "task": task}
    document = platform.call("ingest", "GET", "/v1/ledger", params=params, operator=True)
    result = compare(document, seen)
    if json_:
        output.emit_json(result.document())
    else:
        _print(result)
    raise typer.Exit(Exit.DONE if result.holds else Exit.NO)


def _print(result: Ledger) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column(t("状态", "state"))
    table.add_column(t("条数", "messages"), justify="right")
    table.add_row(t("受理", "accepted"), f"{result.accepted:,}")
    for name, count in result.states.items():
        table.add_row(f"  {show.state(name)}", f"{count:,}")
    if result.carrier is not None:
        table.add_row(t("运营商收到（去重）", "carriers saw, distinct"), f"{result.carrier['distinct']:,}")
        for name, counts in result.gateways.items():
            table.add_row(f"  {name}", f"{counts['distinct']:,}")
        table.add_row(t("丢失", "lost"), _flag(result.lost))
        table.add_row(t("重复", "duplicated"), f"{result.duplicated:,}")
    table.add_row(t("无状态", "in no state"), _flag(result.unaccounted))
    output.results().print(table)


def _flag(count: Any) -> str:
    return f"[red]{count:,}[/]" if count else "0"
