"""The stage of one failure scenario: a whole stack of its own, a business system that keeps sending, faults, and the reckoning.

Everything is seen from outside: what was posted, what the ledger says, what the carrier counted, what was charged.  Faults happen at
moments drawn from a printed seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import load
from chaos.reckoning import Figures, flow_again
from chaos.upstream import Upstream

from guanxin.stack import client, control, paths, ports, state
from guanxin.stack.services import SERVICES

MESSAGES = int(os.environ.get("GUANXIN_CHAOS_MESSAGES", "4000"))
SEED = int(os.environ.get("GUANXIN_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
SESSIONS, WINDOW = 3, 50
FASTEST = 2_000
"""Messages a second at which the load arrives at most: two cores must carry load, platform and carrier together."""
SPREAD_S = 30.0
"""Least time over which the load is spread, so that faults hit running traffic also in a short run."""
PORTS = range(20_000, 32_000)
PROGRESS_S = 10.0
MANY = 20_000
"""From so many messages on a run is a full one: the load is spread over all of a scenario's faults."""
MOST_HERE = 4
"""Workers of a service in any scenario."""

CONFIG = """
[stack]
demo = false
simulators = ["smpp"]
workers = {{ {workers} }}
simulator_link = {{ rate = {rate}, sessions = {sessions}, window = {window}, accounts = {links}, workers = {kept} }}
[stack.environment]
GUANXIN_BILLING_INTERVAL_S = "5"
{environment}
"""


@dataclass
class Fault:
    """One injected fault and how long the platform took to get over it (seconds; None: not applicable or not seen)."""

    what: str
    at: float
    pid: int = 0
    """The process it hit."""
    began: float = 0.0
    """When it began, where recovery counts from its end."""
    ready_s: float | None = None
    flow_s: float | None = None


