"""From start to end of a service process: compose, serve, supervise, stop in order, or crash with a traceback.

Rule: a background task that ends by itself is a fault, and ends the process (exit 70) so that the supervisor starts it
anew from durable state.  SIGTERM and SIGINT stop the intake, drain, close; all of it bounded by the grace of the
settings.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol, TypeAlias

import structlog
import uvicorn
import uvloop

from servicekit import own_metrics as metrics
from servicekit import telemetry
from servicekit.clock import Clock, JumpDetector, SystemClock
from servicekit.health import Health
from servicekit.settings import ServiceSettings

ASGIApp: TypeAlias = Callable[..., Awaitable[None]]
Work = Callable[[], Awaitable[None]]

EXIT_CRASH = 70
"""sysexits.h EX_SOFTWARE: ours, and restarting is right."""

LOOP_LAG_LIMIT_S = 2.0
"""A loop that was late by more is reported as not ready: callers' time-outs are near."""

log = structlog.get_logger()


class Component(Protocol):
    """Something that runs beside the HTTP server: a consumer, a relay."""

    async def run(self) -> None:
        """Work until `stop` was called; an exception ends the process."""
        ...

    async def stop(self) -> None:
        """Take nothing new, finish what is in hand, return when done; `run` then returns."""
        ...


