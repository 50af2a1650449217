"""How tasks, messages and timelines look in a terminal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rich.table import Table

from contracts.states import FINAL_STATES
from guanxin import output
from guanxin.i18n import t

FINAL: frozenset[str] = frozenset(state.label for state in FINAL_STATES)

STATE_WORDS: dict[str, str] = {
    "accepted": "已受理",
    "scheduled": "定时",
    "screened": "已审核内容",
    "held": "待审",
    "claimed": "审核中",
    "released": "放行",
    "queued": "排队",
    "submitted": "已提交",
    "uncertain": "不确定",
    "blocked": "已拦截",
    "rejected": "已拒绝",
    "cancelled": "已撤回",
    "withdrawn": "已撤回",
    "expired": "已过期",
    "unknown": "无回执",
    "failed": "失败",
    "delivered": "已送达",
    "charged": "已计费",
}
_COLOURS = {
    "delivered": "green",
    "failed": "red",
    "blocked": "red",
    "rejected": "red",
    "uncertain": "yellow",
    "held": "yellow",
}


def state(name: str) -> str:
    """Return the state in the operator's language, coloured."""
    word = t(STATE_WORDS.get(name, name), name)
    colour = _COLOURS.get(name)
    return f"[{colour}]{word}[/]" if colour else word


def moment(epoch_ms: int) -> str:
    """Return a time of day of this machine's zone with milliseconds, empty for 0."""
    return datetime.fromtimestamp(epoch_ms / 1000).astimezone().strftime("%m-%d %H:%M:%S.%f")[:-3] if epoch_ms else ""


def counts(states: dict[str, int]) -> str:
    """Return the counters that are not zero."""
    return "  ".join(f"{state(name)} {count:,}" for name, count in states.items() if count)


def task(document: dict[str, Any]) -> None:
    """Print a task."""
    console = output.results()
    console.print(
        f"[bold]{document['id']}[/]  {document['class']}  {document['port']}  {moment(document['created_at'])}"
    )
    console.print(document["content"], markup=False)
    console.print(
        t(f"受理 {document['accepted']:,}，拒绝 {document['rejected']:,}：",
          f"accepted {document['accepted']:,}, rejected {document['rejected']:,}: ")
        + counts(document["counts"])
    )  # fmt: skip


def messages(items: list[dict[str, Any]]) -> None:
    """Print a page of a task's messages."""
    table = Table(box=None, pad_edge=False)
    for heading in (
        t("短信", "message"),
        t("号码", "to"),
        t("运营商", "carrier"),
        t("状态", "state"),
        t("分条", "segments"),
    ):
        table.add_column(heading, no_wrap=True)
    for item in items:
        table.add_row(item["id"], item["to"], item["carrier"], state(item["state"]), str(item["segments"]))
    output.results().print(table)


def message(document: dict[str, Any]) -> None:
    """Print a message's timeline and what is known of its segments."""
    console = output.results()
    console.print(
        f"[bold]{document['id']}[/]  {document['class']}  {document['port']} → {document['to']} ({document['carrier']})  "
        f"{state(document['state'])}",
        soft_wrap=True,
    )
    console.print(document["text"], markup=False)
    table = Table(box=None, pad_edge=False)
    for heading in (
        t("时间", "time"),
        t("状态", "state"),
        t("位置", "place"),
        t("分条", "segment"),
        t("原因", "cause"),
    ):
        table.add_column(heading)
    for step in document["timeline"]:
        cause = " ".join(str(step[name]) for name in ("cause", "code", "carrier_id", "amount", "by") if step.get(name))
        table.add_row(moment(step["at"]), state(step["state"]), step["place"], str(step.get("segment", "")), cause)
    console.print(table)
