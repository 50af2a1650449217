"""One supervised process: started, asked how it is, started again with back-off when it dies, and stopped in order.

The process is the component itself (no shell, no wrapper), so its pid is what `status` shows and what a `kill -9`
hits. It writes
straight to its log file, which is opened for appending so that `logs.rotate` may cut it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Literal

import psutil

from guanxin.stack import logs, ports, process
from guanxin.stack.errors import StackError
from guanxin.stack.probe import Health, Probe

Kind = Literal["broker", "database", "simulator", "service"]
BEIJING = timezone(timedelta(hours=8))

BACKOFF_FIRST_S = 0.2
BACKOFF_MOST_S = (
    5.0  # a component that dies over and over costs a core for as long as it takes to start; not more often
)
STEADY_S = 20.0  # after so long in good health the next death is a new story: back-off begins anew
POLL_STARTING_S = 0.1
POLL_S = 2.0
EXITS_BEFORE_GIVING_UP = 3  # at the first start only: a component that never was healthy is a mistake, not an accident


@dataclass(frozen=True, slots=True)
class Launch:
    """What to run: made anew for every start, since an engine must be prepared before each."""

    command: list[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """The component's row of the table."""

    name: str
    kind: Kind
    service: str
    ports: dict[str, int]
    probe: Probe
    launch: Callable[[], Launch]  # called in a thread: it may prepare a data directory
    stop_signal: signal.Signals = signal.SIGTERM
    stop_patience_s: float = 15.0
    death_signal: signal.Signals = signal.SIGKILL
    start_timeout_s: float = 120.0


