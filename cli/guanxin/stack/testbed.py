"""Runs a command beside one real Kafka and one real PostgreSQL of its own: ``python -m guanxin.stack.testbed --
pytest tests``.

The command finds them in GUANXIN_TEST_KAFKA (bootstrap servers) and GUANXIN_TEST_POSTGRES (the superuser's address);
workers of
pytest-xdist inherit both and share the engines. An engine whose variable is set already is not started. Both engines
end with this process,
however it ends; their data is thrown away, so PostgreSQL runs without fsync.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil

from guanxin.i18n import t
from guanxin.stack import paths, ports, process
from guanxin.stack.engines import jars, kafka, postgres
from guanxin.stack.errors import StackError

ENV_KAFKA = "GUANXIN_TEST_KAFKA"
ENV_POSTGRES = "GUANXIN_TEST_POSTGRES"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0


@dataclass(slots=True)
class Engine:
    """One started engine: its process and how to ask whether it is ready."""

    name: str
    process: subprocess.Popen[bytes]
    ready: Callable[[], bool]
    log: Path


@dataclass(slots=True)
class Testbed:
    """The engines of one run and the environment that names them."""

    directory: Path
    engines: list[Engine] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def start(self) -> None:
        """Prepare and start what the environment does not already name, and wait until all are ready."""
        with ThreadPoolExecutor(2) as pool:  # preparing is slow and separate; starting must be on the main thread
            broker = pool.submit(self._prepare_kafka) if ENV_KAFKA not in os.environ else None
            database = pool.submit(self._prepare_postgres) if ENV_POSTGRES not in os.environ else None
            if broker is not None:
                node = broker.result()
                self._launch("kafka", node.command(), node.environment(), lambda: kafka.is_ready(node.port))
                self.environment[ENV_KAFKA] = node.bootstrap_servers
            if database is not None:
                cluster = database.result()
                command, environment = cluster.command(), cluster.environment()
                self._launch("postgres", command, environment, lambda: postgres.is_ready(cluster.port))
                self.environment[ENV_POSTGRES] = cluster.url("postgres")
        deadline = time.monotonic() + START_TIMEOUT_S
        for engine in self.engines:
            self._await_ready(engine, deadline)

    def stop(self) -> None:
        """End all engines; Kafka's data need not survive, so it is not waited for."""
        for engine in self.engines:
            engine.process.send_signal(signal.SIGINT if engine.name == "postgres" else signal.SIGKILL)
        for engine in self.engines:
            try:
                engine.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                engine.process.kill()
                engine.process.wait()
            process.kill_group(engine.process.pid)
        self.engines.clear()

    def _prepare_kafka(self) -> kafka.KafkaNode:
        found = jars.obtain(paths.JGO_LOCK, paths.engines_dir())
        taken: set[int] = set()
        node = kafka.KafkaNode(found, self.directory / "kafka", ports.choose([], taken), ports.choose([], taken))
        node.prepare()
        return node

    def _prepare_postgres(self) -> postgres.PostgresNode:
        password = secrets.token_urlsafe(18)
        node = postgres.PostgresNode(self.directory / "postgres", ports.any_free(), password, durable=False)
        node.prepare()
        return node

    def _launch(self, name: str, command: list[str], environment: dict[str, str], ready: Callable[[], bool]) -> None:
        log = self.directory / f"{name}.log"
        with log.open("ab") as stream:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**environment, process.MARK: str(self.directory)},
                start_new_session=True,
                preexec_fn=process.tied_to_parent(  # noqa: PLW1509 - it only calls prctl and getppid
                    signal.SIGINT if name == "postgres" else signal.SIGKILL
                ),
            )
        self.engines.append(Engine(name, child, ready, log))

    def _await_ready(self, engine: Engine, deadline: float) -> None:
        while not engine.ready():
            code = engine.process.poll()
            if code is not None or time.monotonic() > deadline:
                tail = engine.log.read_text(encoding="utf-8", errors="replace")[-3000:]
                raise StackError(
                    "engine_not_ready",
                    (
                        f"{engine.name} 未能就绪（退出码 {code}）：\n{tail}",
                        f"{engine.name} did not become ready (exit code {code}):\n{tail}",
                    ),
                )
            time.sleep(0.05)


@contextmanager
def testbed() -> Iterator[Testbed]:
    """Give running engines, and end them and delete their data when left by whatever way."""
    root = paths.local_dir() / "testbed"
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    directory = root / str(os.getpid())
    directory.mkdir()
    bed = Testbed(directory)
    try:
        bed.start()
        yield bed
    finally:
        bed.stop()
        shutil.rmtree(directory, ignore_errors=True)


def _sweep(root: Path) -> None:
    # Directories are named by the pid of their test bed; one that was killed could not delete its own.
    for directory in root.iterdir():
        if directory.name.isdigit() and not psutil.pid_exists(int(directory.name)):
            process.end(process.leftovers(directory))
            shutil.rmtree(directory, ignore_errors=True)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(command: list[str]) -> int:
    """Run ``command`` with the engines in its environment; returns its exit code, 130 when interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    with ExitStack() as stack:
        try:
            bed = stack.enter_context(testbed())
            child = subprocess.Popen(command, env={**os.environ, **bed.environment})
            try:
                return child.wait()
            except KeyboardInterrupt:
                # The terminal has sent it the same signal; a plain `kill` of this process has not.
                child.send_signal(signal.SIGINT)
                _wait_or_kill(child)
                return 130
        except KeyboardInterrupt:
            return 130


def _wait_or_kill(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def main(arguments: list[str]) -> int:
    """Entry point: everything after ``--`` is the command."""
    if len(arguments) < 2 or arguments[0] != "--":
        print("usage: python -m guanxin.stack.testbed -- COMMAND [ARGUMENT…]", file=sys.stderr)  # noqa: T201
        return 2
    try:
        return run(arguments[1:])
    except StackError as error:
        print(t(f"测试引擎启动失败：{error}", f"The engines for the tests did not start: {error}"), file=sys.stderr)  # noqa: T201
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
