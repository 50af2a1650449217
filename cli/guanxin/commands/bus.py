"""``guanxin topics``, ``guanxin lag`` and ``guanxin dlq``: the event bus as an operator needs it."""

from __future__ import annotations

import asyncio
import getpass
import socket
from collections.abc import Coroutine
from dataclasses import asdict
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from aiokafka.errors import KafkaError

from bus import admin, deadletters
from contracts.topics import SERVICES
from guanxin import output
from guanxin.client import Platform
from guanxin.i18n import t
from guanxin.output import Exit
from guanxin.tables import print_table

T = TypeVar("T")

topics_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
lag_app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
dlq_app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help=t("死信：列出、查看、重放、丢弃。例：", "Dead letters: list, show, replay, drop. Example: ")
    + "guanxin dlq list --service dispatch",
)

_JSON = typer.Option("--json", help=t("输出 JSON", "print JSON"))
_SERVICE = typer.Option("--service", "-s", help=t("服务：", "the service: ") + ", ".join(SERVICES))
_REASON = typer.Option("--reason", help=t("原因，记入日志", "why; it is recorded"))
_NUMBERS = typer.Argument(metavar="NUMBER...", help=t("死信编号", "numbers of the letters"))


@topics_app.command(help=t("列出主题。例：guanxin topics", "List the topics. Example: guanxin topics --json"))
def topics(*, json_: Annotated[bool, _JSON] = False) -> None:
    """Show every topic with its partitions, records, producer and consumers."""
    states = _ask(admin.list_topics(_broker()))
    if json_:
        output.emit_json([asdict(state) for state in states])
        return
    rows = [
        [s.name, f"{s.partitions}/{s.wanted_partitions}", f"{s.records:,}", s.producer, " ".join(s.consumers)]
        for s in states
    ]
    print_table(
        [
            t("主题", "topic"),
            t("分区", "partitions"),
            t("记录", "records"),
            t("生产者", "producer"),
            t("消费者", "consumers"),
        ],
        rows,
    )


@lag_app.command(help=t("各消费组的积压。例：guanxin lag", "How far consumers are behind. Example: guanxin lag"))
def lag(
    *,
    json_: Annotated[bool, _JSON] = False,
    every: Annotated[bool, typer.Option("--all", help=t("含无积压的分区", "also partitions without lag"))] = False,
) -> None:
    """Show the lag of every group by topic; exit code 0 whatever it is."""
    rows = _ask(admin.lag(_broker()))
    if json_:
        output.emit_json([asdict(row) for row in rows])
        return
    shown = [row for row in rows if every or row.lag]
    print_table(
        [t("消费组", "group"), t("主题", "topic"), t("分区", "partition"), t("已提交", "committed"), t("积压", "lag")],
        [[r.group, r.topic, str(r.partition), str(r.committed), f"{r.lag:,}"] for r in shown],
    )
    total = sum(row.lag for row in rows)
    output.results().print(t(f"共积压 {total:,} 条记录", f"{total:,} records behind in all"))


@dlq_app.command("list", help=t("列出死信。例：guanxin dlq list", "List them. Example: guanxin dlq list -s ingest"))
def list_(
    *,
    service: Annotated[str | None, _SERVICE] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 100,
    settled: Annotated[bool, typer.Option("--settled", help=t("含已处理的", "also those dealt with"))] = False,
    json_: Annotated[bool, _JSON] = False,
) -> None:
    """List the open letters of one service or of all; neither key nor content is shown."""
    broker = _broker()
    letters = []
    for name in [_known(service)] if service else SERVICES:
        letters += _ask(deadletters.list_letters(broker, name, limit=limit, include_settled=settled))
    if json_:
        output.emit_json([letter.summary() for letter in letters])
        return
    print_table(
        [t("服务", "service"), "#", t("主题", "topic"), t("原因代码", "code"), t("原因", "reason")],
        [[x.service, str(x.number), x.record.topic, x.code, x.reason[:80]] for x in letters],
    )


@dlq_app.command(help=t("查看一封。例：", "Show one. Example: ") + "guanxin dlq show 0 -s ingest")
def show(
    number: int,
    *,
    service: Annotated[str, _SERVICE],
    content: Annotated[bool, typer.Option("--content", help=t("含原文", "with the octets, in hexadecimal"))] = False,
) -> None:
    """Print one letter as JSON; its content only when asked for, since it may hold a customer's message."""
    letter = _ask(deadletters.show(_broker(), _known(service), number))
    if letter is None:
        output.fail(Exit.NO, t(f"没有死信 {number}。", f"There is no dead letter {number}."))
    document = letter.summary()
    if content:
        document["value_hex"] = (letter.record.value or b"").hex()
    output.emit_json(document)


@dlq_app.command(
    help=t("重放。例：", "Put back. Example: ") + "guanxin dlq replay 0 1 -s ingest --reason 'fixed in 0.2'"
)
def replay(
    numbers: Annotated[list[int], _NUMBERS], *, service: Annotated[str, _SERVICE], reason: Annotated[str, _REASON]
) -> None:
    """Put letters back where they came from; ids stay the same, so a letter replayed twice changes nothing."""
    _settle(deadletters.replay(_broker(), _known(service), numbers, by=getpass.getuser(), reason=reason))


@dlq_app.command(help=t("丢弃。例：", "Give up. Example: ") + "guanxin dlq drop 0 -s ingest --reason 'not ours'")
def drop(
    numbers: Annotated[list[int], _NUMBERS], *, service: Annotated[str, _SERVICE], reason: Annotated[str, _REASON]
) -> None:
    """Mark letters as not wanted; who did it and why is kept."""
    _settle(deadletters.drop(_broker(), _known(service), numbers, by=getpass.getuser(), reason=reason))


def _settle(work: Coroutine[Any, Any, list[deadletters.Letter]]) -> None:
    letters = _ask(work)
    output.results().print(t(f"已处理 {len(letters)} 封", f"{len(letters)} done"))


def _known(service: str) -> str:
    if service in SERVICES:
        return service
    output.fail(Exit.MISUSE, t(f"没有服务 {service}。", f"There is no service {service}."), ", ".join(SERVICES))


def _ask(work: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(work)
    except deadletters.NoSuchLetter as error:
        output.fail(Exit.NO, str(error))
    except KafkaError as error:
        _no_broker(error)


def _broker() -> str:
    """Return the bootstrap servers, one of which answers: services wait for a broker, a person at a prompt does not."""
    servers = Platform().broker()
    failure: OSError | None = None
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=3):
                return servers
        except OSError as error:
            failure = error
        except ValueError:
            output.fail(Exit.MISUSE, t(f"地址有误：{server}", f"not an address: {server}"))
    _no_broker(failure)


def _no_broker(error: Exception | None) -> NoReturn:
    output.fail(
        Exit.UNREACHABLE,
        t(f"无法连接消息总线：{error}", f"The broker cannot be reached: {error}"),
        t("查看：guanxin stack status", "Look at: guanxin stack status"),
    )
