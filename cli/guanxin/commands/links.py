"""``guanxin links``, ``route`` and ``lists``: the way to the carriers."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from guanxin import output, show
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.output import Exit
from guanxin.tables import print_table

_JSON = typer.Option("--json", help=t("输出 JSON", "print JSON"))

links_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    invoke_without_command=True,
    help=t("链路与会话；drain、suspend、resume。例：", "Links and sessions; drain, suspend, resume. Example: ")
    + "guanxin links",
)
route_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
lists_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("退订名单。例：", "The opt-out list. Example: ") + "guanxin lists show",
)


@links_app.callback()
def links(context: typer.Context, *, json_: Annotated[bool, _JSON] = False) -> None:
    """Show every link with its sessions: state, window, rate, last error."""
    if context.invoked_subcommand is not None:
        return
    found = Platform().call("dispatch", "GET", "/v1/links", operator=True)["links"]
    if json_:
        output.emit_json(found)
        return
    headings = (
        t("链路", "link"),
        t("协议", "protocol"),
        t("状态", "state"),
        t("速率", "rate"),
        t("会话", "session"),
        t("归属", "owner"),
        t("份额", "share"),
        t("窗口", "window"),
        t("阶段", "phase"),
        t("最近错误", "last error"),
    )

    print_table(headings, [row for link in found for row in _rows(link)])


def _rows(link: dict[str, Any]) -> list[list[str]]:
    protocol = str(link["protocol"])
    if link.get("listens"):
        # Where the carrier calls us, its receipts and replies come by this port and not by our sessions.
        protocol += t(f"，监听 {link['listens']}", f", listens on {link['listens']}")
    if link.get("workers"):
        number = link["workers"]
        protocol += t(f"，最多 {number} 个进程", f", on {number} worker{'s' if number > 1 else ''} at most")
    head = [link["name"], protocol, link["state"], str(link["rate"])]
    rows: list[list[str]] = []
    for session in link["sessions"]:
        state = str(session["state"])
        rows.append(
            [
                *(head if not rows else [""] * len(head)),
                str(session["slot"]),
                str(session["owner"] or "-"),
                str(session["rate"]),
                f"{session['in_flight']}/{session['window']}",
                f"[green]{state}[/]" if session["bound"] else state,
                str(session["last_error"]),
            ]
        )
    return rows or [[*head, "", "", "", "", "", ""]]


@links_app.command(help=t("排空并断开", "finish what is under way and unbind"))
def drain(link: str) -> None:
    """Stop a link gracefully."""
    _command(link, "drain")


@links_app.command(help=t("暂停发送，保持会话", "stop sending, stay bound"))
def suspend(link: str) -> None:
    """Suspend a link; its messages go elsewhere or wait."""
    _command(link, "suspend")


@links_app.command(help=t("恢复", "send again"))
def resume(link: str) -> None:
    """Resume a link."""
    _command(link, "resume")


def _command(link: str, action: str) -> None:
    answer = Platform().call("dispatch", "POST", f"/v1/links/{link}/{action}", operator=True)
    output.results().print(f"{answer['name']}: {answer['state']}")


@route_app.command(
    help=t("会走哪条链路，为什么。例：", "Where it would go, and why. Example: ")
    + "guanxin route --to 13800138000 --port 95598 --class notice"
)
def route(
    *,
    to: Annotated[str, typer.Option("--to")],
    port: Annotated[str, typer.Option("--port")] = "",
    class_: Annotated[str, typer.Option("--class")] = "notice",
    at: Annotated[str | None, typer.Option("--at", help=t("时刻，ISO 8601", "when, ISO 8601"))] = None,
    json_: Annotated[bool, _JSON] = False,
) -> None:
    """Ask dispatch for the route of a message, without sending one."""
    moment = 0
    if at is not None:
        try:
            moment = int(datetime.fromisoformat(at).timestamp() * 1000)
        except ValueError:
            output.fail(Exit.MISUSE, t(f"时刻有误：{at}", f"not a time: {at}"))
    params = {"to": to, "port": port, "class": class_, "at": moment}
    found = Platform().call("dispatch", "GET", "/v1/route", params=params, operator=True)
    if json_:
        output.emit_json(found)
        return
    way = " → ".join(found["links"]) or t("无可用链路", "no link")
    line = f"{found['to']} ({found['carrier']}) → {found['group']}: {way}"
    console = output.results()
    console.print(line, soft_wrap=True)
    console.print(t(found["rule_zh"], found["rule"]), soft_wrap=True)
    if found["not_before"]:
        console.print(t("静默时段，最早 ", "quiet hours, not before ") + show.moment(found["not_before"]))


@lists_app.command("show", help=t("退订名单", "who opted out"))
def show_list(
    *,
    number: Annotated[str, typer.Option("--number")] = "",
    enterprise: Annotated[str, typer.Option("--enterprise")] = "",
) -> None:
    """Print the newest 1,000 opt-outs as JSON, numbers masked."""
    params = {"number": number, "enterprise": enterprise, "limit": 1000}
    output.emit_json(Platform().call("dispatch", "GET", "/v1/optouts", params=params, operator=True)["optouts"])


@lists_app.command(help=t("登记退订", "record an opt-out"))
def add(
    number: str,
    *,
    enterprise: Annotated[str, typer.Option("--enterprise")],
    tenant: Annotated[str, typer.Option("--tenant")] = "demo",
) -> None:
    """Nothing but verification codes goes to NUMBER from ENTERPRISE any more."""
    body = {"number": number, "enterprise": enterprise, "tenant": tenant}
    output.emit_json(Platform().call("dispatch", "POST", "/v1/optouts", body=body, operator=True))
