"""What benchmarks and failure tests share: a stack of their own, load over HTTP as a business system sends it, and both sides' counts."""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from guanxin.ledger import SENT
from guanxin.stack import paths
from guanxin.stack.seed import POWER

TEMPLATE = "【示范电力】尊敬的客户{name}，您户号{account}本月电费{amount}元，请按时缴纳。"
FINAL = ("delivered", "failed", "blocked", "rejected", "cancelled", "expired", "unknown")

FIRST_PAUSE_S, MOST_PAUSE_S = 0.2, 2.0
"""Between the attempts of one request."""
MOST_PATIENCE_S = 30.0


@dataclass
class Stack:
    """A running local stack: addresses, key and process ids."""

    local: Path
    document: dict[str, Any]
    token: str

    @property
    def api(self) -> str:
        return str(self.document["api"]["url"])

    @property
    def key(self) -> str:
        return str(self.document["api"]["key"])

    def simulator(self) -> str:
        ports = next(item["ports"] for item in self.document["components"] if item["kind"] == "simulator")
        return f"http://127.0.0.1:{ports['http']}"

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Return each component with its children (PostgreSQL's backends, watchdogs, workers of a pool)."""
        found: dict[str, list[psutil.Process]] = {}
        for item in self.document["components"]:
            if item["pid"]:
                process = psutil.Process(item["pid"])
                found[item["name"]] = [process, *process.children(recursive=True)]
        return found


def environment(local: Path) -> dict[str, str]:
    """Return the environment of the stack's commands: own state, the downloads shared."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(root) for root in paths.import_roots()),
        "GUANXIN_LOCAL_DIR": str(local),
        "GUANXIN_ENGINES_DIR": str(paths.engines_dir()),
        "GUANXIN_ASSETS_DIR": str(paths.assets_dir()),
        "GUANXIN_LANG": "en",
    }


def _command(local: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "guanxin.main", "stack", *arguments]
    return subprocess.run(command, env=environment(local), stdout=subprocess.PIPE, text=True, check=True)


def up(local: Path) -> Stack:
    """Bring the stack of ``local`` up by its `stack.toml`, with the data it has, and return when it is."""
    done = _command(local, "up", "--detach", "--json", "--config", str(local / "stack.toml"))
    secrets = json.loads((local / "secrets.json").read_text(encoding="utf-8"))
    return Stack(local, json.loads(done.stdout), secrets["operator_token"])


def down(local: Path) -> None:
    """Stop the stack of ``local``; its data stays."""
    _command(local, "down")


@contextmanager
def stack(local: Path, config: str) -> Iterator[Stack]:
    """Bring a stack up in ``local`` with this configuration, and down again."""
    local.mkdir(parents=True, exist_ok=True)
    (local / "stack.toml").write_text(config, encoding="utf-8")
    try:
        yield up(local)
    finally:
        down(local)
        _command(local, "reset")


@dataclass
class Cpu:
    """CPU seconds per component between two looks, threads and children included."""

    stack: Stack
    before: dict[str, float] = field(default_factory=dict)

    def start(self) -> None:
        self.before = self._now()

    def spent(self) -> dict[str, float]:
        after = self._now()
        return {name: after[name] - self.before.get(name, 0.0) for name in after}

    def _now(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for name, processes in self.stack.processes().items():
            total = 0.0
            for process in processes:
                try:
                    times = process.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                total += times.user + times.system
            sums[name] = total
        return sums


def disk_octets(stack: Stack) -> dict[str, int]:
    """Return what broker and database hold on disk (the database's log included), in octets."""
    return {
        name: sum(path.stat().st_size for path in (stack.local / "data" / name).rglob("*") if path.is_file())
        for name in ("kafka", "postgres")
    }


def recipients(first: int, count: int, *, variables: bool) -> list[Any]:
    """Return ``count`` recipients from number ``first`` (0-based) of an endless list, each with values of its own."""
    numbers = (f"138{place // 10_000_000 % 10}{place % 10_000_000:07d}" for place in range(first, first + count))
    if not variables:
        return list(numbers)
    return [
        {
            "to": number,
            "variables": {
                "name": "客户",
                "account": f"3301{first + row:08d}",
                "amount": f"{row % 300}.{row % 100:02d}",
            },
        }
        for row, number in enumerate(numbers)
    ]


def task_body(first: int, count: int, lane: str = "notice", *, callback: str = "") -> bytes:
    """Return the JSON of one template task; ``callback`` is where its progress is to be told."""
    body = {
        "port": POWER.port,
        "class": lane,
        "template": TEMPLATE,
        "validity": 86_400,
        "recipients": recipients(first, count, variables=True),
        **({"callback_url": callback} if callback else {}),
    }
    return json.dumps(body, ensure_ascii=False).encode()


async def post(
    http: httpx.AsyncClient,
    path: str,
    body: bytes,
    key: str,
    idempotency_key: str,
    refusals: Counter[str] | None = None,
) -> tuple[dict[str, Any], float]:
    """Post until answered, with the same key every time, as a careful caller does; returns the answer and its seconds.

    Each attempt waits half as long again for its answer as the one before, from the client's own time-out on, and comes after a
    longer pause: callers that all repeat at once and give up at once would see nothing answered on a machine that is slow for
    a while.  ``refusals`` counts, by reason, the attempts that had to be repeated.
    """
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "Idempotency-Key": idempotency_key,
    }
    deadline = time.monotonic() + MOST_PATIENCE_S * 10
    patience_s, pause_s = http.timeout.read or MOST_PATIENCE_S, FIRST_PAUSE_S
    while True:
        begun = time.monotonic()
        try:
            answer = await http.post(path, content=body, headers=headers, timeout=patience_s)
        except httpx.HTTPError as error:
            answer, reason = None, type(error).__name__
        else:
            reason = str(answer.status_code)
        if answer is not None and answer.status_code == 202:
            document: dict[str, Any] = answer.json()
            return document, time.monotonic() - begun
        if answer is not None and answer.status_code < 500 and answer.status_code != 429:
            raise RuntimeError(f"{path}: {answer.status_code} {answer.text[:300]}")
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path}, key {idempotency_key}: not accepted in time, last {reason}, all {refusals}")
        if refusals is not None:
            refusals[reason] += 1
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
        pause_s = min(MOST_PAUSE_S, pause_s * 1.5)
        if answer is None:
            patience_s = min(MOST_PATIENCE_S, patience_s * 1.5)


async def ledger(http: httpx.AsyncClient, token: str) -> dict[str, int]:
    """Return the states of everything accepted since yesterday, and their sum as `total`."""
    answer = await http.get("/v1/ledger", headers={"Authorization": f"Bearer {token}"})
    answer.raise_for_status()
    document = answer.json()
    return {"total": document["accepted"], **document["states"]}


async def until_final(
    http: httpx.AsyncClient, token: str, expected: int, patience_s: float, held: int = 0
) -> dict[str, int]:
    """Wait until ``expected`` messages are accepted and all but those ``held`` for a person are final.

    Returns the last ledger also when time runs out.
    """
    deadline = time.monotonic() + patience_s
    states: dict[str, int] = {}
    while time.monotonic() < deadline:
        try:
            states = await ledger(http, token)
        except httpx.HTTPError:
            states = {}
        final = sum(states.get(name, 0) for name in FINAL)
        if states and states["total"] >= expected and final >= expected - held:
            return states
        await asyncio.sleep(0.25)
    return states


def lost(states: dict[str, int], seen: dict[str, Any]) -> int:
    """Return the messages we believe a carrier accepted that the simulator never saw."""
    return max(0, sum(states.get(name, 0) for name in SENT) - int(seen["distinct"]))


def percentile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
