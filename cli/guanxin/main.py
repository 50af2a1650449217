"""Entry of the command line: a table of commands, each a module with a typer ``app`` that is imported only when it
is used.

So `guanxin decode` does not pay for what `guanxin stack` needs. To add a command: its file in `guanxin.commands` and
a row here.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass

from guanxin.i18n import t


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: the module that has its ``app`` (a `typer.Typer`), and its line in the overview."""

    module: str
    help: str
    app: str = "app"


COMMANDS: dict[str, Entry] = {
    "send": Entry("guanxin.commands.send", t("提交短信任务", "post a task")),
    "task": Entry(
        "guanxin.commands.messages", t("任务：状态、逐条、撤回", "tasks: state, messages, cancel"), "task_app"
    ),
    "message": Entry("guanxin.commands.messages", t("单条短信轨迹", "the timeline of one message"), "message_app"),
    "number": Entry("guanxin.commands.messages", t("号码轨迹", "the timeline of a number"), "number_app"),
    "ledger": Entry("guanxin.commands.ledger", t("台账与对账", "every message in one state; lost and duplicated")),
    "screen": Entry("guanxin.commands.screen", t("逐行审核文本", "what the rules say of texts")),
    "rules": Entry(
        "guanxin.commands.screen", t("规则集：试运行、启用、回退", "rule sets: test, activate, rollback"), "rules_app"
    ),
    "config": Entry("guanxin.commands.config", t("检查配置", "check settings and links")),
    "segments": Entry("guanxin.commands.segments", t("查看分条与价格", "segments and price of a text")),
    "decode": Entry("guanxin.commands.codec", t("线上字节 → 字段", "wire bytes to fields"), "decode_app"),
    "encode": Entry("guanxin.commands.codec", t("字段 → 线上字节", "fields to wire bytes"), "encode_app"),
    "review": Entry(
        "guanxin.commands.review", t("待审任务：放行、驳回", "held tasks: approve, reject, fastlane"), "review_app"
    ),
    "port": Entry("guanxin.commands.review", t("端口策略", "policies of ports"), "port_app"),
    "audit": Entry("guanxin.commands.review", t("校验审计链", "verify the audit chain"), "audit_app"),
    "links": Entry(
        "guanxin.commands.links", t("链路与会话", "links and sessions; drain, suspend, resume"), "links_app"
    ),
    "route": Entry(
        "guanxin.commands.links", t("会走哪条链路，为什么", "where a message would go, and why"), "route_app"
    ),
    "lists": Entry("guanxin.commands.links", t("退订名单", "the opt-out list"), "lists_app"),
    "files": Entry("guanxin.commands.files", t("话单文件与对账", "charging files and their reconciliation")),
    "topics": Entry("guanxin.commands.bus", t("消息总线的主题", "topics of the bus"), "topics_app"),
    "lag": Entry("guanxin.commands.bus", t("消费积压", "how far consumers are behind"), "lag_app"),
    "dlq": Entry(
        "guanxin.commands.bus", t("死信：列出、查看、重放、丢弃", "dead letters: list, show, replay, drop"), "dlq_app"
    ),
    "bench": Entry("guanxin.commands.bench", t("性能基准", "benchmarks")),
    "stack": Entry(
        "guanxin.commands.stack",
        t("本机整套平台：启动、停止、状态、日志、伸缩", "the local stack: up, down, status, logs, reset, scale"),
    ),
}

EXIT_MISUSE = 2


def overview() -> str:
    """Return the help of the whole command line."""
    width = max(len(name) for name in COMMANDS)
    rows = "\n".join(f"  {name:<{width}}  {entry.help}" for name, entry in COMMANDS.items())
    usage = t("用法：guanxin 命令 [参数]…", "Usage: guanxin COMMAND [ARGUMENT]…")
    about = t("关心：客户关怀短信平台的命令行。", "Guanxin: the command line of the customer-care message platform.")
    hint = t("每个命令都有 --help 和示例，例：", "Every command has --help with an example; for instance:")
    return f"{usage}\n\n{about}\n\n{rows}\n\n{hint} guanxin stack up --detach\n"


def run(arguments: list[str]) -> None:
    """Run one command; ends the process with its exit code."""
    if not arguments or arguments[0] in {"--help", "-h", "help"}:
        sys.stdout.write(overview())
        raise SystemExit(0)
    name, *rest = arguments
    entry = COMMANDS.get(name)
    if entry is None:
        unknown = t(f"没有命令 {name}。", f"There is no command {name}.")
        sys.stderr.write(f"{unknown}\n\n{overview()}")
        raise SystemExit(EXIT_MISUSE)
    app = getattr(importlib.import_module(entry.module), entry.app)
    app(args=rest, prog_name=f"guanxin {name}")


def main() -> None:
    """Run the command line."""
    run(sys.argv[1:])


if __name__ == "__main__":
    main()
