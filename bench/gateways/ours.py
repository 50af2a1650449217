"""Guanxin itself: the local stack with every service, Kafka and PostgreSQL, charging included; single messages and tasks over HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import load
import psutil
from httpload import Traffic

from gateways import sink
from gateways.gateway import Case, Gateway, Offered, offer_each, post, single
from gateways.programs import Failed
from guanxin.stack import client
from guanxin.stack.seed import POWER

CONFIG = f"""
[stack]
demo = false
simulators = ["smpp"]
simulator_link = {{ rate = 1000000, sessions = {sink.SESSIONS}, window = {sink.WINDOW} }}
[stack.environment]
GUANXIN_WEBHOOK_PRIVATE_TARGETS = "true"
"""
PER_TASK = 5_000
TASKS_AT_ONCE = 4


class Ours(Gateway):
    """A stack of its own, fed with single messages."""

    def __init__(self, case: Case, folder: Path) -> None:
        super().__init__(case, folder)
        self._down = ExitStack()
        self._callbacks = ""
        self._stack: load.Stack

    @property
    def carrier(self) -> str:
        return self._stack.simulator()

    def start(self, callbacks: str) -> None:
        self._callbacks = f"{callbacks}/told"
        self._stack = self._down.enter_context(load.stack(self.folder / "stack", CONFIG))
        httpx.put(f"{self.carrier}/faults", json=sink.behaviour(receipts=self.case.receipts)).raise_for_status()

    @property
    def _port(self) -> int:
        return int(urlsplit(self._stack.api).port or 0)

    @property
    def _callback(self) -> str:
        return self._callbacks if self.case.receipts else ""

    async def offer(self, first: int, count: int) -> Offered:
        def request(place: int) -> bytes:
            body = single(place, POWER.port, callback=self._callback)
            return post("/v1/messages", body, self._stack.key, f"one-{place}")

        return await offer_each(self._port, request, first, count, lambda status, _: status == 202)

    def processes(self) -> dict[str, list[psutil.Process]]:
        return self._stack.processes()

    async def kill(self) -> None:
        """Kill every service; the supervisor starts them again."""
        before = {item["name"]: item["pid"] for item in self._services()}
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        for _ in range(600):
            now = await asyncio.to_thread(self._services)
            if all(item["pid"] not in {None, before[item["name"]]} and item["health"] == "healthy" for item in now):
                self._stack.document = await asyncio.to_thread(client.status, self._stack.local)
                return
            await asyncio.sleep(0.1)
        raise Failed("the services did not come back within 60 s")

    def _services(self) -> list[dict[str, object]]:
        return [item for item in client.status(self._stack.local)["components"] if item["kind"] == "service"]

    def stop(self) -> None:
        self._down.close()


class OursBulk(Ours):
    """The same, fed with template tasks of 5,000 recipients, variables for each."""

    async def offer(self, first: int, count: int) -> Offered:
        starts = list(range(first, first + count, PER_TASK))

        def request(place: int) -> bytes:
            start = starts[place]
            size = min(PER_TASK, first + count - start)
            body = load.task_body(start, size, callback=self._callback)
            return post("/v1/tasks", body, self._stack.key, f"task-{start}")

        traffic = Traffic("127.0.0.1", self._port, request, len(starts), connections=TASKS_AT_ONCE)
        await traffic.run()
        return Offered(traffic.begun, traffic.ended, traffic.seconds, traffic.repeated)
