"""Debian's gammu on our simulated modem's terminal: who it is, messages out and in, what is stored."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from modem_pool import running_modems

from gsm import Submit, address_of
from sim.modem.pool import Pool
from sim.modem.storage import UNREAD, Stored

pytestmark = [
    pytest.mark.skipif(shutil.which("gammu") is None, reason="gammu is not installed (Debian: gammu)"),
    pytest.mark.timeout(180),
]

LONG = "尊敬的客户，您本月电费已出账。" * 8


class Gammu:
    """One modem's computer, a command at a time."""

    def __init__(self, pool: Pool, directory: Path, name: str = "modem-1") -> None:
        self._settings = directory / f"{name}.gammurc"
        self._settings.write_text(f"[gammu]\ndevice = {pool.units[name].port.address}\nconnection = at\n")

    async def do(self, *arguments: str, entering: str = "") -> str:
        """Run a command to its end; returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            "gammu", "-c", str(self._settings), *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
        async with asyncio.timeout(60):
            printed, _ = await process.communicate(entering.encode())
        text = printed.decode()
        assert process.returncode == 0, text
        return text


async def test_it_knows_modem_card_and_network(tmp_path: Path, shown) -> None:
    async with running_modems(tmp_path) as pool:
        gammu = Gammu(pool, tmp_path)
        told = await gammu.do("identify")
        identity = pool.units["modem-1"].device.identity
        assert identity.imei in told
        assert identity.imsi in told
        assert "home network" in await gammu.do("networkinfo")
        assert "+8613800571500" in await gammu.do("getsmsc")
    shown("gsm", "server", "set-up", "identity, card, network", "service centre")


@pytest.mark.parametrize(
    ("arguments", "text", "named"),
    [
        (["-text", "Your code is 482100 [€]"], "Your code is 482100 [€]", "gsm7"),
        (["-unicode", "-text", "您的验证码是4821"], "您的验证码是4821", "ucs2"),
        (["-flash", "-text", "now"], "now", "flash"),
        (["-unicode", "-len", "400", "-text", LONG], LONG, "long, ucs2"),
        (["-len", "400", "-text", "long and plain " * 15 + "."], "long and plain " * 15 + ".", "long, gsm7"),
    ],
)  # fmt: skip
async def test_it_sends(tmp_path: Path, arguments: list[str], text: str, named: str, shown) -> None:
    async with running_modems(tmp_path) as pool:
        seen: list[Submit] = []
        network = pool.network
        counted = network.sent
        network.sent = lambda number, submit: (seen.append(submit), counted(number, submit))[1]  # type: ignore[method-assign]
        printed = await Gammu(pool, tmp_path).do("sendsms", "TEXT", "+8613800138000", *arguments, "-report")
        (sample,) = pool.samples(2)
        assert (sample.recipient, sample.text, sample.segments) == ("8613800138000", text, len(seen))
        assert printed.count("message reference=") == len(seen)
        assert all(submit.tp_srr for submit in seen)
        if named == "flash":
            assert seen[0].tp_dcs in {0x10, 0xF0}
    shown("gsm", "server", f"submit, {named}")


async def test_it_reads_replies_joins_the_long_one_and_deletes(tmp_path: Path, shown) -> None:
    async with running_modems(tmp_path) as pool:
        pool.say("modem-1", "+8613700000001", "plain reply [€]")
        pool.say("modem-1", "+8613700000002", LONG)
        gammu = Gammu(pool, tmp_path)
        printed = await gammu.do("geteachsms")
        assert "plain reply [€]" in printed
        assert LONG in printed
        assert '"+8613700000001"' in printed
        assert '"+8613700000002"' in printed
        await gammu.do("deletesms", "1", "1")
        assert pool.statistics()["mo_answered"] == 1
        await gammu.do("deleteallsms", "1")
        assert pool.statistics()["mo_answered"] == 1 + 2
    shown("gsm", "server", "deliver, stored, gsm7", "deliver, stored, long, ucs2", "read and delete", "listing")


async def test_it_reads_a_stored_report(tmp_path: Path, shown) -> None:
    async with running_modems(tmp_path) as pool:
        device = pool.units["modem-1"].device
        report = device.network.report(7, Submit(tp_da=address_of("+8613800138000"), tp_srr=1), 0, device.wall)
        device.storages["SM"].put(Stored(report.centre, report.tpdu, UNREAD))
        printed = await Gammu(pool, tmp_path).do("getallsms")
        assert "SMS status report" in printed
        assert "+8613800138000" in printed
        assert "Delivered" in printed
    shown("gsm", "server", "report, stored")


async def test_it_saves_a_message_and_sends_it(tmp_path: Path, shown) -> None:
    async with running_modems(tmp_path) as pool:
        gammu = Gammu(pool, tmp_path)
        await gammu.do("savesms", "TEXT", "-folder", "2", "-sender", "+8613800138000", "-text", "kept for later")
        assert len(pool.units["modem-1"].device.storages["SM"].messages) == 1
        printed = await gammu.do("getallsms")
        assert "kept for later" in printed
    shown("gsm", "server", "stored message of one's own")


async def test_refused_it_says_why(tmp_path: Path, shown) -> None:
    async with running_modems(tmp_path, refuse=1, refuse_code=38) as pool:
        gammu = Gammu(pool, tmp_path)
        with pytest.raises(AssertionError, match=r"38|etwork"):
            await gammu.do("sendsms", "TEXT", "+8613800138000", "-text", "no")
        assert pool.statistics()["rejected"] >= 1
    shown("gsm", "server", "submit, refused")