@dataclass
class Stage:
    """A running scenario."""

    name: str
    stack: load.Stack
    rate: int
    http: httpx.AsyncClient
    chance: random.Random
    upstream: Upstream
    sessions: int = SESSIONS
    """Agreed sessions over all links."""
    links: int = 1
    faults: list[Fault] = field(default_factory=list)
    samples: list[tuple[float, int]] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def spread_s(self) -> float:
        """Seconds over which at least the load arrives."""
        return self.upstream.spread_s

    # Looking ----------------------------------------------------------------------------------------------------------

    async def status(self) -> dict[str, Any]:
        """Return the supervisor's document."""
        return await asyncio.to_thread(client.status, self.stack.local)

    async def component(self, name: str) -> dict[str, Any] | None:
        """Return one component's entry, None where there is no such component."""
        return next((item for item in (await self.status())["components"] if item["name"] == name), None)

    def address(self, service: str) -> str:
        """Return the address of the first worker of a service."""
        found = next(item for item in self.stack.document["components"] if item.get("service") == service)
        return f"http://127.0.0.1:{found['ports']['http']}"

    async def simulator(self, path: str = "/stats", **change: Any) -> dict[str, Any]:
        """Ask the simulated carrier, or with keywords change its faults."""
        url = self.stack.simulator()
        answer = await (self.http.put(f"{url}/faults", json=change) if change else self.http.get(f"{url}{path}"))
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        """Ask the database with its owner's rights."""
        connection = await asyncpg.connect(self.stack.document["database"]["url"])
        try:
            return list(await connection.fetch(sql, *arguments))
        finally:
            await connection.close()

    async def until(self, ask: Callable[[], Any], what: str, patience_s: float = 60.0) -> Any:
        """Return the first true answer of ``ask``; fails with ``what`` when there is none in time."""
        deadline = time.monotonic() + patience_s
        while not (found := await ask()):
            assert time.monotonic() < deadline, f"{self.name} (seed {SEED}): {what}"
            await asyncio.sleep(0.1)
        return found

    async def sample(self) -> None:
        """Note how many messages the carrier took, four times a second, until cancelled; say now and then how far it is."""
        told = self.begun
        while True:
            with contextlib.suppress(httpx.HTTPError):  # a busy machine: the next look tells the same sum
                self.samples.append((time.monotonic(), (await self.simulator())["accepted"]))
            if self.samples and time.monotonic() - told >= PROGRESS_S:
                told = time.monotonic()
                print(self._progress(), flush=True)  # noqa: T201 - a full run takes minutes
            await asyncio.sleep(0.25)

    def _progress(self) -> str:
        last = f"; last fault: {self.faults[-1].what}" if self.faults else ""
        return (
            f"  {time.monotonic() - self.begun:5.0f} s: {self.upstream.sent:,} posted, {self.samples[-1][1]:,} taken by the"
            f" carrier, {sum(self.upstream.retries.values()):,} requests repeated{last}"
        )

    # Faults -----------------------------------------------------------------------------------------------------------

    async def moment(self, first: float, last: float) -> None:
        """Wait until a random moment between two shares of the time over which the load is spread."""
        at = self.begun + self.spread_s * self.chance.uniform(first, last)
        await asyncio.sleep(max(0.0, at - time.monotonic()))

    def fault(self, what: str) -> Fault:
        """Note a fault that happens now."""
        now = time.monotonic()
        made = Fault(what, now, began=now)
        self.faults.append(made)
        return made

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> Fault:
        """Send a component's process a signal, noting it as a fault; returns at once."""
        found = await self.component(name)
        assert found is not None, name
        assert found["pid"], f"{name} is not running"
        made = self.fault(f"{number.name} {name}")
        made.pid = found["pid"]
        os.kill(found["pid"], number)
        return made

    async def healthy(self, name: str, fault: Fault, patience_s: float = 300.0) -> None:
        """Wait until the successor of a component that was killed is healthy, and note how long it took."""

        async def back() -> bool:
            pid = await self._successor(name, fault)
            found = await self.component(name)
            return pid is not None and found is not None and found["pid"] == pid and found["health"] == "healthy"

        await self.until(back, f"{name} did not come back", patience_s)
        fault.ready_s = time.monotonic() - fault.at

    async def kill_and_return(self, name: str, number: signal.Signals = signal.SIGKILL) -> Fault:
        """Send a component a signal that ends it and wait until it is healthy again."""
        made = await self.kill(name, number)
        await self.healthy(name, made)
        return made

    async def kill_for(self, name: str, seconds: float) -> None:
        """Kill a component and keep it from working for so long: the process that takes its place is stopped until then."""
        made = await self.kill(name)
        made.what += f", away for {seconds:.0f} s"
        pid = await self.until(lambda: self._successor(name, made), f"{name} was not started again", 60)
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(max(0.0, made.at + seconds - time.monotonic()))
        finally:
            os.kill(pid, signal.SIGCONT)
        made.at = time.monotonic()  # recovery counts from when it could work again

        async def well() -> bool:
            return (await self.component(name) or {}).get("health") == "healthy"

        await self.until(well, f"{name} is not healthy", 300)
        made.ready_s = time.monotonic() - made.at

    async def _successor(self, name: str, fault: Fault) -> int | None:
        found = await self.component(name)
        return None if found is None or found["pid"] in {None, fault.pid} else found["pid"]

    async def scale(self, service: str, workers: int) -> None:
        """Change the number of workers, as `guanxin stack scale` does, and return when they are there."""

        def ask() -> dict[str, Any]:
            with control.Client(self.stack.local, 180) as supervisor:
                return supervisor.ask(op="scale", service=service, workers=workers)

        answer = await asyncio.to_thread(ask)
        assert "error" not in answer, answer

    # The end ----------------------------------------------------------------------------------------------------------

    async def settle(self, patience_s: float = 600.0, charged_s: float = 90.0) -> Figures:
        """Wait until everything sent is final, and charged within ``charged_s`` after that, and return the figures."""
        await self.upstream.finished()
        sent = self.upstream.sent
        states = await load.until_final(
            self.http, self.stack.token, self.upstream.all_messages, patience_s, self.upstream.never_sent
        )
        seen = await self.simulator()
        charged = await self._charged(sent, charged_s)
        uncertain = await self.rows("select link, slot, epoch, count(*) n from dispatch.uncertain group by 1, 2, 3")
        for fault in self.faults:
            fault.flow_s = flow_again(self.samples, fault.at, fault.began)
        return Figures(
            scenario=self.name,
            seed=SEED,
            messages=sent,
            # The simulator looks at each account, and so at each link, by itself.
            agreed={"rate": self.rate // self.links, "sessions": self.sessions // self.links, "window": WINDOW},
            states=states,
            unapproved=self.upstream.held + self.upstream.blocked,
            carrier=seen,
            charged=charged,
            uncertain=sum(row["n"] for row in uncertain),
            retries=self.upstream.retries,
            faults=[
                {"what": f.what, "at_s": f.began - self.begun, "ready_s": f.ready_s, "flow_s": f.flow_s}
                for f in self.faults
            ],
            seconds=time.monotonic() - self.begun,
            notes={**self.notes, "load average": " ".join(f"{one:.1f}" for one in os.getloadavg())},
        )

    async def _charged(self, sent: int, patience_s: float) -> dict[str, Any]:
        """Return the reconciliation once nothing is open or unfiled, or when patience ends."""
        deadline = time.monotonic() + patience_s
        document: dict[str, Any] = {}
        while True:
            with contextlib.suppress(httpx.HTTPError):  # it may just be getting over its own fault
                document = await self._reconciliation()
                done = document["ok"] and document["open"] == 0 and document["filed"] == document["closed"]
                if done and document["file_records"] >= sent:
                    return document
            if time.monotonic() > deadline:
                assert document, f"{self.name} (seed {SEED}): billing-sync never answered"
                return document
            await asyncio.sleep(1.0)

    async def _reconciliation(self) -> dict[str, Any]:
        now, day = int(time.time() * 1_000), 86_400_000  # both ways, for a scenario may set the services' clock
        answer = await self.http.get(
            f"{self.address('billing-sync')}/v1/reconciliation",
            headers={"Authorization": f"Bearer {self.stack.token}"},
            params={"since": now - day, "until": now + day},
        )
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document


@contextmanager
def _kept_on_failure(local: Path, name: str) -> Iterator[None]:
    """Keep the logs of a scenario that failed: its stack is taken down and its directory removed."""
    try:
        yield
    except BaseException:
        kept = paths.local_dir() / "chaos" / name
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(local / "log", kept, dirs_exist_ok=True)
        raise


def _settle_ports(local: Path) -> None:
    """Choose the stack's ports before it does, below those the kernel gives to clients, and none of the usual ones.

    What is down for a while must find its port free again: a usual one may be taken by another stack meanwhile, and on one of
    the kernel's own a client that keeps knocking sooner or later connects to itself and holds it.
    """
    names = {"sim-smpp": ["smpp", "http"], "kafka": ["kafka", "controller"], "postgres": ["postgres"]}
    for service in SERVICES:
        extra = ["sftp"] if service == "billing-sync" else []
        names |= {f"{service}-{number}": ["http", *extra] for number in range(1, MOST_HERE + 1)}
    chosen: dict[str, dict[str, int]] = {}
    free = (port for port in random.SystemRandom().sample(PORTS, len(PORTS)) if ports.is_free(port))
    for component, wanted in names.items():
        chosen[component] = {name: next(free) for name in wanted}
    state.save(local / "state.json", state.Remembered(chosen))


@asynccontextmanager
async def stage(
    local: Path,
    name: str,
    *,
    workers: dict[str, int] | None = None,
    environment: dict[str, str] | None = None,
    callback: str = "",
    patience_s: float = 30.0,
    messages: int = MESSAGES,
    faults_s: float = 0.0,
    pace: float = 2.0,
    sessions: int = SESSIONS,
    links: int = 1,
    kept: int = 0,
) -> AsyncIterator[Stage]:
    """Bring a stack up, let the load begin, and yield the stage.

    ``patience_s`` is the caller's first time-out of a request; ``faults_s`` how long the faults take on a machine of its own, over
    which a full run spreads its messages; ``pace`` the agreed rate as a multiple of the load's; sessions and rate
    are divided over so many ``links``, each ``kept`` on so many workers (0: all).
    """
    spread_s = max(SPREAD_S, messages / FASTEST, faults_s if messages >= MANY else 0.0)
    rate = int(pace * messages / spread_s)
    config = CONFIG.format(
        workers=", ".join(f'"{service}" = {number}' for service, number in (workers or {}).items()),
        rate=rate // links,
        sessions=sessions // links,
        window=WINDOW,
        links=links,
        kept=kept,
        environment="\n".join(f'{key} = "{value}"' for key, value in (environment or {}).items()),
    )
    print(f"\n{name}: at least {messages:,} messages, seed {SEED}")  # noqa: T201 - to repeat a run with
    _settle_ports(local)
    with load.stack(local, config) as stack, _kept_on_failure(local, name):
        async with httpx.AsyncClient(base_url=stack.api, timeout=30) as http:
            upstream = Upstream(stack, messages, spread_s, callback=callback, patience_s=patience_s)
            made = Stage(name, stack, rate, http, random.Random(f"{SEED}-{name}"), upstream, sessions, links)
            await made.simulator(undelivered_suffix="")
            made.begun = time.monotonic()
            sampler = asyncio.create_task(made.sample())
            upstream.begin()
            try:
                yield made
            finally:
                sampler.cancel()
                await upstream.stop()
                await asyncio.gather(sampler, return_exceptions=True)
