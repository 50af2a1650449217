"""A careful business system: keeps sending, retries everything unanswered with the same idempotency key, and knows what it sent.

Beside the load it posts one task that a person would have to release and one that is spam: nothing of either may reach a carrier.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter

import httpx
import load

from guanxin.stack.seed import CODES, SHOP

PER_TASK = 500
HELD, SPAM = 60, 20
"""Recipients of the task that is held (above the bulk threshold of a port that is not trusted) and of the spam."""


IN_FLIGHT = 128
"""Requests that wait for their answer at most, as many as there are connections: beyond, the business system waits too."""


class Upstream:
    """Sends evenly until at least so many messages are sent and `finished` says that the faults are over."""

    def __init__(self, stack: load.Stack, messages: int, spread_s: float, *, callback: str, patience_s: float) -> None:
        self.spread_s = spread_s
        self.sent = 0
        self.held, self.blocked = HELD, SPAM
        self.refusals: Counter[str] = Counter()
        self.seconds: list[float] = []
        self._stack = stack
        self._callback = callback
        self._least = messages
        self._per_task = min(PER_TASK, max(50, messages // 40))
        self._patience_s = patience_s
        self._over = asyncio.Event()
        self._room = asyncio.Semaphore(IN_FLIGHT)
        self._work: asyncio.Task[None] | None = None

    @property
    def all_messages(self) -> int:
        """Messages the ledger must hold at the end."""
        return self.sent + self.held + self.blocked

    @property
    def never_sent(self) -> int:
        """Messages that stay with the reviewers."""
        return self.held

    @property
    def retries(self) -> dict[str, int]:
        """Return how often a request had to be repeated, by reason."""
        return dict(self.refusals)

    def begin(self) -> None:
        """Start sending."""
        self._work = asyncio.create_task(self._send())

    async def finished(self) -> None:
        """Say that the faults are over and wait until everything was accepted; raises what went wrong."""
        self._over.set()
        assert self._work is not None
        await self._work

    async def stop(self) -> None:
        """Send nothing more."""
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _send(self) -> None:
        begun = time.monotonic()
        limits = httpx.Limits(max_connections=IN_FLIGHT)
        async with (
            httpx.AsyncClient(base_url=self._stack.api, timeout=self._patience_s, limits=limits) as http,
            asyncio.TaskGroup() as group,
        ):
            for body, key in ((_held(), "held"), (_spam(), "spam")):
                await self._room.acquire()
                group.create_task(self._one(http, "/v1/tasks", body, key))
            bulk = codes = 0
            while self.sent < self._least or not self._over.is_set():
                body = load.task_body(bulk, self._per_task, callback=self._callback)
                await self._room.acquire()
                group.create_task(self._one(http, "/v1/tasks", body, f"task-{bulk}"))
                bulk += self._per_task
                for number in range(codes, codes + max(1, self._per_task // 50)):
                    await self._room.acquire()
                    group.create_task(self._one(http, *_code(number), f"code-{number}"))
                    codes = number + 1
                self.sent = bulk + codes
                due = begun + self.spread_s * self.sent / self._least
                await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def _one(self, http: httpx.AsyncClient, path: str, body: bytes, key: str) -> None:
        """Send one request until it is accepted; the caller has room for it."""
        try:
            _, seconds = await load.post(http, path, body, self._stack.key, key, self.refusals)
        finally:
            self._room.release()
        self.seconds.append(seconds)


def _held() -> bytes:
    recipients = [f"1399{place:07d}" for place in range(HELD)]
    body = {"port": SHOP.port, "class": "notice", "content": "【示范商城】限时折扣，仅此一天，回T退订"}
    return json.dumps({**body, "recipients": recipients}).encode()


def _spam() -> bytes:
    recipients = [f"1398{place:07d}" for place in range(SPAM)]
    body = {"port": SHOP.port, "class": "marketing", "content": "代·开·发·票，增值稅發票，点数低，加微信 fp8888"}
    return json.dumps({**body, "recipients": recipients}).encode()


def _code(number: int) -> tuple[str, bytes]:
    body = {
        "port": CODES.port,
        "to": f"136{number:08d}",
        "content": f"【示范银行】您的验证码是{number:06d}，5分钟内有效，请勿告诉他人。",
        "class": "verification",
        "validity": 86_400,
    }
    return "/v1/messages", json.dumps(body).encode()
