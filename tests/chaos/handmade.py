"""A dispatch worker outside the supervisor: like a pod on another node, with its own network to PostgreSQL and Kafka.

Its settings are those of the stack's first worker, as the kernel shows them, but for its name, ports, directory and the two addresses.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
from chaos.stage import Stage
from chaos.wire import HOST, Wire, prioritise

NAME = "dispatch-remote"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{place}:{port}"))


class Remote:
    """Keeps the worker running as an orchestrator would: when its process ends, another one takes its place."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.ends: list[int] = []

    def start(self) -> None:
        """Start the process."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dispatch"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        # Ours may have been raised for the sake of the network (`chaos.wire`); the worker gets no more than others have.
        prioritise(self.process.pid, 0)

    async def keep(self) -> None:
        """Start it again whenever it ends, until cancelled."""
        while True:
            assert self.process is not None
            code = self.process.poll()
            if code is not None:
                self.ends.append(code)
                self.start()
            await asyncio.sleep(0.5)

    def end(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@asynccontextmanager
async def remote_worker(s: Stage, database: Wire, broker: Wire) -> AsyncIterator[Remote]:
    """Run the worker while the block runs."""
    first = await s.component("dispatch-1")
    assert first is not None
    environment = psutil.Process(first["pid"]).environ()
    state = s.stack.local / "state" / NAME
    environment |= {
        "GUANXIN_INSTANCE": NAME,
        "GUANXIN_HTTP_PORT": str(_free_port()),
        "GUANXIN_STATE_DIR": str(state),
        "GUANXIN_DATABASE_URL": _through(environment["GUANXIN_DATABASE_URL"], database.port),
        "GUANXIN_KAFKA_BOOTSTRAP_SERVERS": f"{HOST}:{broker.port}",
    }
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    worker = Remote({**environment, "PATH": os.environ["PATH"]}, s.stack.local / "log" / f"{NAME}.log")
    worker.start()
    keeper = asyncio.create_task(worker.keep())
    try:
        yield worker
    finally:
        keeper.cancel()
        worker.end()
