"""Kannel, Jasmin and Guanxin side by side: same machine, same simulated carrier, same messages, one command, printed as ratios.

    python -m bench side-by-side [--messages 20000] [--runs 3] [--only NAME ...] [--kill] [--json FILE] [--write docs/performance.md]

Each gateway is set up as its manual advises (`bench/gateways/*.py` say how) and offered the same messages over 64 keep-alive
connections; the median of the runs is printed.  Counted at the ends: what the carrier took, and what the business system was told of
receipts.  With --kill another run of each follows, in which every process of the gateway itself is killed (SIGKILL) in the middle of
the load and started again.  Needs Debian's packages kannel, rabbitmq-server and redis-server; nothing is installed but Jasmin, into
an environment of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvloop
from gateways.gateway import Case, Gateway
from gateways.jasmin import Jasmin
from gateways.kannel import Kannel, KannelBulk
from gateways.ours import Ours, OursBulk
from gateways.programs import Failed, Missing
from gateways.report import section, table, write
from gateways.trial import Result, compare

IN_RABBIT = "messages in RabbitMQ"
CASES: dict[str, tuple[Case, type[Gateway], dict[str, bool]]] = {
    case.name: (case, kind, options)
    for case, kind, options in (
        (Case("guanxin", "single messages over HTTP, durable before 202", survives="everything accepted"), Ours, {}),
        (
            Case(
                "guanxin-tasks",
                "tasks of 5,000 with a template, durable before 202",
                share=2,
                survives="everything accepted",
            ),
            OursBulk,
            {},
        ),
        (
            Case(
                "guanxin-no-receipts",
                "single messages, carrier sends no receipts",
                receipts=False,
                survives="everything accepted",
            ),
            Ours,
            {},
        ),
        (Case("kannel-memory", "sendsms, messages and receipts in memory", survives="nothing"), Kannel, {}),
        (
            Case(
                "kannel-spool",
                "sendsms, messages and receipts spooled (one file each)",
                survives="messages in the spool",
            ),
            Kannel,
            {"spooled": True},
        ),
        (
            Case("kannel-mtbatch", "mtbatch without HTTP, one text to all, in memory", share=2, survives="nothing"),
            KannelBulk,
            {},
        ),
        (
            Case("kannel-no-receipts", "sendsms, in memory, no receipts asked for", receipts=False, survives="nothing"),
            Kannel,
            {},
        ),
        (Case("jasmin", "HTTP API, RabbitMQ and Redis", share=0.1, survives=IN_RABBIT), Jasmin, {}),
        (
            Case(
                "jasmin-no-receipts",
                "HTTP API, RabbitMQ, no receipts asked for",
                receipts=False,
                share=0.1,
                survives="messages in RabbitMQ",
            ),
            Jasmin,
            {},
        ),
    )
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000, help="of a case with share 1; slow gateways get fewer")
    parser.add_argument("--runs", type=int, default=3, help="of each case; the median is printed")
    parser.add_argument("--warm", type=int, default=1_000, help="messages before the first run, not counted")
    parser.add_argument("--only", nargs="+", choices=sorted(CASES), default=list(CASES), metavar="NAME")
    parser.add_argument("--kill", action="store_true", help="one more run of each case with a kill in the middle")
    parser.add_argument(
        "--idle", type=float, default=20.0, help="seconds without any progress after which a run is over"
    )
    parser.add_argument("--keep", type=Path, help="keep configurations and logs in this folder")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--write", type=Path, help="put the table into this document's section `Side by side`")
    return parser.parse_args()


@contextmanager
def _folder(keep: Path | None, name: str) -> Iterator[Path]:
    """Give a folder for one gateway's files, gone afterwards unless it is to be kept."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="guanxin-side-") as folder:
            yield Path(folder)
    else:
        made = keep / name
        made.mkdir(parents=True)
        yield made


def main() -> int:
    """Run, print and write; returns 1 when a case could not be run, 2 when something is not installed."""
    options = _arguments()
    results: list[Result] = []
    failed = 0
    for name in options.only:
        case, kind, extra = CASES[name]
        with _folder(options.keep, name) as folder:
            try:
                gateway = kind(case, folder, **extra)
                results.append(uvloop.run(compare(gateway, options)))
            except Missing as missing:
                print(missing, file=sys.stderr)
                return 2
            except (Failed, TimeoutError) as failure:
                failed = 1
                print(f"{name}: {failure}", file=sys.stderr)
        if results:
            print(table(results[-1:]), flush=True)
    print("\n" + table(results))
    if options.json is not None:
        options.json.write_text(json.dumps([result.document() for result in results], indent=2), encoding="utf-8")
    if options.write is not None:
        write(options.write, section(results))
    return failed


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    raise SystemExit(main())