@dataclass(slots=True)
class Component:
    """A running (or restarting) plan. Must be used from one event loop in the main thread."""

    plan: Plan
    mark: Path
    log: Path
    changed: Callable[[Component], None]
    broken: Callable[[BaseException], None]  # told of a fault of the supervisor itself, which must not go on silently
    replan: Callable[[], Plan] | None = None  # asked when a stranger has taken a port while the component was down
    health: Health = Health.STOPPED
    restarts: int = 0
    since: datetime = field(default_factory=lambda: datetime.now(BEIJING))
    _child: asyncio.subprocess.Process | None = None
    _keeper: asyncio.Task[None] | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _was_healthy: asyncio.Event = field(default_factory=asyncio.Event)
    _exits_before_health: int = 0
    _last_exit: int | None = None

    @property
    def pid(self) -> int | None:
        """Return the pid of the living process."""
        return self._child.pid if self._child is not None and self._child.returncode is None else None

    async def start(self) -> None:
        """Start it and return when it is healthy; raises StackError with the end of its log when it does not get
        there.
        """
        self._keeper = asyncio.create_task(self._keep(), name=f"keep-{self.plan.name}")
        self._keeper.add_done_callback(self._kept)
        healthy = asyncio.create_task(self._was_healthy.wait())
        done, _ = await asyncio.wait(
            {healthy, self._keeper}, timeout=self.plan.start_timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        if healthy in done:
            return
        healthy.cancel()
        if self._keeper in done:
            self._keeper.result()  # an error of ours, or of the engine's preparation
        raise self._never_healthy()

    def _kept(self, keeper: asyncio.Task[None]) -> None:
        # Before it was healthy `start` reports; afterwards nobody waits for the keeper.
        if self._was_healthy.is_set() and not keeper.cancelled() and (error := keeper.exception()) is not None:
            self.broken(error)

    def _never_healthy(self) -> StackError:
        name, tail = self.plan.name, logs.tail(self.log, 25)
        code = "" if self._last_exit is None else f" (exit {self._last_exit})"
        return StackError(
            "component_not_healthy",
            (
                f"{name} 未能就绪{code}。日志末尾：\n{tail}",
                f"{name} did not become healthy{code}. The end of its log:\n{tail}",
            ),
            (f"完整日志：{self.log}", f"The whole log: {self.log}"),
        )

    async def stop(self) -> None:
        """Ask it to end, wait, kill what is left of it; returns when nothing is."""
        self._stopping.set()
        if self._keeper is not None:
            await asyncio.gather(self._keeper, return_exceptions=True)
        self._become(Health.STOPPED)

    async def _keep(self) -> None:
        backoff = BACKOFF_FIRST_S
        while not self._stopping.is_set():
            started = time.monotonic()
            if await self._spawned():
                await self._watch()
            if self._stopping.is_set():
                return
            self._become(Health.STOPPED)
            if not self._was_healthy.is_set():
                self._exits_before_health += 1
                if self._exits_before_health >= EXITS_BEFORE_GIVING_UP:
                    return
            if time.monotonic() - started > STEADY_S:
                backoff = BACKOFF_FIRST_S
            if await self._stopped_within(backoff):
                return
            backoff = min(backoff * 2, BACKOFF_MOST_S)
            self.restarts += 1
            if self.replan is not None and not all(map(ports.is_free, self.plan.ports.values())):
                self.plan = self.replan()

    async def _spawned(self) -> bool:
        """Spawn it; of one that was healthy before, a failed preparation (a full disk) counts as one more death."""
        try:
            await self._spawn()
        except (StackError, OSError) as error:
            if not self._was_healthy.is_set():
                raise
            with self.log.open("a", encoding="utf-8") as log:
                log.write(f"guanxin: {error}\n")
            return False
        return True

    async def _spawn(self) -> None:
        launch = await asyncio.to_thread(self.plan.launch)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        logs.rotate(self.log)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._child = await asyncio.create_subprocess_exec(
                *launch.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env={**launch.environment, process.MARK: str(self.mark)},
                cwd=self.mark,
                start_new_session=True,
                preexec_fn=process.tied_to_parent(self.plan.death_signal),
            )
        finally:
            os.close(descriptor)
        self.since = datetime.now(BEIJING)
        self._become(Health.STARTING)

    async def _watch(self) -> None:
        """Ask for its health until it ends by itself or is to be stopped; then it and its group are gone."""
        child = self._child
        assert child is not None
        gone = asyncio.create_task(child.wait())
        asker = asyncio.create_task(self._ask())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({gone, stopping, asker}, return_when=asyncio.FIRST_COMPLETED)
            if asker.done():
                asker.result()  # it never ends but by an error of ours
            if not gone.done():
                await self._end(child, gone)
        finally:
            for task in (asker, stopping):
                task.cancel()
            process.kill_group(child.pid)
        self._last_exit = await gone

    async def _end(self, child: asyncio.subprocess.Process, gone: asyncio.Task[int]) -> None:
        child.send_signal(self.plan.stop_signal)
        await asyncio.wait({gone}, timeout=self.plan.stop_patience_s)
        if not gone.done():
            child.kill()
            await asyncio.wait({gone})

    async def _ask(self) -> None:
        while True:
            answer = await self.plan.probe()
            if (
                answer is Health.HEALTHY
                and self.health is Health.STARTING
                and not await self._is_the_one_who_answered()
            ):
                answer = Health.UNHEALTHY
            if answer is Health.HEALTHY:
                self._was_healthy.set()
            # Until its first good answer a fresh process is starting, whatever it does or does not answer.
            if answer is Health.HEALTHY or self.health is not Health.STARTING:
                self._become(answer)
            await asyncio.sleep(POLL_STARTING_S if self.health is Health.STARTING else POLL_S)

    async def _is_the_one_who_answered(self) -> bool:
        # Between choosing a port and listening on it somebody else may have taken it, and would answer in our name.
        main_port = next(iter(self.plan.ports.values()), None)
        if main_port is None:
            return True
        return self.pid is not None and await asyncio.to_thread(process.listens, self.pid, main_port)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return False
        return True

    def _become(self, health: Health) -> None:
        if health is not self.health:
            self.health = health
            self.changed(self)

    def describe(self) -> dict[str, Any]:
        """Return its entry of `status --json`."""
        return {
            "name": self.plan.name,
            "kind": self.plan.kind,
            "service": self.plan.service,
            "pid": self.pid,
            "ports": self.plan.ports,
            "health": str(self.health),
            "since": self.since.isoformat(timespec="seconds"),
            "restarts": self.restarts,
            "rss_bytes": _rss(self.pid),
        }


def _rss(pid: int | None) -> int:
    if pid is None:
        return 0
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
