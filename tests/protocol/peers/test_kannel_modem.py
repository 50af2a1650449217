"""Kannel's modem driver, as Debian has it, on our simulated modem's terminal."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from kannel_boxes import BOXES, running_boxes
from modem_pool import running_modems

from sim.modem.pool import Pool

pytestmark = [
    pytest.mark.skipif(not all(map(shutil.which, BOXES)), reason="Debian's kannel is not installed"),
    pytest.mark.timeout(180),
]

SMSC = """\
group = smsc
smsc = at
smsc-id = ours
modemtype = simulated
device = {device}
speed = 115200
my-number = "+8613900000001"
sim-buffering = true

group = modems
id = simulated
name = "Simulated"
init-string = "AT+CNMI=2,1,0,1,0"
"""


async def until(pool: Pool, counter: str, value: int) -> None:
    """Wait for one of the pool's counters."""
    async with asyncio.timeout(30):
        while pool.statistics()[counter] < value:  # noqa: ASYNC110 - another process moves it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "coding", "named"),
    [
        ("Your code is 482100 [€]", 0, "gsm7"),
        ("您的验证码是4821", 2, "ucs2"),
        ("尊敬的客户，您本月电费已出账。" * 8, 2, "long, ucs2"),
    ],
)
async def test_messages_and_their_reports(tmp_path: Path, text: str, coding: int, named: str, shown) -> None:
    async with (
        running_modems(tmp_path / "dev", report_delay_ms=100) as pool,
        running_boxes(SMSC.format(device=tmp_path / "dev" / "modem-1"), tmp_path) as boxes,
    ):
        await boxes.send(text, coding=coding)
        await until(pool, "distinct", 1)
        (sample,) = pool.samples(2)
        assert (sample.recipient, sample.text) == ("8613800138000", text)
        assert (await boxes.ears.next("/receipt"))["state"] == "1"  # 1: delivered to the phone
    shown("gsm", "server", f"submit, {named}", "report, direct", "set-up")


async def test_a_stored_reply_is_read_and_deleted(tmp_path: Path, shown) -> None:
    async with (
        running_modems(tmp_path / "dev") as pool,
        running_boxes(SMSC.format(device=tmp_path / "dev" / "modem-1"), tmp_path) as boxes,
    ):
        pool.say("modem-1", "+8613800138000", "退订 T")
        heard = await boxes.ears.next("/mo")
        assert (heard["from"], heard["coding"]) == ("+8613800138000", "2")
        await until(pool, "mo_answered", 1)
        assert not pool.units["modem-1"].device.storages["SM"].messages
    shown("gsm", "server", "deliver, stored, ucs2", "read and delete")
