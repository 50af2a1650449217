"""The carrier misbehaves in every way it can, one way after another, while messages flow."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from chaos.stage import stage

WAYS: dict[str, tuple[float, dict[str, Any]]] = {
    "receipts before their answers": (8, {"receipt_before_response": 1.0}),
    "10 % of receipts reordered, 1 % doubled": (8, {"receipt_reorder": 0.1, "receipt_duplicate": 0.01}),
    "half of all submits throttled": (12, {"throttle": 0.5}),
    "5 s latency": (15, {"latency_ms": 5_000}),
    "2 % of answers lost after accepting": (12, {"drop_response": 0.02}),
    "a session cut every second": (12, {"disconnect_every_s": 1}),
    "60 s of silence": (60, {"silence": True}),
}
CALM_S = 6.0


@pytest.mark.parametrize("group", ["3a carrier: receipts, throttling, latency", "3b carrier: answers and links lost"])
async def test_carrier_misbehaves(open_path: Path, holds, group: str) -> None:
    ways = list(WAYS)[:4] if group.startswith("3a") else list(WAYS)[4:]
    async with stage(open_path / "s", group, faults_s=70 if group.startswith("3a") else 105) as s:
        for what in ways:
            seconds, change = WAYS[what]
            await asyncio.sleep(CALM_S)
            before = await s.simulator()
            made = s.fault(f"{what} for {seconds:.0f} s")
            await s.simulator(**change)
            await asyncio.sleep(seconds)
            await s.simulator(reset=True, undelivered_suffix="")
            after = await s.simulator()
            s.notes[what] = {
                name: after[name] - before[name]
                for name in ("accepted", "duplicates", "throttled", "unanswered", "disconnects", "binds_accepted")
            }
            made.at = asyncio.get_running_loop().time()  # recovery counts from when the carrier behaves again
        holds(await s.settle())
