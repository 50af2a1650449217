"""``guanxin review``, ``port`` and ``audit``: what the console does, for scripts and for people in a hurry."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from guanxin import output, show
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.output import Exit
from guanxin.tables import print_table

_JSON = typer.Option("--json", help=t("输出 JSON", "print JSON"))
_NOTE = typer.Option("--note", help=t("说明，记入审计", "a note for the audit log"))
_IDS = typer.Argument(metavar="TASK...", help=t("任务号", "task ids"))

review_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("待审任务：列出、放行、驳回、快速通道。例：", "Held tasks: list, approve, reject, fastlane. Example: ")
    + "guanxin review list",
)
port_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("端口策略。例：", "Policies of ports. Example: ") + "guanxin port tier 95598 high",
)
audit_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("审计链。例：", "The audit chain. Example: ") + "guanxin audit verify",
)


@audit_app.callback()
def _group() -> None:
    """Keep `verify` a command of its own."""


@review_app.command("list", help=t("列出待审任务", "the waiting ones, most urgent first"))
def list_(
    *,
    state: Annotated[str | None, typer.Option("--state", help="queued|claimed|approved|rejected|expired|…")] = None,
    port: Annotated[str, typer.Option("--port")] = "",
    json_: Annotated[bool, _JSON] = False,
) -> None:
    """Print held tasks; no recipient is shown."""
    params = {"state": state, "port": port or None, "limit": 1000}
    tasks = Platform().call("review", "GET", "/v1/review/tasks", params=params, operator=True)["tasks"]
    if json_:
        output.emit_json(tasks)
        return
    headings = (
        t("任务", "task"), t("状态", "state"), t("端口", "port"), t("条数", "messages"), t("原因", "reason"),
        t("入队", "queued"), t("内容", "content"),
    )  # fmt: skip
    print_table(
        headings,
        [
            [
                x["id"],
                x["state"],
                x["port"],
                f"{x['total']:,}",
                x["reason"],
                show.moment(x["queued_at"]),
                x["content"][:40],
            ]
            for x in tasks
        ],
    )


@review_app.command(help=t("放行。例：", "Release. Example: ") + "guanxin review approve TASK --note ok")
def approve(
    tasks: Annotated[list[str], _IDS], *, note: Annotated[str, _NOTE] = "", json_: Annotated[bool, _JSON] = False
) -> None:
    """Approve tasks; each can be undone for some seconds before it is released."""
    _decide(tasks, "approve", {"note": note}, json_=json_)


@review_app.command(
    help=t("驳回，须引用标准。例：", "Refuse, citing a standard. Example: ") + "guanxin review reject TASK --cite YW-2"
)
def reject(
    tasks: Annotated[list[str], _IDS],
    *,
    cite: Annotated[str, typer.Option("--cite", help=t("审核标准编号", "code of the standard"))],
    note: Annotated[str, _NOTE] = "",
    json_: Annotated[bool, _JSON] = False,
) -> None:
    """Refuse tasks; nothing of them is ever sent."""
    _decide(tasks, "reject", {"cite": cite, "note": note}, json_=json_)


@review_app.command(help=t("快速通道。例：", "The fast lane. Example: ") + "guanxin review fastlane TASK")
def fastlane(
    tasks: Annotated[list[str], _IDS], *, note: Annotated[str, _NOTE] = "", json_: Annotated[bool, _JSON] = False
) -> None:
    """Let tasks jump the queue; this is announced to the supervisor and reported."""
    _decide(tasks, "fastlane", {"note": note}, json_=json_)


def _decide(tasks: list[str], action: str, body: dict[str, Any], *, json_: bool) -> None:
    platform = Platform()
    answers = [
        platform.call("review", "POST", f"/v1/review/tasks/{task}/{action}", body=body, operator=True) for task in tasks
    ]
    if json_:
        output.emit_json(answers)
        return
    for task, answer in zip(tasks, answers, strict=True):
        effect = show.moment(answer["published_at"])
        output.results().print(f"{task}  {action}" + (t(f"，{effect} 生效", f", in effect {effect}") if effect else ""))


@port_app.command("show", help=t("端口策略", "the policy of a port, or of all"))
def show_port(port: Annotated[str | None, typer.Argument()] = None) -> None:
    """Print policies as JSON."""
    path = f"/v1/ports/{port}/policy" if port else "/v1/ports"
    output.emit_json(Platform().call("review", "GET", path, operator=True))


@port_app.command(help=t("设置级别：high、general、trusted", "set the tier: high, general, trusted"))
def tier(port: str, tier_name: Annotated[str, typer.Argument(metavar="TIER")]) -> None:
    """Set the tier of a port, keeping the rest of its policy."""
    platform = Platform()
    current = platform.call("review", "GET", f"/v1/ports/{port}/policy", operator=True)
    kept = {name: current[name] for name in ("threshold", "window", "fast_lane", "enterprise") if name in current}
    body = {**kept, "tier": tier_name}
    output.emit_json(platform.call("review", "PUT", f"/v1/ports/{port}/policy", body=body, operator=True))


@port_app.command(help=t("暂停端口", "suspend a port: new tasks are refused"))
def suspend(port: str, *, reason: Annotated[str, typer.Option("--reason")]) -> None:
    """Suspend a port; what is in flight finishes."""
    body = {"reason": reason}
    output.emit_json(Platform().call("review", "POST", f"/v1/ports/{port}/suspend", body=body, operator=True))


@port_app.command(help=t("恢复端口", "restore a suspended port"))
def restore(port: str, *, reason: Annotated[str, typer.Option("--reason")]) -> None:
    """Reinstate a port; the reason goes into the audit log."""
    body = {"reason": reason}
    output.emit_json(Platform().call("review", "POST", f"/v1/ports/{port}/reinstate", body=body, operator=True))


@audit_app.command(help=t("校验审计链", "walk the audit chain and say whether it is whole"))
def verify() -> None:
    """Exit code 1 when a record was changed or removed."""
    found = Platform().call("review", "GET", "/v1/audit/verify", operator=True)
    output.emit_json(found)
    raise typer.Exit(Exit.DONE if found["whole"] else Exit.NO)
