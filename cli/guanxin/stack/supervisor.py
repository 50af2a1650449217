"""The supervisor: brings the local stack up in order, keeps it up, answers on the control socket, and takes it down
whole.

Order: engines (both at once, beside the simulators), topics, migrations, services (all at once), demo data. While
coming up it
belongs to whoever asked for it: when that connection is lost before all is up, everything is taken down again. When
the supervisor
itself is killed, the kernel signals every child.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg

from guanxin.stack import assets, config, control, credentials, logs, paths, ports, process, state, steps, table
from guanxin.stack.component import BEIJING, Component, Plan
from guanxin.stack.engines import jars, postgres
from guanxin.stack.errors import StackError
from guanxin.stack.services import MOST_WORKERS, SERVICES

OWNER_TIMEOUT_S = 15.0  # whoever starts a supervisor connects at once; if nobody does, he is dead
ROTATE_EVERY_S = 10.0
PORT_ATTEMPTS = 3
SEED_MODULE = "guanxin.stack.seed"
SEEDED = ("ingest", "spamfilter", "review")  # whose interfaces the seed uses

Event = dict[str, Any]


class Supervisor:
    """One stack in one directory; lives in one event loop of the main thread."""

    def __init__(self, local: Path, config_path: Path | None) -> None:
        self.local = local
        self.config_path = config_path
        self.state = "starting"
        self.layout: table.Layout | None = None
        self.components: dict[str, Component] = {}
        self.history: list[Event] = []
        self.stop = asyncio.Event()
        self.error: StackError | None = None
        self._fault: BaseException | None = None
        self._watchers: set[asyncio.Queue[Event]] = set()
        self._conversations: set[asyncio.Task[Any]] = set()
        self._owned = asyncio.Event()
        self._memory = state.load(local / "state.json")
        self._scaling = asyncio.Lock()

    # -- events for those who watch --------------------------------------------------------------------------------

    def emit(self, **event: Any) -> None:
        """Tell everyone who is attached, and those who attach later."""
        self.history.append(event)
        self._note(event)
        for watcher in self._watchers:
            watcher.put_nowait(event)

    def _note(self, event: Event) -> None:
        line = json.dumps({"at": datetime.now(BEIJING).isoformat(timespec="milliseconds"), **event}, ensure_ascii=False)
        print(line, flush=True)  # noqa: T201 - the supervisor's own log

    @asynccontextmanager
    async def _step(self, name: str) -> AsyncIterator[None]:
        started = time.monotonic()
        self.emit(event="step", name=name, state="running")
        try:
            yield
        except StackError:
            self.emit(event="step", name=name, state="failed")
            raise
        self.emit(event="step", name=name, state="done", seconds=round(time.monotonic() - started, 2))

    # -- up and down -----------------------------------------------------------------------------------------------

    async def run(self) -> int:
        """Serve until told to stop; returns the exit code."""
        server = await asyncio.start_unix_server(
            self._serve, control.socket_path(self.local), limit=control.MAX_LINE_BYTES
        )
        rising = asyncio.create_task(self._rise(), name="rise")
        helpers = [asyncio.create_task(self._rotate()), asyncio.create_task(self._await_owner())]
        stopping = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait({rising, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if rising.done() and not self._failed(rising):
                await stopping
        finally:
            for task in (rising, stopping, *helpers):
                task.cancel()
            await asyncio.gather(rising, stopping, *helpers, return_exceptions=True)
            await self._fall()
            self._finish()
            await self._last_words()
            server.close()
            control.socket_path(self.local).unlink(missing_ok=True)
        if self._fault is not None:
            raise self._fault
        return 0 if self.error is None else 1

    def _failed(self, rising: asyncio.Task[None]) -> bool:
        error = rising.exception()
        if error is None:
            return False
        while isinstance(error, BaseExceptionGroup):  # components start in task groups; the first cause is the story
            error = error.exceptions[0]
        if not isinstance(error, StackError):
            raise error
        self.error = error
        return True

    async def _rise(self) -> None:
        settings = config.load(self.config_path)
        await asyncio.to_thread(self._clean_up_after_a_former_run)
        secrets = credentials.load_or_create(self.local / "secrets.json")
        self.layout = table.Layout(self.local, settings, secrets, self._memory.ports)
        await self._obtain(self.layout)
        async with asyncio.TaskGroup() as group:
            if settings.stack.simulators:
                group.create_task(self._start(self.layout.simulator_plan))
            group.create_task(self._prepare(self.layout))
        self.layout.write_links()
        plans = [
            partial(self.layout.service_plan, service, number)
            for service in SERVICES
            for number in range(1, settings.workers(service) + 1)
        ]
        async with asyncio.TaskGroup() as group:
            for plan in plans:
                group.create_task(self._start(plan))
        self._remember_ports()
        await self._seed(self.layout)
        self.state = "up"
        self.emit(event="up", unusual_ports=self.layout.unusual())

    async def _obtain(self, layout: table.Layout) -> None:
        """Download what is not there yet: Kafka's jars and the pages' assets, both at once."""
        async with asyncio.TaskGroup() as group:
            if layout.config.kafka.bootstrap_servers is None:
                group.create_task(self._obtain_jars(layout))
            group.create_task(self._obtain_assets())

    async def _obtain_jars(self, layout: table.Layout) -> None:
        loop = asyncio.get_running_loop()

        def progress(done: int, total: int) -> None:
            loop.call_soon_threadsafe(lambda: self.emit(event="progress", name="kafka-jars", done=done, total=total))

        async with self._step("kafka-jars"):
            layout.jars = await asyncio.to_thread(jars.obtain, paths.JGO_LOCK, paths.engines_dir(), progress)

    async def _obtain_assets(self) -> None:
        async with self._step("web-assets"):
            await asyncio.to_thread(assets.install, paths.assets_dir())

    async def _prepare(self, layout: table.Layout) -> None:
        """Bring the engines up, then the topics and the tables."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._broker_and_topics(layout))
            group.create_task(self._database_and_tables(layout))

    async def _broker_and_topics(self, layout: table.Layout) -> None:
        if layout.config.kafka.bootstrap_servers is None:
            await self._start(layout.broker_plan)
        await self._one_off(layout, "topics", "bus.admin", "apply")

    async def _database_and_tables(self, layout: table.Layout) -> None:
        if layout.config.database.url is None:
            await self._start(layout.database_plan)
            await self._create_database(layout)
        await self._one_off(layout, "migrations", "servicekit.migrate", "all")

    async def _create_database(self, layout: table.Layout) -> None:
        connection = await asyncpg.connect(layout.cluster().url("postgres"), timeout=10)
        try:
            name = postgres.DATABASE
            if not await connection.fetchval("select 1 from pg_database where datname = $1", name):
                await connection.execute(f"create database {name}")
        finally:
            await connection.close()

    async def _seed(self, layout: table.Layout) -> None:
        if not all(layout.config.workers(service) for service in SEEDED):
            return  # a stack without them was asked for, and there is nobody to give the data to
        await self._one_off(layout, "seed", SEED_MODULE)
        layout.secrets = credentials.load_or_create(self.local / "secrets.json")  # it may have been given keys to keep

    async def _one_off(self, layout: table.Layout, step: str, module: str, *arguments: str) -> None:
        async with self._step(step):
            launch = layout.one_off(step, module, *arguments)
            await steps.run(step, launch, self.local, self.local / "log" / f"{step}.log")

    async def _start(self, make_plan: Callable[[], Plan]) -> None:
        """Start a component; when somebody was quicker to take one of its ports, once more with others."""
        plan = make_plan()
        async with self._step(plan.name):
            for attempt in range(1, PORT_ATTEMPTS + 1):
                component = self.components[plan.name] = self._component(plan, make_plan)
                try:
                    return await component.start()
                except StackError:
                    await component.stop()
                    if attempt == PORT_ATTEMPTS or all(map(ports.is_free, plan.ports.values())):
                        raise
                assert self.layout is not None
                self.layout.choose_again(plan.name)
                plan = make_plan()

    def _component(self, plan: Plan, make_plan: Callable[[], Plan]) -> Component:
        def replan() -> Plan:
            assert self.layout is not None
            self.layout.choose_again(plan.name)
            return make_plan()

        log = self.local / "log" / f"{plan.name}.log"
        # Others know engines and simulators by their ports, so those wait for theirs; services are found by `status`.
        movable = replan if plan.kind == "service" else None
        return Component(plan, self.local, log, self._changed, self._broken, movable)

    async def _fall(self) -> None:
        """Stop everything: services and simulators first, all at once, then the engines they lean on."""
        self.state = "stopping"
        engines = [item for item in self.components.values() if item.plan.kind in {"broker", "database"}]
        others = [item for item in self.components.values() if item not in engines]
        for batch in (others, engines):
            await asyncio.gather(*(self._stop(item) for item in batch))

    async def _stop(self, component: Component) -> None:
        self.emit(event="stopping", name=component.plan.name)
        await component.stop()
        self.emit(event="stopped", name=component.plan.name)

    def _finish(self) -> None:
        self.state = "down"
        if self.error is not None:
            error = self.error
            self.emit(event="failed", code=error.code, what=error.what, todo=error.todo)
        self.emit(event="down")

    async def _last_words(self) -> None:
        """Let those who are attached read to the end before the process goes."""
        if self._conversations:
            await asyncio.wait(self._conversations, timeout=2.0)

    def _clean_up_after_a_former_run(self) -> None:
        ended = process.end(process.leftovers(self.local))
        if ended:
            self.emit(event="note", name="leftovers", detail=str(ended))

    # -- housekeeping ----------------------------------------------------------------------------------------------

    def _changed(self, component: Component) -> None:
        """Tell who watches now; later watchers ask for the status."""
        event: Event = {"event": "component", **component.describe()}
        self._note(event)
        if self.state == "up":
            for watcher in self._watchers:
                watcher.put_nowait(event)

    def _broken(self, error: BaseException) -> None:
        """Go down because of a fault of our own: a supervisor that no longer watches must not look as if it did."""
        self._fault = self._fault or error
        self.stop.set()

    def _remember_ports(self) -> None:
        assert self.layout is not None
        self._memory.ports.update(self.layout.chosen_ports())
        state.save(self.local / "state.json", self._memory)

    async def _rotate(self) -> None:
        while True:
            await asyncio.sleep(ROTATE_EVERY_S)
            for component in list(self.components.values()):
                await asyncio.to_thread(logs.rotate, component.log)

    async def _await_owner(self) -> None:
        try:
            async with asyncio.timeout(OWNER_TIMEOUT_S):
                await self._owned.wait()
        except TimeoutError:
            self.stop.set()

    # -- requests --------------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers: dict[str, Callable[..., Awaitable[None]]] = {
            "attach": self._attach,
            "status": self._status,
            "down": self._down,
            "scale": self._scale,
        }
        conversation = asyncio.current_task()
        assert conversation is not None
        self._conversations.add(conversation)
        try:
            line = await reader.readline()
            request: Event = json.loads(line) if line else {}
            handler = handlers.get(str(request.pop("op", "")))
            if handler is None:
                writer.write(control.encode({"error": "unknown_request"}))
            else:
                await handler(reader, writer, **request)
            await writer.drain()
        except (ConnectionError, ValueError, TypeError) as error:
            # The peer went away or spoke nonsense; either is its affair and ends only its connection.
            print(f"control connection ended: {error}", file=sys.stderr)  # noqa: T201 - the supervisor's own log
        finally:
            self._conversations.discard(conversation)
            writer.close()

    async def _attach(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, hold: bool, owner: bool
    ) -> None:
        """Stream events. An owner's loss before all is up, or a holder's at any time, takes the stack down."""
        if owner:
            self._owned.set()
        queue: asyncio.Queue[Event] = asyncio.Queue()
        for event in self.history:
            queue.put_nowait({**event, "past": True})
        self._watchers.add(queue)
        lost = asyncio.create_task(reader.read(1))
        try:
            while not lost.done():
                following = asyncio.create_task(queue.get())
                await asyncio.wait({lost, following}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    break
                event = following.result()
                writer.write(control.encode(event))
                await writer.drain()
                if event["event"] == "down" or (event["event"] == "up" and not hold):
                    return
            if hold or (owner and self.state == "starting"):
                self.stop.set()
        finally:
            lost.cancel()
            self._watchers.discard(queue)

    async def _status(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(control.encode(self.describe()))

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stop.set()
        self.history.clear()
        await self._attach(reader, writer, hold=True, owner=False)

    async def _scale(
        self, _: asyncio.StreamReader, writer: asyncio.StreamWriter, *, service: str, workers: int
    ) -> None:
        if self.state != "up" or self.layout is None:
            writer.write(control.encode({"error": "not_up", "state": self.state}))
            return
        if service not in SERVICES or not 0 <= workers <= MOST_WORKERS:
            writer.write(control.encode({"error": "no_such_service_or_number", "services": list(SERVICES)}))
            return
        async with self._scaling:
            try:
                await self._scale_to(self.layout, service, workers)
            except StackError as error:
                writer.write(control.encode({"error": error.code, "what": error.what, "todo": error.todo}))
                return
        writer.write(control.encode({"service": service, "workers": workers}))

    async def _scale_to(self, layout: table.Layout, service: str, workers: int) -> None:
        numbers = {item.plan.name: int(item.plan.name.rpartition("-")[2]) for item in self._of(service)}
        leaving = [self.components[name] for name, number in numbers.items() if number > workers]
        await asyncio.gather(*(item.stop() for item in leaving))
        for item in leaving:
            del self.components[item.plan.name]
        wanted = sorted(set(range(1, workers + 1)) - set(numbers.values()))
        plans = [partial(layout.service_plan, service, number) for number in wanted]
        results = await asyncio.gather(*(self._start(plan) for plan in plans), return_exceptions=True)
        self._remember_ports()
        failed = [(number, result) for number, result in zip(wanted, results, strict=True) if result is not None]
        for number, _ in failed:
            await self.components.pop(f"{service}-{number}").stop()
        for _, error in failed:
            raise error

    def _of(self, service: str) -> list[Component]:
        return [
            item for item in self.components.values() if item.plan.kind == "service" and item.plan.service == service
        ]

    def describe(self) -> Event:
        """Return the document of `status --json`."""
        document: Event = {"state": self.state}
        if self.layout is not None:
            document |= self.layout.describe()
        document["components"] = [item.describe() for item in self.components.values()]
        document["config"] = state.config_digest(self.config_path)
        return document


def main(arguments: list[str]) -> int:
    """Run in the foreground for the stack in GUANXIN_LOCAL_DIR; the argument, if any, is the configuration file."""
    local = paths.local_dir()
    local.mkdir(parents=True, exist_ok=True)
    (local / "run").mkdir(exist_ok=True, mode=0o700)
    with (local / "run" / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0  # somebody else's supervisor is there already; whoever started us will find that one
        control.socket_path(local).unlink(missing_ok=True)
        return asyncio.run(_main(local, Path(arguments[0]) if arguments else None))


async def _main(local: Path, config_path: Path | None) -> int:
    supervisor = Supervisor(local, config_path)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, supervisor.stop.set)
    return await supervisor.run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
