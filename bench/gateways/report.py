"""The comparison as people read it: a table on the terminal, and a section of a document in English and Chinese."""

from __future__ import annotations

import platform
import re
import time
from pathlib import Path

import psutil

from gateways import sink
from gateways.gateway import CONNECTIONS
from gateways.trial import Result, Run

OURS = "guanxin"
CARRIER = ("carrier", "sim-smpp")
"""The simulated carrier among a gateway's processes: the same for all, so not counted as theirs."""
TITLE = "## Side by side"
HEAD = (
    f"{'case':<21}{'messages':>9}{'accepted/s':>11}{'submitted/s':>12}{'receipts/s':>11}{'ours:it':>9}"
    f"{'p50 ms':>8}{'p99 ms':>8}{'lost':>6}{'dup':>5}{'untold':>7}{'CPU us':>8}{'MB':>7}"
)
ENGLISH = (
    "`make bench NAME=side-by-side` on {machine}, everything on one machine; median of {runs} runs. The same messages (one segment, UCS-2, "
    "each different; `mtbatch` one ASCII text to all), {connections} keep-alive connections, the same simulated carrier (SMPP 3.4, "
    "{sessions} sessions with a window of {window}, receipts after {receipt:g} s). *Receipts/s* is the whole way: "
    "from the first request until the business system was told of the last receipt, less those {receipt:g} s. "
    "*Ours : it* compares like with like (tasks with `mtbatch`, without receipts with without). "
    "CPU and memory are of all processes but the carrier's, brokers and databases included. "
    "How each is set up stands in `bench/gateways/`. What the others do not do: Guanxin screens each text, lets nothing pass "
    "unapproved, journals and charges every segment, and its 202 is a committed transaction; Kannel's spool is written without "
    "fsync, so it survives a killed process and not a lost machine."
)
CHINESE = (
    "同一台机器（{cores} 核）、同一模拟网关、同样的短信，一条命令比较；每项为 {runs} 次的中位数。"
    "receipts/s 为全程：从第一个请求到业务系统得知最后一条回执。"
    "ours : it 为同类相比（任务对 mtbatch，无回执对无回执）。"
    "关心对每条内容做筛查、放行、留痕与记账，落库后才答复 202，另两者没有这些步骤。"
)
KILLED = (
    "The same with every process of the gateway itself killed (SIGKILL) after a third of the messages and restarted; the caller repeats "
    "what was not answered. *Lost* were accepted and never reached the carrier; *doubled* reached it twice; *untold* are receipts the "
    "business system was never told of. "
    "中途以 SIGKILL 杀掉网关自身全部进程再启动：lost 为已受理而运营商未收到，doubled 为运营商收到两次，untold 为业务系统未得知的回执。"
)


def table(results: list[Result]) -> str:
    """Return the table for a terminal, ratios against our single messages where those were run."""
    lines = [HEAD]
    for result in results:
        for run, mark in ((result.median, ""), (result.killed, " (killed)")):
            if run is not None:
                lines.append(_line(result, run, mark, _ratio(result, results) if not mark else ""))
    return "\n".join(lines)


def _line(result: Result, run: Run, mark: str, ratio: str) -> str:
    return (
        f"{result.case.name + mark:<21}{run.messages:>9,}{run.accepted_rate:>11,.0f}{run.submitted_rate:>12,.0f}{_told(run):>11}"
        f"{ratio:>9}{run.accept_p50_ms:>8.1f}{run.accept_p99_ms:>8.1f}{run.lost:>6}{run.duplicated:>5}{run.untold:>7}"
        f"{_own(run.cpu_us):>8.0f}{_own(run.rss_mb):>7.0f}"
    )


def _told(run: Run) -> str:
    return f"{run.told_rate:,.0f}" if run.told_rate else "-"


def _own(figures: dict[str, float]) -> float:
    return sum(value for name, value in figures.items() if name not in CARRIER)


def _ratio(result: Result, results: list[Result]) -> str:
    """Return ours over theirs, like with like: tasks against mtbatch, without receipts against without."""
    name = result.case.name
    like = (
        "guanxin-no-receipts"
        if name.endswith("no-receipts")
        else "guanxin-tasks"
        if name in {"guanxin-tasks", "kannel-mtbatch"}
        else OURS
    )
    ours = next((other for other in results if other.case.name == like), None)
    return "" if ours is None or not result.median.rate else f"{ours.median.rate / result.median.rate:.2f}"


def section(results: list[Result]) -> str:
    """Return the document's section."""
    memory = psutil.virtual_memory().total / 1e9
    machine = f"{psutil.cpu_count()} cores, {memory:.0f} GB, {platform.machine()}, {time.strftime('%Y-%m-%d')}"
    runs = max(len(result.runs) for result in results)
    lines = [
        TITLE,
        "",
        ENGLISH.format(
            machine=machine,
            runs=runs,
            connections=CONNECTIONS,
            sessions=sink.SESSIONS,
            window=sink.WINDOW,
            receipt=sink.RECEIPT_S,
        ),
        "",
        CHINESE.format(cores=psutil.cpu_count(), runs=runs),
        "",
        "| case | set up as | accepted/s | submitted/s | receipts/s | ours : it | accept p50 / p99 ms | us/message | MB |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        run = result.median
        lines.append(
            f"| {result.case.name} | {result.case.how} | {run.accepted_rate:,.0f} | {run.submitted_rate:,.0f} "
            f"| {_told(run)} | {_ratio(result, results)} | {run.accept_p50_ms:.1f} / {run.accept_p99_ms:.1f} "
            f"| {_own(run.cpu_us):.0f} | {_own(run.rss_mb):,.0f} |"
        )
    lines += _killed(results)
    return "\n".join(lines) + "\n"


def _killed(results: list[Result]) -> list[str]:
    killed = [(result, result.killed) for result in results if result.killed is not None]
    if not killed:
        return []
    lines = [
        "",
        KILLED,
        "",
        "| case | promised to survive | messages | lost | doubled | untold |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {result.case.name} | {result.case.survives} | {run.messages:,} | {run.lost:,} | {run.duplicated:,} | {run.untold:,} |"
        for result, run in killed
    ]
    return lines


def write(document: Path, text: str) -> None:
    """Put the section into the document in place of the one that is there, else at its end."""
    present = document.read_text(encoding="utf-8") if document.exists() else "# Performance\n"
    old = re.compile(rf"^{re.escape(TITLE)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    fresh = present.rstrip() + "\n\n" + text
    made = old.sub(lambda _: text + "\n", present) if old.search(present) else fresh
    document.write_text(made.rstrip() + "\n", encoding="utf-8")
