"""``guanxin send``: post a task, and with ``--wait`` follow it to its final states."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from guanxin import output, show
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.output import Exit

POLL_S = 0.5
MOST_JSON = 100_000
"""Recipients of one JSON task; above it the file itself is uploaded."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    help=t("提交短信任务。例：", "Post a task. Example: ")
    + "guanxin send --port 95598 --to 13800138000 --text '【国网电力】您好' --wait"
)
def send(
    *,
    port: Annotated[str, typer.Option("--port", help=t("主叫端口", "the number shown as sender"))],
    text: Annotated[
        str, typer.Option("--text", help=t("内容，模板变量写作 {名}", "content, or a template with {name}"))
    ],
    to: Annotated[str | None, typer.Option("--to", help=t("号码，逗号分隔", "numbers, separated by commas"))] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help=t("CSV：首列号码，表头为变量名", "CSV with a heading"))
    ] = None,
    class_: Annotated[str, typer.Option("--class", help="verification|notice|internal|marketing")] = "notice",
    at: Annotated[str | None, typer.Option("--at", help=t("定时，ISO 8601", "when, ISO 8601 with zone"))] = None,
    validity: Annotated[int | None, typer.Option("--validity", help=t("有效期（秒）", "seconds"))] = None,
    ref: Annotated[str, typer.Option("--ref", help=t("业务键", "business key"))] = "",
    idempotency_key: Annotated[str | None, typer.Option("--key", help=t("幂等键", "idempotency key"))] = None,
    wait: Annotated[bool, typer.Option("--wait", help=t("跟踪到终态", "follow it to its final states"))] = False,
    timeout: Annotated[float, typer.Option("--timeout", help=t("最多等待秒数", "seconds to wait at most"))] = 3600,
    json_: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Exit code 0 when accepted (with ``--wait``: when every message was delivered), 1 when refused or not all were."""
    if (to is None) == (file is None):
        output.fail(Exit.MISUSE, t("--to 与 --file 二选一", "give either --to or --file"))
    recipients, names = _recipients(to, file)
    body: dict[str, Any] = {"port": port, "class": class_, "recipients": recipients, "ref": ref}
    body["template" if names else "content"] = text
    if at is not None:
        body["at"] = at
    if validity is not None:
        body["validity"] = validity
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    platform = Platform()
    accepted = platform.call("ingest", "POST", "/v1/tasks", body=body, headers=headers)
    if not wait:
        _print_accepted(accepted, json_=json_)
        return
    task = _follow(platform, accepted["id"], timeout)
    if json_:
        output.emit_json(task)
    else:
        show.task(task)
    delivered = task["counts"].get("delivered", 0)
    raise typer.Exit(Exit.DONE if delivered == task["accepted"] else Exit.NO)


def _recipients(to: str | None, file: Path | None) -> tuple[list[Any], list[str]]:
    """Return the recipients, and the names of the template's variables when the file has any."""
    if to is not None:
        return [number.strip() for number in to.split(",") if number.strip()], []
    assert file is not None
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        output.fail(Exit.MISUSE, f"{file}: {error}")
    if not rows:
        output.fail(Exit.MISUSE, t(f"{file} 是空的", f"{file} is empty"))
    # A first cell that is no number is a heading: its other cells name the variables.
    heading = rows[0] if not any(char.isdigit() for char in rows[0][0]) else []
    rows = rows[1:] if heading else rows
    if len(rows) > MOST_JSON:
        output.fail(
            Exit.MISUSE,
            t(f"{len(rows)} 行，最多 {MOST_JSON} 行", f"{len(rows)} rows, at most {MOST_JSON}"),
            t("更大的文件请用 POST /v1/tasks/upload", "for larger files use POST /v1/tasks/upload"),
        )
    names = [name.strip() for name in heading[1:]]
    if not names:
        return [row[0].strip() for row in rows], []
    return [{"to": row[0].strip(), "variables": dict(zip(names, row[1:], strict=False))} for row in rows], names


def _print_accepted(accepted: dict[str, Any], *, json_: bool) -> None:
    if json_:
        output.emit_json(accepted)
        return
    line = t(
        f"已受理 {accepted['id']}：{accepted['accepted']} 条，拒绝 {accepted['rejected']}",
        f"accepted {accepted['id']}: {accepted['accepted']} message(s), {accepted['rejected']} rejected",
    )
    console = output.results()
    console.print(line, soft_wrap=True)
    for row in accepted.get("rejected_sample", []):
        console.print(f"  {row['to']}: {row['reason']}")
    console.print(t("查看：", "look at it: ") + f"guanxin task show {accepted['id']}", soft_wrap=True)


def _follow(platform: Platform, task_id: str, timeout_s: float) -> dict[str, Any]:
    deadline = time.monotonic() + timeout_s
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=output.diagnostics(), transient=True) as progress:
        bar = progress.add_task(t("等待终态", "to final states"), total=None)
        while True:
            task: dict[str, Any] = platform.call("ingest", "GET", f"/v1/tasks/{task_id}")
            done = sum(count for state, count in task["counts"].items() if state in show.FINAL)
            progress.update(bar, completed=done, total=task["accepted"])
            if task["finished"]:
                return task
            if time.monotonic() > deadline:
                output.fail(Exit.NO, t("超时，仍有未完结的短信", "timed out: some messages are not final yet"))
            time.sleep(POLL_S)
