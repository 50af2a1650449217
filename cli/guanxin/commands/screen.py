"""``guanxin screen``: what the rules say of texts, one JSON document a line, without sending anything."""

from __future__ import annotations

import itertools
from typing import Annotated

import typer

from guanxin import output
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.lines import given_or_lines

BATCH = 200
"""Texts of one request: the answer comes in some milliseconds, and a pipe of any length flows."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    help=t("逐行审核文本，每行输出一个 JSON。例：", "Screen texts, one JSON a line. Example: ")
    + "printf '您的验证码是4821\\n' | guanxin screen"
)
def screen(
    text: Annotated[str | None, typer.Argument(help=t("缺省时逐行读标准输入", "else lines of standard input"))] = None,
    port: Annotated[str, typer.Option("--port", help=t("主叫端口", "the sender, for rules with exceptions"))] = "",
) -> None:
    """Print verdict, score, findings and rule set of each text; exit code 0 whatever the verdict."""
    platform = Platform()
    lines = given_or_lines(text)
    while batch := [line for _, line in itertools.islice(lines, BATCH)]:
        answer = platform.call("spamfilter", "POST", "/v1/screen", body={"texts": batch, "port": port}, operator=True)
        for result in answer["results"]:
            output.emit_json(result, line=True)


rules_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("规则集：列出、试运行、启用、回退。例：", "Rule sets: list, test, activate, rollback. Example: ")
    + "guanxin rules list",
)


@rules_app.command("list", help=t("列出规则集。例：guanxin rules list", "List them. Example: guanxin rules list"))
def list_() -> None:
    """Print the rule sets, newest first."""
    output.emit_json(Platform().call("spamfilter", "GET", "/v1/rulesets", operator=True))


@rules_app.command(help=t("试运行。例：", "Try one on texts. Example: ") + "guanxin rules test 2 < texts.txt")
def test(number: int) -> None:
    """Screen lines of standard input with rule set NUMBER, in force or not."""
    texts = [line for _, line in given_or_lines(None)]
    answer = Platform().call("spamfilter", "POST", f"/v1/rulesets/{number}/test", body={"texts": texts}, operator=True)
    output.emit_json(answer)


@rules_app.command(help=t("启用。例：", "Put one in force. Example: ") + "guanxin rules activate 2")
def activate(number: int) -> None:
    """Put rule set NUMBER in force everywhere, within a second and without a restart."""
    output.emit_json(Platform().call("spamfilter", "POST", f"/v1/rulesets/{number}/activate", operator=True))


@rules_app.command(help=t("回退。例：", "Go back. Example: ") + "guanxin rules rollback")
def rollback() -> None:
    """Put the rule set before this one back."""
    answer = Platform().call("spamfilter", "POST", "/v1/rulesets/rollback", operator=True)
    output.emit_json(answer)
