"""What the cases of the whole path share: a stack, a measured stretch of load with both sides' counts, medians, one way to print.

A case is a module with a ``main`` that ends in `finish`; ``python -m bench all`` runs them one after another.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import load
import psutil
from httpload import Traffic

CONFIG = """
[stack]
demo = false
simulators = ["smpp"]
workers = {{ dispatch = {workers} }}
simulator_link = {{ rate = {rate}, sessions = {sessions}, window = {window} }}
"""
FAST = CONFIG.format(workers=1, rate=1_000_000, sessions=8, window=200)
"""A carrier that is never the limit."""


@dataclass
class Figures:
    """What a case came to.  ``ok`` is false when a message was lost or not final in time."""

    name: str
    how: str
    """How it was taken, in a sentence."""
    values: dict[str, float | str] = field(default_factory=dict)
    """The figures by label; the unit is in the label."""
    cpu_us: dict[str, float] = field(default_factory=dict)
    """CPU microseconds a message by component."""
    memory_mb: dict[str, float] = field(default_factory=dict)
    """Resident memory at the end by component; shared pages count in each process."""
    ok: bool = True
    runs: int = 1


@dataclass
class Stretch:
    """One measured stretch of load, from the first request until everything was final."""

    messages: int
    seconds: float
    cpu_us: dict[str, float]
    memory_mb: dict[str, float]
    states: dict[str, int]
    carrier: dict[str, Any]

    @property
    def rate(self) -> float:
        """Messages a second from the first request to the last recorded receipt."""
        return self.messages / self.seconds

    @property
    def ok(self) -> bool:
        """Whether everything is final and the carrier saw all of it."""
        return self.carrier["distinct"] >= self.messages and self.states["final"] >= self.messages


def arguments(description: str | None, messages: int, runs: int = 3) -> argparse.ArgumentParser:
    """Return a parser with what every case takes."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=messages)
    parser.add_argument("--runs", type=int, default=runs, help="the median is printed")
    parser.add_argument("--warm", type=int, default=5_000, help="messages before the first run, not counted")
    parser.add_argument("--patience", type=float, default=300, help="seconds for a run to become final")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    return parser


async def stretch(
    stack: load.Stack,
    messages: int,
    send: Callable[[httpx.AsyncClient], Awaitable[object]],
    patience_s: float,
    carrier: str = "",
) -> Stretch:
    """Run ``send``, which posts ``messages``, wait until all are final, and return what that cost."""
    carrier = carrier or stack.simulator()
    cpu = load.Cpu(stack)
    async with httpx.AsyncClient(base_url=stack.api, timeout=300, limits=httpx.Limits(max_connections=8)) as http:
        await http.post(f"{carrier}/reset")
        before = await load.ledger(http, stack.token)
        final_before = sum(before.get(name, 0) for name in load.FINAL)
        cpu.start()
        begun = time.monotonic()
        await send(http)
        states = await load.until_final(http, stack.token, before["total"] + messages, patience_s)
        seconds = time.monotonic() - begun
        spent = cpu.spent()
        seen = (await http.get(f"{carrier}/stats")).json()
    states["final"] = sum(states.get(name, 0) for name in load.FINAL) - final_before
    return Stretch(
        messages,
        seconds,
        {name: value / messages * 1e6 for name, value in spent.items()},
        memory(stack),
        states,
        {name: seen[name] for name in ("submits", "distinct", "duplicates", "receipts_answered", "max_submits_in_1s")},
    )


async def warm(stack: load.Stack, messages: int, patience_s: float, carrier: str = "") -> None:
    """Let a just-started stack, its Java above all, get used to work."""
    if messages:
        await stretch(stack, messages, tasks(stack, messages, first=90_000_000), patience_s, carrier)


def tasks(
    stack: load.Stack,
    messages: int,
    *,
    first: int = 0,
    per_task: int = 5_000,
    at_once: int = 4,
    body: Any = load.task_body,
) -> Callable[[httpx.AsyncClient], Awaitable[list[float]]]:
    """Return what posts ``messages`` in tasks and returns the seconds of each request."""
    run = time.monotonic_ns()

    async def send(http: httpx.AsyncClient) -> list[float]:
        gate = asyncio.Semaphore(at_once)

        async def one(start: int) -> float:
            async with gate:
                octets = body(start, min(per_task, first + messages - start))
                return (await load.post(http, "/v1/tasks", octets, stack.key, f"{run}-{start}"))[1]

        return await asyncio.gather(*(one(start) for start in range(first, first + messages, per_task)))

    return send


async def send_singles(traffic: Traffic) -> list[float]:
    """Post single messages and return the seconds of each request."""
    await traffic.run()
    return traffic.seconds


def memory(stack: load.Stack) -> dict[str, float]:
    """Return resident megabytes by component, children included."""
    found: dict[str, float] = {}
    for name, processes in stack.processes().items():
        for process in processes:
            try:
                found[name] = found.get(name, 0.0) + process.memory_info().rss / 1e6
            except psutil.NoSuchProcess:
                continue
    return found


def own(figures: dict[str, float], stack: load.Stack) -> float:
    """Return the sum over the platform's own services: no engine, no simulator."""
    services = {item["name"] for item in stack.document["components"] if item["kind"] == "service"}
    return sum(value for name, value in figures.items() if name in services)


def median(stretches: list[Stretch]) -> Stretch:
    """Return the stretch whose rate is in the middle."""
    return sorted(stretches, key=lambda one: one.rate)[len(stretches) // 2]


def latencies(label: str, seconds: list[float]) -> dict[str, float | str]:
    """Return p50 and p99 in milliseconds."""
    return {
        f"{label} p50, ms": load.percentile(seconds, 0.5) * 1e3,
        f"{label} p99, ms": load.percentile(seconds, 0.99) * 1e3,
    }


def spread(values: list[float]) -> str:
    """Return least, median and greatest, for figures whose runs differ."""
    return f"{min(values):,.1f} / {statistics.median(values):,.1f} / {max(values):,.1f}"


def machine() -> str:
    """Return what it ran on, and when."""
    gigabytes = psutil.virtual_memory().total / 1e9
    return f"{psutil.cpu_count()} cores, {gigabytes:.0f} GB, {platform.machine()}, {time.strftime('%Y-%m-%d %H:%M')}"


def finish(figures: Figures, file: Path | None) -> None:
    """Print the figures, write them where asked, and end the program: 0 fine, 1 not."""
    print(f"\n{figures.name}: {figures.how}\n{machine()}; median of {figures.runs} run(s)\n")
    for label, value in figures.values.items():
        print(f"{label:<52} {value if isinstance(value, str) else f'{value:,.1f}':>24}")
    if figures.memory_mb:
        print(f"\n{'component':<22}{'CPU us/message':>15}{'RSS MB':>9}")
        for name in sorted(figures.memory_mb, key=lambda name: -figures.cpu_us.get(name, 0.0)):
            print(f"{name:<22}{_cell(figures.cpu_us.get(name))}{figures.memory_mb[name]:>9.0f}")
        everything = sum(figures.cpu_us.values()) or None
        print(f"{'all':<22}{_cell(everything)}{sum(figures.memory_mb.values()):>9.0f}")
    print("\nfine" if figures.ok else "\nNOT FINE: messages lost, or not final in time")
    if file is not None:
        document = {"machine": machine(), **figures.__dict__}
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
    raise SystemExit(0 if figures.ok else 1)


def _cell(microseconds: float | None) -> str:
    return f"{'-':>15}" if microseconds is None else f"{microseconds:>15.1f}"
