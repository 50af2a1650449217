"""A restart with a backlog of 1,000,000 messages: how long to full speed, and the memory of all our processes meanwhile.

    python -m bench backlog [--messages 1000000]

The carrier is not there while the messages are accepted, so all of them wait in dispatch; then everything is stopped, the carrier comes,
and the whole stack, engines included, is started again.  Time counts from the order to start.  Aim: full speed < 60 s, < 1 GB.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cases
import httpx
import load
import psutil
from gateways import sink
from gateways.programs import Failed

from guanxin.stack import client

CONFIG = """
[stack]
demo = false
simulators = []
[[links]]
name = "sim"
protocol = "smpp34"
host = "127.0.0.1"
port = {port}
system_id = "{account}"
password = "{secret}"
rate = 1000000
sessions = {sessions}
window = {window}
"""
FULL = 0.8
"""Full speed: this share, over a second, of the mean between a fifth and four fifths of the backlog."""


@dataclass
class Watch:
    """Looks at the carrier's count and at the services' memory until told to stop; a thread, since starting blocks."""

    local: Path
    carrier: str
    submits: list[tuple[float, int]] = field(default_factory=list)
    services_mb: list[float] = field(default_factory=list)
    all_mb: list[float] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look every 0.2 s, at memory every second."""
        looks = 0
        while not self.over.wait(0.2):
            self.submits.append((time.monotonic(), int(sink.ask(f"{self.carrier}/stats")["submits"])))
            looks += 1
            if looks % 5 == 0:
                self._memory()

    def _memory(self) -> None:
        services = everything = 0.0
        for item in client.status(self.local)["components"]:
            resident = _resident(item["pid"])
            everything += resident
            services += resident if item["kind"] == "service" else 0.0
        self.services_mb.append(services)
        self.all_mb.append(everything)

    def full_speed(self, messages: int) -> tuple[float, float]:
        """Return the end of the first second at full speed (monotonic seconds) and the speed itself."""
        inner = [look for look in self.submits if messages * 0.2 <= look[1] <= messages * 0.8]
        if len(inner) < 2:
            raise Failed("the backlog was gone between two looks: take more messages")
        speed = (inner[-1][1] - inner[0][1]) / (inner[-1][0] - inner[0][0])
        for place, (moment, count) in enumerate(self.submits):
            later = next((look for look in self.submits[place:] if look[0] >= moment + 1.0), None)
            if later is not None and (later[1] - count) / (later[0] - moment) >= FULL * speed:
                return later[0], speed
        raise Failed("full speed was never reached for a second")


def _resident(pid: int | None) -> float:
    if not pid:
        return 0.0
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)]) / 1e6
    except psutil.NoSuchProcess:
        return 0.0


async def _fill(stack: load.Stack, messages: int, patience_s: float) -> float:
    """Post everything, wait until all of it waits in dispatch, and return the seconds."""
    async with httpx.AsyncClient(base_url=stack.api, timeout=600, limits=httpx.Limits(max_connections=8)) as http:
        begun = time.monotonic()
        await cases.tasks(stack, messages)(http)
        states: dict[str, int] = {}
        while states.get("queued", 0) < messages:
            if time.monotonic() - begun > patience_s:
                raise TimeoutError(f"the backlog did not reach dispatch: {states}")
            await asyncio.sleep(0.5)
            states = await load.ledger(http, stack.token)
        return time.monotonic() - begun


async def _drain(stack: load.Stack, messages: int, patience_s: float) -> dict[str, int]:
    async with httpx.AsyncClient(base_url=stack.api, timeout=600) as http:
        return await load.until_final(http, stack.token, messages, patience_s)


def _run(options: cases.argparse.Namespace, folder: Path) -> cases.Figures:
    carrier = sink.Carrier(folder, receipts=True)
    config = CONFIG.format(
        port=carrier.port, account=sink.ACCOUNT, secret=sink.SECRET, sessions=sink.SESSIONS, window=sink.WINDOW
    )
    local = folder / "stack"
    patience = max(options.patience, options.messages / 1_000)
    watch = Watch(local, carrier.url)
    thread = threading.Thread(target=watch.run)
    try:
        with load.stack(local, config) as stack:
            filling = asyncio.run(_fill(stack, options.messages, patience))
            load.down(local)
            carrier.start()
            thread.start()
            ordered = time.monotonic()
            again = load.up(local)
            up_after = time.monotonic() - ordered
            states = asyncio.run(_drain(again, options.messages, patience))
            drained = time.monotonic() - ordered
            watch.over.set()
            thread.join()
            seen: dict[str, Any] = sink.ask(f"{carrier.url}/stats")
            memory = cases.memory(again)
    finally:
        watch.over.set()
        carrier.program.stop()
    moment, speed = watch.full_speed(options.messages)
    first = next(moment for moment, count in watch.submits if count)
    return cases.Figures(
        "backlog",
        f"{options.messages:,} messages waiting in dispatch, the whole stack stopped and started again",
        {
            "order to start until full speed, s": moment - ordered,
            "order to start until the first submit, s": first - ordered,
            "order to start until all is healthy, s": up_after,
            "full speed, submits/s": speed,
            "order to start until every receipt is recorded, s": drained,
            "greatest memory of our services, MB": max(watch.services_mb),
            "greatest memory, engines included, MB": max(watch.all_mb),
            "accepting and queueing the backlog, messages/s": options.messages / filling,
            "duplicates at the carrier": float(seen["duplicates"]),
        },
        memory_mb=memory,
        ok=seen["distinct"] >= options.messages and sum(states.get(name, 0) for name in load.FINAL) >= options.messages,
    )


def main() -> None:
    """Run and print."""
    options = cases.arguments(__doc__, 1_000_000, runs=1).parse_args()
    runs = []
    for _ in range(options.runs):
        with tempfile.TemporaryDirectory(prefix="guanxin-bench-") as name:
            runs.append(_run(options, Path(name)))
    middle = sorted(runs, key=lambda run: float(run.values["order to start until full speed, s"]))[len(runs) // 2]
    middle.runs = options.runs
    cases.finish(middle, options.json)


if __name__ == "__main__":
    main()
