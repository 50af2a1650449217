"""Seconds from a kill (SIGKILL) of each service, of Kafka and of PostgreSQL until messages flow at normal speed again.

    python -m bench recovery [--rate 1000] [--rounds 3] [--only kafka postgres ...]

Single messages arrive evenly, each with an idempotency key and repeated until accepted.  Normal speed is 80 % of that rate at the carrier,
over every second of the following two.  The time is to the end of the last slow second; 0 where the kill was not to be seen there.
Aims: service 10 s, Kafka 20 s, PostgreSQL 10 s.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import cases
import httpx
import load
import uvloop
from gateways.gateway import post, single
from gateways.programs import Failed
from httpload import Traffic

from guanxin.stack import client
from guanxin.stack.seed import POWER

NORMAL = 0.8
BEFORE_S = 5.0
"""Even flow before each kill."""
HOLDS_S = 2.0
MOST_S = 90.0
"""A component that is not back by then is a failure of the case."""

Samples = list[tuple[float, int]]


def speeds(samples: Samples, first: float) -> list[tuple[float, float]]:
    """Return (moment, messages a second over the second from it) for every look from ``first`` on that has a second after it."""
    found = []
    later = 0
    for moment, count in samples:
        while later < len(samples) and samples[later][0] < moment + 1.0:
            later += 1
        if later == len(samples):
            break
        if moment >= first:
            found.append((moment, (samples[later][1] - count) / (samples[later][0] - moment)))
    return found


def normal_after(samples: Samples, at: float, usual: float) -> float | None:
    """Return the seconds from ``at`` to the end of the last slow second, 0 where there was none, None while not known."""
    looks = speeds(samples, at)
    slow = [moment for moment, speed in looks if speed < NORMAL * usual]
    if not looks or looks[-1][0] < (slow[-1] + 1.0 if slow else at) + HOLDS_S:
        return None
    if not slow:
        return 0.0
    # From the first dip on: the first moment after which no second of the next two was slow.
    for moment in slow:
        if not any(moment < bad <= moment + 1.0 + HOLDS_S for bad in slow):
            return moment + 1.0 - at
    return None


async def _watch(carrier: str, samples: Samples) -> None:
    async with httpx.AsyncClient(timeout=30) as http:
        while True:
            samples.append((time.monotonic(), (await http.get(f"{carrier}/stats")).json()["distinct"]))
            await asyncio.sleep(0.1)


async def _kill(stack: load.Stack, name: str, samples: Samples, rate: float) -> dict[str, float]:
    """Kill a component and return the seconds until it is healthy and until the flow is normal."""
    await asyncio.sleep(BEFORE_S)
    components = (await asyncio.to_thread(client.status, stack.local))["components"]
    pid = next(item["pid"] for item in components if item["name"] == name)
    at = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    healthy: float | None = None
    while time.monotonic() < at + MOST_S:
        await asyncio.sleep(0.1)
        if healthy is None:
            status = await asyncio.to_thread(client.status, stack.local)
            found = next(item for item in status["components"] if item["name"] == name)
            if found["pid"] not in {None, pid} and found["health"] == "healthy":
                healthy = time.monotonic() - at
            continue
        normal = normal_after(samples, at, rate)
        if normal is not None:
            print(f"  {name}: healthy after {healthy:.1f} s, normal speed after {normal:.1f} s", flush=True)
            return {"healthy": healthy, "normal": normal}
    raise Failed(f"{name}: not at normal speed within {MOST_S:.0f} s of its kill (healthy after {healthy})")


async def _all(
    stack: load.Stack, options: argparse.Namespace, names: list[str]
) -> tuple[dict[str, list[dict[str, float]]], bool]:
    await cases.warm(stack, options.warm, options.patience)
    carrier = stack.simulator()
    over = asyncio.Event()
    traffic = Traffic(
        "127.0.0.1", int(urlsplit(stack.api).port or 0),
        lambda place: post("/v1/messages", single(place, POWER.port), stack.key, f"recovery-{place}"),
        total=10_000_000, connections=64, rate=options.rate, stop=over.is_set,
    )  # fmt: skip
    async with httpx.AsyncClient(base_url=stack.api, timeout=60) as http:
        await http.post(f"{carrier}/reset")
        before = await load.ledger(http, stack.token)
        samples: Samples = []
        watching = asyncio.create_task(_watch(carrier, samples))
        sending = asyncio.create_task(traffic.run())
        found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
        try:
            for _ in range(options.rounds):
                for name in names:
                    found[name].append(await _kill(stack, name, samples, options.rate))
        finally:
            over.set()
            await sending
            watching.cancel()
        total = before["total"] + traffic.done
        states = await load.until_final(http, stack.token, total, options.patience)
        seen = (await http.get(f"{carrier}/stats")).json()
    final = sum(states.get(name, 0) for name in load.FINAL)
    return found, final >= total and seen["distinct"] >= traffic.done


def _names(stack: load.Stack, only: list[str] | None) -> list[str]:
    known = [item["name"] for item in stack.document["components"] if item["kind"] != "simulator"]
    wanted = [name for name in known if only is None or name in only or name.rsplit("-", 1)[0] in only]
    if not wanted:
        raise Failed(f"--only: none of {', '.join(known)}")
    return wanted


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=1_000.0, help="messages a second")
    parser.add_argument("--rounds", type=int, default=3, help="kills of each component; the median is printed")
    parser.add_argument("--only", nargs="+", metavar="COMPONENT")
    parser.add_argument("--warm", type=int, default=5_000)
    parser.add_argument("--patience", type=float, default=300)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="guanxin-bench-") as folder, load.stack(Path(folder), cases.FAST) as stack:
        found, ok = uvloop.run(_all(stack, options, _names(stack, options.only)))
        memory = cases.memory(stack)
    values: dict[str, float | str] = {}
    for name, kills in found.items():
        values[f"{name}: healthy again, s"] = statistics.median(kill["healthy"] for kill in kills)
        values[f"{name}: normal speed again, s"] = statistics.median(kill["normal"] for kill in kills)
        values[f"{name}: normal, least / median / greatest"] = cases.spread([kill["normal"] for kill in kills])
    figures = cases.Figures(
        "recovery",
        f"{options.rate:,.0f} single messages a second, SIGKILL of one component after another",
        values,
        memory_mb=memory,
        ok=ok,
        runs=options.rounds,
    )
    cases.finish(figures, options.json)


if __name__ == "__main__":
    main()
