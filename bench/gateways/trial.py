"""One gateway's runs: warm, measured several times, when asked once with a kill in the middle; all counted at the ends."""

from __future__ import annotations

import argparse
import asyncio
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import load
import psutil

from gateways.gateway import Case, Gateway, Offered
from gateways.sink import RECEIPT_S, Callbacks, ask

LOOK_S = 0.1
"""Between two looks at the counters: the error of a time is at most this."""

KILLED_IDLE_S = 60.0
"""Patience after a kill: Jasmin tries a message again 30 s after it found its connector not bound."""


@dataclass
class Run:
    """One run.  Rates are messages a second from the first request."""

    messages: int
    accepted_rate: float
    submitted_rate: float
    told_rate: float
    """Until the last receipt was told to the business system, less what the carrier takes for it; 0 without receipts."""
    accept_p50_ms: float
    accept_p99_ms: float
    submits: int
    lost: int
    """Accepted messages the carrier never saw."""
    duplicated: int
    receipts: int
    """Receipts the gateway acknowledged to the carrier."""
    untold: int
    """Messages that reached the carrier and whose receipt the business system was never told of."""
    repeated: dict[str, int]
    cpu_us: dict[str, float] = field(default_factory=dict)
    rss_mb: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Messages a second, the whole way that was asked for."""
        return self.told_rate or self.submitted_rate


@dataclass
class Result:
    """A case with its runs, and the run with a kill when there was one."""

    case: Case
    runs: list[Run]
    killed: Run | None = None

    @property
    def median(self) -> Run:
        """The run in the middle."""
        return sorted(self.runs, key=lambda run: run.rate)[len(self.runs) // 2]

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {**asdict(self), "median": asdict(self.median)}


async def compare(gateway: Gateway, options: argparse.Namespace) -> Result:
    """Start the gateway, run it as often as asked, stop it."""
    callbacks = Callbacks(gateway.folder)
    count = max(500, int(options.messages * gateway.case.share))
    try:
        callbacks.start()
        gateway.start(callbacks.url)
        table = _Table(gateway, callbacks, options.idle)
        await table.run(min(options.warm, count))
        runs = [await table.run(count) for _ in range(options.runs)]
        killed = await table.run(count, kill=True) if options.kill else None
        return Result(gateway.case, runs, killed)
    finally:
        gateway.stop()
        callbacks.program.stop()


class _Table:
    """Runs one after another against the same gateway; no two messages are the same."""

    def __init__(self, gateway: Gateway, callbacks: Callbacks, idle_s: float) -> None:
        self._gateway, self._callbacks, self._idle_s = gateway, callbacks, idle_s
        self._place = 0

    async def run(self, count: int, *, kill: bool = False) -> Run:
        first, self._place = self._place, self._place + count
        before = await asyncio.to_thread(self._look)
        told_before = (await asyncio.to_thread(self._callbacks.stats))["distinct"]
        cpu_before = _cpu(self._gateway.processes())
        offering = asyncio.create_task(self._gateway.offer(first, count))
        killing = asyncio.create_task(self._kill(before["distinct"] + count // 3)) if kill else None
        submitted_at, told_at = await self._follow(offering, before["distinct"] + count, told_before + count, killing)
        offered = await offering
        if killing is not None:
            await killing
        seen = await asyncio.to_thread(self._look)
        told = (await asyncio.to_thread(self._callbacks.stats))["distinct"] - told_before
        distinct = seen["distinct"] - before["distinct"]
        processes = self._gateway.processes()
        return Run(
            messages=count,
            accepted_rate=count / (offered.ended - offered.begun),
            submitted_rate=distinct / (submitted_at - offered.begun),
            told_rate=told / max(LOOK_S, told_at - offered.begun - RECEIPT_S)
            if self._gateway.case.receipts and told
            else 0.0,
            accept_p50_ms=load.percentile(offered.seconds, 0.5) * 1e3,
            accept_p99_ms=load.percentile(offered.seconds, 0.99) * 1e3,
            submits=seen["submits"] - before["submits"],
            lost=count - distinct,
            duplicated=seen["duplicates"] - before["duplicates"],
            receipts=seen["receipts_answered"] - before["receipts_answered"],
            untold=distinct - told if self._gateway.case.receipts else 0,
            repeated=dict(offered.repeated),
            cpu_us=_spent(cpu_before, _cpu(processes), count),
            rss_mb={name: _rss(tree) for name, tree in processes.items()},
        )

    def _look(self) -> dict[str, Any]:
        return ask(f"{self._gateway.carrier}/stats")

    async def _kill(self, when: int) -> None:
        while (await asyncio.to_thread(self._look))["distinct"] < when:  # noqa: ASYNC110 - another process counts
            await asyncio.sleep(LOOK_S)
        await self._gateway.kill()

    async def _follow(
        self, offering: asyncio.Task[Offered], submits: int, receipts: int, killing: asyncio.Task[None] | None
    ) -> tuple[float, float]:
        """Wait until both counts are reached, or nothing moves any more; returns when the last submit and receipt came."""
        submitted = told = -1
        submitted_at = told_at = moved = time.monotonic()
        while True:
            seen = (await asyncio.to_thread(self._look))["distinct"]
            heard = await asyncio.to_thread(self._callbacks.stats)
            now = time.monotonic()
            if seen != submitted:
                submitted, submitted_at, moved = seen, now, now
            if heard["distinct"] != told:
                told, told_at, moved = heard["distinct"], heard["last"] or now, now
            if offering.done() and offering.exception() is not None:
                return submitted_at, told_at
            waits = not offering.done() or (killing is not None and not killing.done())
            if not waits and submitted >= submits and (told >= receipts or not self._gateway.case.receipts):
                return submitted_at, told_at
            if not waits and now - moved > (self._idle_s if killing is None else max(self._idle_s, KILLED_IDLE_S)):
                return submitted_at, told_at
            if now - moved > 120:
                raise TimeoutError(f"{self._gateway.case.name}: nothing moved for 120 s")
            await asyncio.sleep(LOOK_S)


def _cpu(processes: dict[str, list[psutil.Process]]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for name, tree in processes.items():
        for process in tree:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            found.setdefault(name, {})[process.pid] = times.user + times.system
    return found


def _spent(before: dict[str, dict[int, float]], after: dict[str, dict[int, float]], count: int) -> dict[str, float]:
    """Return microseconds a message of each program; processes that are gone are not in it."""
    return {
        name: sum(seconds - before.get(name, {}).get(pid, 0.0) for pid, seconds in tree.items()) / count * 1e6
        for name, tree in after.items()
    }


def _rss(tree: list[psutil.Process]) -> float:
    total = 0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total / 1e6
