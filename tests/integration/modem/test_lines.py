"""Our modem session on real lines: pseudo terminals and TCP, pulled, shared, guarded, as a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from modem_pool import computer, running_modems

from gsm import Config, Deliver, Frame, Options, address_of, submits
from gsm.modem_events import Event, Lost, Ready, Received, Refused, Sent, Uncertain
from links.serial import ModemConnection, open_tcp, open_tty


@pytest.mark.parametrize("tcp", [False, True])
async def test_sending_and_receiving(tmp_path: Path, tcp: bool) -> None:
    async with running_modems(tmp_path, tcp=tcp) as pool, computer(pool, tcp=tcp) as owner:
        for token, part in enumerate(submits("您好，" * 100, address_of("+8613800138000"), Options(reference=3))):
            owner.send(token, Frame(part))
            await owner.until(lambda token=token: any(sent.token == token for sent in owner.all(Sent)))
        pool.say("modem-1", "+8613700000001", "T")
        await owner.until(lambda: any(isinstance(pdu, Deliver) for pdu in owner.pdus()))
        await owner.until(lambda: len(owner.all(Received)) == len(owner.all(Sent)) + 1)
        assert pool.samples(1)[0].text == "您好，" * 100


@pytest.mark.parametrize("tcp", [False, True])
async def test_a_pulled_modem_is_lost_and_comes_back(tmp_path: Path, tcp: bool) -> None:
    async with running_modems(tmp_path, tcp=tcp, send_ms=60_000) as pool, computer(pool, tcp=tcp) as owner:
        (part,) = submits("hello", address_of("10086"))
        owner.send(7, Frame(part))
        await owner.until(lambda: True)
        async with asyncio.timeout(20):
            while not pool.statistics()["submits"]:  # noqa: ASYNC110 - the modem's side has no event
                await asyncio.sleep(0.01)
        pool.units["modem-1"].unplug()
        await owner.until(lambda: bool(owner.all(Lost)))
        assert [event.token for event in owner.all(Uncertain)] == [7]
        await pool.units["modem-1"].plug()
        await owner.until(lambda: len(owner.all(Ready)) == 2)


async def test_one_line_has_one_owner(tmp_path: Path) -> None:
    async with running_modems(tmp_path) as pool, computer(pool):
        with pytest.raises(OSError, match="lock"):
            await open_tty(pool.units["modem-1"].port.address, Config(), lambda connection, events: None)
    with pytest.raises(OSError, match="No such file"):
        await open_tty(str(tmp_path / "none"), Config(), lambda connection, events: None)


async def test_the_newest_computer_has_a_serial_servers_line(tmp_path: Path) -> None:
    async with running_modems(tmp_path, tcp=True) as pool:
        host, _, port = pool.units["modem-1"].port.address.rpartition(":")
        first = await open_tcp(host, int(port), Config(), lambda connection, events: None)
        second = await open_tcp(host, int(port), Config(), lambda connection, events: None)
        async with asyncio.timeout(20):
            await first.closed.wait()
        assert not second.closed.is_set()
        second.close()


async def test_nothing_is_written_once_the_guard_says_no(tmp_path: Path) -> None:
    events: list[Event] = []
    may = True

    def take(connection: ModemConnection, news: list[Event]) -> None:
        events.extend(news)
        ready.set() if any(isinstance(event, Ready) for event in news) else None

    ready = asyncio.Event()
    async with running_modems(tmp_path) as pool:
        connection = await open_tty(pool.units["modem-1"].port.address, Config(), take, may_write=lambda: may)
        async with asyncio.timeout(20):
            await ready.wait()
            while not connection.modem._channel.idle:  # noqa: ASYNC110 - it lists what is stored
                await asyncio.sleep(0.005)
        may = False
        commands = pool.statistics()["commands"]
        (part,) = submits("hello", address_of("10086"))
        connection.modem.send(7, Frame(part), time.monotonic())
        assert not connection.flush()
        async with asyncio.timeout(20):
            await connection.closed.wait()
        assert [type(event) for event in events][-2:] == [Refused, Lost]
        assert pool.statistics()["commands"] == commands
        assert not connection.flush()
        connection.close()  # once more does nothing


async def test_a_modem_that_says_nothing_is_lost_by_its_timer(tmp_path: Path) -> None:
    async with (
        running_modems(tmp_path, silence=True) as pool,
        computer(pool, config=Config(command_wait=0.05), ready=False) as owner,
    ):
        await owner.until(lambda: bool(owner.all(Lost)))


async def test_a_line_that_takes_nothing_is_closed(tmp_path: Path) -> None:
    theirs, ours = os.openpty()
    path = os.ttyname(ours)
    events: list[Event] = []
    try:
        connection = await open_tty(path, Config(), lambda connection, news: events.extend(news))
        for _ in range(100):
            connection.modem._channel.write(b"x" * 4096)
            connection.flush()
        async with asyncio.timeout(20):
            await connection.closed.wait()
        assert events == [Lost()]
    finally:
        os.close(theirs)
        os.close(ours)


async def test_a_computer_that_reads_nothing_does_not_stop_the_modem(tmp_path: Path) -> None:
    async with running_modems(tmp_path) as pool:
        unit = pool.units["modem-1"]
        line = os.open(unit.port.address, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            unit.port.write(b"x" * 600_000)  # much more than a pseudo terminal holds
            unit.port.write(b"y" * 10)
            read = 0
            async with asyncio.timeout(20):
                while read < 200_000:
                    try:
                        read += len(os.read(line, 65_536))
                    except BlockingIOError:
                        await asyncio.sleep(0.001)
        finally:
            os.close(line)


async def test_many_messages_stored_in_a_modem_that_is_read_slowly(tmp_path: Path) -> None:
    async with running_modems(tmp_path, slots=1000) as pool:
        for place in range(300):
            pool.say("modem-1", "+8613700000001", f"{place} " + "x" * 140)
        # The listing is more than a pseudo terminal holds at once.
        async with computer(pool) as owner:
            await owner.until(lambda: len(owner.all(Received)) == 300)
            async with asyncio.timeout(30):
                while pool.statistics()["mo_answered"] < 300:  # noqa: ASYNC110 - deleting has no event
                    await asyncio.sleep(0.01)


async def test_as_a_process(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sim.modem", "--modems", "2", "--tcp", "127.0.0.1:0", "--http-port", "0",
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).decode()
        host, _, port = line.rpartition(" ")[2].strip().rpartition(":")
        ready = asyncio.Event()

        def take(connection: ModemConnection, news: list[Event]) -> None:
            if any(isinstance(event, Ready) for event in news):
                ready.set()

        connection = await open_tcp(host, int(port), Config(), take)
        async with asyncio.timeout(30):
            await ready.wait()
        connection.close()
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode in (0, -15)


async def test_a_serial_server_that_is_not_there() -> None:
    with pytest.raises(ConnectionRefusedError):
        await open_tcp("127.0.0.1", 1, Config(), lambda connection, events: None)