class Runtime:
    """What a composition root gets: settings, clock, health, and places to hang work on."""

    def __init__(self, settings: ServiceSettings, clock: Clock | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.health = Health()
        self.failed = asyncio.Event()
        self._failure: BaseException | None = None
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._components: list[tuple[str, Component]] = []
        self._drains: list[tuple[str, Work]] = []
        self._closers: list[Work] = []

    def supervise(self, name: str, work: Work) -> None:
        """Start ``work`` now; if it ends before shutdown, by itself or by exception, the process ends.  Cancelled after
        the drain.
        """

        async def watched() -> None:
            try:
                await work()
                if not self._stopping:
                    raise RuntimeError(f"background task {name!r} ended by itself")
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                if self._failure is None:
                    self._failure = error
                self.failed.set()
                raise

        self._tasks.append(asyncio.get_running_loop().create_task(watched(), name=name))

    def component(self, name: str, component: Component) -> None:
        """Supervise ``component.run`` and stop it, in the order of these calls, when the process is told to go."""
        self._components.append((name, component))
        self.supervise(name, component.run)

    def on_drain(self, work: Work, name: str = "drain") -> None:
        """Do ``work`` after the intake has stopped and before anything is closed."""
        self._drains.append((name, work))

    def on_close(self, work: Work) -> None:
        """Close something at the very end; last opened, first closed."""
        self._closers.append(work)

    def crash(self) -> NoReturn:
        """End the process with the traceback of what failed; nothing is drained, for the state in memory is not to be
        trusted.
        """
        failure = self._failure
        log.critical("process_crashed", reason=type(failure).__name__, exc_info=failure)
        sys.stdout.flush()
        sys.stderr.write(telemetry.fault_text(failure))
        sys.stderr.flush()
        os._exit(EXIT_CRASH)

    async def shut_down(self, stop_server: Work) -> None:
        """Stop the intake, drain, close; each phase bounded, a phase that is late is logged and passed."""
        self._stopping = True
        self.health.stopping()
        grace = self.settings.shutdown_grace_s
        stops = [_bounded(f"stop {name}", c.stop, grace) for name, c in self._components]
        await asyncio.gather(_bounded("stop http", stop_server, grace), _in_order(stops))
        for name, work in self._drains:
            await _bounded(name, work, grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for closer in reversed(self._closers):
            await _bounded("close", closer, grace)


def run(settings: ServiceSettings, compose: Callable[[Runtime], Awaitable[ASGIApp]]) -> NoReturn:
    """Run a service until it is told to stop (exit 0) or fails (exit 70).

    ``compose`` builds everything on the running loop and returns the ASGI application to serve.
    """
    telemetry.setup(settings)
    listener = _listen(settings.http_host, settings.http_port)
    try:
        uvloop.run(_main(settings, compose, listener))
    except Exception as error:
        log.critical("start_failed", reason=type(error).__name__, exc_info=error)
        sys.stderr.write(telemetry.fault_text(error))
        sys.exit(EXIT_CRASH)
    finally:
        telemetry.shutdown()
    sys.exit(0)


async def _main(
    settings: ServiceSettings, compose: Callable[[Runtime], Awaitable[ASGIApp]], listener: socket.socket
) -> None:
    runtime = Runtime(settings)
    told_to_stop = asyncio.Event()
    _on_signals(told_to_stop)
    composing = asyncio.ensure_future(compose(runtime))
    if not await _first(composing, told_to_stop, runtime):
        composing.cancel()
        await asyncio.gather(composing, return_exceptions=True)
        await runtime.shut_down(_nothing)
        return
    server = _Server(_uvicorn_config(await composing, settings))
    serving = asyncio.create_task(server.serve([listener]), name="http")
    runtime.supervise("loop watch", lambda: _watch_loop(runtime))
    # What lives from here on to the end need not be walked by every full collection: pauses stay short.
    gc.collect()
    gc.freeze()
    # A request or a batch makes hundreds of objects that go by themselves: looking for rings among them every 700 is in vain.
    gc.set_threshold(20_000, 20, 20)
    runtime.health.started()
    log.info("service_started", port=listener.getsockname()[1], pid=os.getpid())
    if await _first(serving, told_to_stop, runtime):
        raise RuntimeError("the HTTP server ended by itself")

    async def stop_server() -> None:
        server.should_exit = True
        await serving

    await runtime.shut_down(stop_server)
    log.info("service_stopped")


async def _first(work: asyncio.Future[Any], told_to_stop: asyncio.Event, runtime: Runtime) -> bool:
    """Wait for ``work``, a signal or a failure; return whether it was ``work``.  A failure ends the process here."""
    stop = asyncio.ensure_future(told_to_stop.wait())
    failed = asyncio.ensure_future(runtime.failed.wait())
    try:
        await asyncio.wait({work, stop, failed}, return_when=asyncio.FIRST_COMPLETED)
        if runtime.failed.is_set():
            runtime.crash()
        return not told_to_stop.is_set()
    finally:
        stop.cancel()
        failed.cancel()


def _on_signals(told_to_stop: asyncio.Event) -> None:
    def on_signal(name: str) -> None:
        if told_to_stop.is_set():
            # Told twice: whoever waits has lost patience, and nothing durable depends on an orderly end.
            os._exit(130)
        log.info("stop_requested", signal=name)
        told_to_stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)


def _listen(host: str, port: int) -> socket.socket:
    """Bind before anything is composed: a taken port fails at once and says so."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        log.critical("port_unavailable", host=host, port=port, reason=error.strerror)
        sys.stderr.write(f"cannot listen on {host}:{port}: {error.strerror} / 无法监听该端口\n")
        sys.exit(EXIT_CRASH)
    listener.setblocking(False)
    return listener


def _uvicorn_config(app: ASGIApp, settings: ServiceSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        lifespan="off",
        log_config=None,
        # An access log would write numbers that stand in paths and queries.
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=max(1, int(settings.shutdown_grace_s / 2)),
        backlog=2048,
        # Nothing here asks who called or by which scheme: a header that says so is not read.
        proxy_headers=False,
    )


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: `run` has them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _watch_loop(runtime: Runtime) -> None:
    """Measure how late the loop wakes up, and notice jumps of the wall clock."""
    clock, detector = runtime.clock, JumpDetector(runtime.clock)
    window: list[float] = []

    async def probe() -> str | None:
        worst = max(window, default=0.0)
        return f"event loop was blocked for {worst:.1f} s" if worst > LOOP_LAG_LIMIT_S else None

    runtime.health.check("loop", probe)
    while True:
        before = clock.monotonic()
        await asyncio.sleep(0.5)
        window.append(max(0.0, clock.monotonic() - before - 0.5))
        del window[:-20]
        metrics.LOOP_LAG_SECONDS.set(max(window))
        if jump := detector.check():
            metrics.CLOCK_JUMPS.inc()
            log.warning("wall_clock_jumped", by_ms=jump)


async def _bounded(name: str, work: Work, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await work()
    except TimeoutError:
        log.warning("shutdown_phase_late", phase=name, after_s=seconds)
    except Exception as error:
        # The process is going down and its durable state is complete without this phase; the traceback says what was
        # wrong.
        log.exception("shutdown_phase_failed", phase=name, reason=type(error).__name__)


async def _in_order(works: list[Any]) -> None:
    for work in works:
        await work


async def _nothing() -> None:
    return
