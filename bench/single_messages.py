"""Single-message requests on keep-alive connections, HTTP request to recorded receipt, each with a text of its own.

python -m bench single-messages [--messages 50000] [--connections 512] [--runs 3]
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import cases
import load
import uvloop
from gateways.gateway import post, single
from httpload import Traffic

from guanxin.stack.seed import POWER


async def _run(stack: load.Stack, messages: int, connections: int, patience_s: float) -> tuple[cases.Stretch, Traffic]:
    first = time.monotonic_ns() % 50_000_000

    def request(place: int) -> bytes:
        return post("/v1/messages", single(first + place, POWER.port), stack.key)

    traffic = Traffic("127.0.0.1", int(urlsplit(stack.api).port or 0), request, messages, connections=connections)
    return await cases.stretch(stack, messages, lambda _: cases.send_singles(traffic), patience_s), traffic


async def _all(stack: load.Stack, options: cases.argparse.Namespace) -> list[tuple[cases.Stretch, Traffic]]:
    await _run(stack, options.warm, options.connections, options.patience)
    return [await _run(stack, options.messages, options.connections, options.patience) for _ in range(options.runs)]


def main() -> None:
    """Run and print."""
    parser = cases.arguments(__doc__, 50_000)
    parser.add_argument("--connections", type=int, default=512)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="guanxin-bench-") as folder, load.stack(Path(folder), cases.FAST) as stack:
        runs = uvloop.run(_all(stack, options))
    middle, traffic = sorted(runs, key=lambda run: run[0].rate)[len(runs) // 2]
    figures = cases.Figures(
        "single-messages",
        f"{options.messages:,} single messages over {options.connections} keep-alive connections, to the last recorded receipt",
        {
            "messages/s, request to receipt": middle.rate,
            "messages/s, least / median / greatest": cases.spread([run.rate for run, _ in runs]),
            "requests accepted/s": traffic.done / (traffic.ended - traffic.begun),
            **cases.latencies("request", traffic.seconds),
            "requests repeated": float(sum(traffic.repeated.values())),
            "duplicates at the carrier": float(middle.carrier["duplicates"]),
        },
        middle.cpu_us,
        middle.memory_mb,
        ok=all(run.ok for run, _ in runs),
        runs=options.runs,
    )
    cases.finish(figures, options.json)


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    main()
