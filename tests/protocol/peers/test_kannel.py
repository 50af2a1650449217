"""Kannel's bearerbox and smsbox, as Debian has them, as an SMPP client of our simulated carrier."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from carrier_client import Carrier, running_carrier
from kannel_boxes import BOXES, Kannel, running_boxes

pytestmark = [
    pytest.mark.skipif(not all(map(shutil.which, BOXES)), reason="Debian's kannel is not installed"),
    pytest.mark.timeout(90),
]

SMSC = """\
group = smsc
smsc = smpp
smsc-id = ours
host = 127.0.0.1
port = {port}
transceiver-mode = true
smsc-username = gx
smsc-password = {password}
system-type = ""
interface-version = 34
source-addr-ton = 1
source-addr-npi = 1
dest-addr-ton = 1
dest-addr-npi = 1
max-pending-submits = 4
enquire-link-interval = 1
reconnect-delay = 1
"""


def kannel(carrier: Carrier, directory: Path, password: str = "secret") -> AbstractAsyncContextManager[Kannel]:
    """Both boxes, bound to the carrier."""
    return running_boxes(SMSC.format(port=carrier.port, password=password), directory)


async def until(carrier: Carrier, counter: str, value: int) -> None:
    """Wait for one of the carrier's counters."""
    async with asyncio.timeout(20):
        while carrier.stats[counter] < value:  # noqa: ASYNC110 - another process moves it
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "coding", "named"),
    [
        ("Your code is 482100", 0, "gsm7"),
        ("您的验证码是4821", 2, "ucs2"),
        ("尊敬的客户，您本月电费已出账。" * 8, 2, "long, ucs2"),
    ],
)
async def test_messages_and_their_receipts(tmp_path: Path, text: str, coding: int, named: str, shown) -> None:
    async with running_carrier() as carrier, kannel(carrier, tmp_path) as boxes:
        await until(carrier, "binds_accepted", 1)
        await boxes.send(text, coding=coding)
        await until(carrier, "distinct", 1)
        assert carrier.gateway.samples(1)[0].text == text
        assert (await boxes.ears.next("/receipt"))["state"] == "1"  # 1: delivered to the phone
        # Of a long message Kannel asks for one segment's receipt only, so there may be fewer than segments.
        await until(carrier, "receipts_answered", carrier.stats["receipts_sent"])
        assert carrier.stats["peer_errors"] == 0
    shown("smpp34", "server", f"submit, {named}", "report", "bind")


async def test_a_reply_reaches_its_service(tmp_path: Path, shown) -> None:
    async with running_carrier() as carrier, kannel(carrier, tmp_path) as boxes:
        await until(carrier, "binds_accepted", 1)
        carrier.gateway.say("gx", "8613800138000", "10690001", "T")
        heard = await boxes.ears.next("/mo")
        assert (heard["from"].lstrip("+"), heard["to"].lstrip("+"), heard["text"]) == ("8613800138000", "10690001", "T")
        await until(carrier, "mo_answered", 1)
    shown("smpp34", "server", "deliver, gsm7")


async def test_throttled_it_sends_again(tmp_path: Path, shown) -> None:
    async with running_carrier(throttle=1) as carrier, kannel(carrier, tmp_path) as boxes:
        await until(carrier, "binds_accepted", 1)
        await boxes.send("slowly", coding=0)
        await until(carrier, "throttled", 1)
        carrier.faults()
        await until(carrier, "accepted", 1)
        assert carrier.stats["distinct"] == 1
    shown("smpp34", "server", "submit, throttled")


async def test_with_a_wrong_secret_it_stays_out(tmp_path: Path, shown) -> None:
    async with running_carrier() as carrier, kannel(carrier, tmp_path, password="wrong"):
        await until(carrier, "binds_refused", 1)
        assert carrier.stats["sessions"] == 0
    shown("smpp34", "server", "bind, wrong secret")


async def test_after_a_cut_it_comes_again(tmp_path: Path, shown) -> None:
    async with running_carrier() as carrier, kannel(carrier, tmp_path) as boxes:
        await until(carrier, "binds_accepted", 1)
        for connection in list(carrier.gateway.bound["gx"]):
            connection.cut()
        await until(carrier, "binds_accepted", 2)
        await boxes.send("still here", coding=0)
        await until(carrier, "accepted", 1)
    shown("smpp34", "server", "connection cut")
