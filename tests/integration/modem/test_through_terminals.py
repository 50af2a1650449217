"""Our modem session against the simulated modem, through pseudo terminals: every fault, and 500 messages through all."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from modem_pool import Sender, computer, running_modems

from gsm import Config
from sim.modem.faults import changed

WAITS = {"command_wait": 0.4, "send_wait": 0.6}


async def test_500_messages_over_four_modems_that_misbehave(tmp_path: Path) -> None:
    texts = {token: (f"86138{token:08}", f"message {token}") for token in range(500)}
    sender = Sender(texts)
    faults = {
        "send_ms": 2, "send_jitter_ms": 4, "report_jitter_ms": 20, "report_reorder": 0.1, "reorder_ms": 100,
        "report_before_response": 0.05, "report_duplicate": 0.03, "report_still_trying": 0.03, "wrong_reference": 0.02,
        "refuse": 0.03, "interleave": 0.3, "torn": 0.01, "garbage": 0.02, "no_answer": 0.003, "no_prompt": 0.005,
        "swallow": 0.005, "drop_response": 0.01, "reboot": 0.005, "unplug_every_s": 0.5, "unplug_ms": 50,
        "fragment_octets": 7, "command_ms": 0.5, "seed": 11,
    }  # fmt: skip
    async with running_modems(tmp_path, 4, **faults) as pool, AsyncExitStack() as stack:
        for name in pool.units:
            owner = await stack.enter_async_context(computer(pool, name, Config(**WAITS), ready=False))
            sender.attach(owner)
        async with asyncio.timeout(90):
            await sender.done.wait()
        counts = pool.statistics()
    assert not sender.failed
    assert counts["distinct"] == len(texts)  # lost 0
    assert sender.reported == set(texts)  # matched all
    assert counts["duplicates"] <= sender.uncertain
    for name in ("rejected", "garbage", "disconnects", "unanswered"):
        assert counts[name], name


async def test_what_a_dead_modem_had_goes_through_the_others(tmp_path: Path) -> None:
    texts = {token: (f"86139{token:08}", f"message {token}") for token in range(60)}
    sender = Sender(texts)
    async with running_modems(tmp_path, 3, send_ms=5) as pool, AsyncExitStack() as stack:
        for name in pool.units:
            owner = await stack.enter_async_context(computer(pool, name, Config(**WAITS), ready=False))
            sender.attach(owner)
        dead = pool.units["modem-2"].device
        async with asyncio.timeout(60):
            while not dead.counts["accepted"]:  # noqa: ASYNC110 - the modem's side has no event
                await asyncio.sleep(0.005)
            pool.change(changed(pool.faults, {"silence": True}), "modem-2")
            while len(sender.sent) < len(texts):  # noqa: ASYNC110 - the reports of the dead one never come
                await asyncio.sleep(0.01)
        counts = pool.statistics()
    assert counts["distinct"] == len(texts)
    assert counts["duplicates"] <= sender.uncertain + sender.refused
