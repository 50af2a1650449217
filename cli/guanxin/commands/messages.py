"""``guanxin task``, ``message`` and ``number``: what became of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from guanxin import output, show, traces
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.output import Exit
from guanxin.stack import paths
from guanxin.tables import print_table

_JSON = typer.Option("--json", help=t("输出 JSON", "print JSON"))

task_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("任务：状态、逐条状态、撤回。例：", "Tasks: state, messages, cancel. Example: ") + "guanxin task show ID",
)
message_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("单条短信的轨迹。例：", "The timeline of one message. Example: ") + "guanxin message show ID",
)
number_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("号码的轨迹。例：", "The timeline of a number. Example: ") + "guanxin number show 13800138000",
)


@number_app.callback()
def _group() -> None:
    """Keep `show` a command of its own."""


@task_app.command("show", help=t("任务状态与计数", "state and counters"))
def show_task(task_id: str, *, json_: Annotated[bool, _JSON] = False) -> None:
    """Print the task; exit code 1 when there is none."""
    document = Platform().call("ingest", "GET", f"/v1/tasks/{task_id}")
    if json_:
        output.emit_json(document)
    else:
        show.task(document)


@task_app.command("messages", help=t("逐条状态", "its messages with their states"))
def list_messages(
    task_id: str,
    *,
    state: Annotated[str, typer.Option("--state", help=t("只看该状态", "only those in this state"))] = "",
    number: Annotated[str, typer.Option("--number", help=t("只看该号码", "only those to this number"))] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000_000)] = 100,
    json_: Annotated[bool, typer.Option("--json", help=t("每行一个 JSON", "one JSON a line"))] = False,
) -> None:
    """Print up to LIMIT messages, page by page."""
    platform, after = Platform(), ""
    items: list[dict[str, Any]] = []
    while len(items) < limit:
        params = {"after": after, "state": state, "number": number, "limit": min(limit - len(items), 1000)}
        page = platform.call("ingest", "GET", f"/v1/tasks/{task_id}/messages", params=params)
        items += page["items"]
        after = page["next"]
        if not after:
            break
    if json_:
        for item in items:
            output.emit_json(item, line=True)
    else:
        show.messages(items)


@task_app.command(help=t("撤回：未提交的不再发送", "withdraw: what is not submitted yet is never sent"))
def cancel(task_id: str, *, json_: Annotated[bool, _JSON] = False) -> None:
    """Withdraw a task; exit code 1 when it has ended already."""
    document = Platform().call("ingest", "POST", f"/v1/tasks/{task_id}/cancel")
    if json_:
        output.emit_json(document)
    else:
        output.results().print(t(f"已撤回 {task_id}", f"cancelled {task_id}"))


@message_app.command(
    "show", help=t("每次状态变化、分条、会话、回执、计费", "every transition, segment, receipt, charge")
)
def show_message(message_id: str, *, json_: Annotated[bool, _JSON] = False) -> None:
    """Print one message's timeline; exit code 1 when there is none."""
    document = Platform().call("ingest", "GET", f"/v1/messages/{message_id}")
    if json_:
        output.emit_json(document)
    else:
        show.message(document)


@message_app.command(help=t("调用链：从请求到回执和计费", "its trace, from the request to receipt and charge"))
def trace(message_id: str, *, json_: Annotated[bool, _JSON] = False) -> None:
    """Print the spans of a message's trace, as the local stack's processes wrote them; exit code 1 when there are none.

    With a collector configured the same trace is there, under the id this prints.
    """
    traceparent = str(Platform().call("ingest", "GET", f"/v1/messages/{message_id}")["traceparent"])
    trace_id = traces.trace_of(traceparent)
    chunk_id = message_id.partition("-")[0]
    spans = traces.read(paths.local_dir() / "traces", trace_id, chunk_id) if trace_id else []
    if not spans:
        output.fail(Exit.NO, t("没有采样到该短信的调用链", "the trace of this message was not sampled"), trace_id)
    if json_:
        output.emit_json(spans)
        return
    output.results().print(f"[dim]{trace_id}[/]")
    print_table(
        (t("毫秒", "ms"), t("历时", "took"), t("服务", "service"), t("步骤", "span"), t("内容", "what")),
        [
            [
                f"{span['after_ms']:.1f}",
                f"{span['took_ms']:.1f}",
                span["service"],
                "  " * span["depth"] + span["name"],
                traces.said(span),
            ]
            for span in spans
        ],
    )


@number_app.command("show", help=t("下行、上行、退订", "messages, replies, opt-outs"))
def show_number(number: str, *, json_: Annotated[bool, _JSON] = False) -> None:
    """Print everything between the enterprise and a number, of the last 30 days."""
    document = Platform().call("ingest", "GET", f"/v1/numbers/{number}")
    if json_:
        output.emit_json(document)
        return
    for message in document["messages"]:
        show.message(message)
    console = output.results()
    for reply in document["replies"]:
        console.print(
            f"{show.moment(reply['at'])}  ← {reply['port']}  {reply['text']}  {reply['action']}", markup=False
        )
    for opt_out in document["opt_outs"]:
        console.print(t("退订：", "opted out: ") + " ".join(str(value) for value in opt_out.values()), markup=False)
