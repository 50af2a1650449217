"""The carrier's own connections: who is let in, who is not, several workers on one port, and a worker that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from carrier_client import Phone, connect, running_carrier

from carrier import events
from carrier.model import BindMode, Mo, Report, ReportState
from contracts.events.dispatch import MessageReceived, SegmentsReported
from dispatch.domain.linkconfig import LinkConfig, parse_links

PHONE = "8613000000000"


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else is given, and that the listener may share."""
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind(("127.0.0.1", 0))
        yield keeper.getsockname()[1]


def link_of(carrier_port: int, port: int, **settings: Any) -> LinkConfig:
    entry = {
        "name": "a", "protocol": "sgip12", "host": "127.0.0.1", "port": carrier_port, "account": "gx",
        "password": "secret", "rate": 1000, "sessions": 2, "node_id": 3010092008,
        "listen_host": "127.0.0.1", "listen_port": port, "listen_account": "smg", "listen_password": "calling",
    }  # fmt: skip
    return parse_links([entry | settings])[0]


class Smg(Phone):
    """A gateway that calls: binds with login type 2 and brings what it is told to."""

    def __init__(self, secret: str, account: str = "smg", mode: BindMode = BindMode.RECEIVER) -> None:
        super().__init__(secret, mode, protocol="sgip12")
        self.session._credentials = type(self.session._credentials)(account, secret, mode)
        self._tokens = iter(range(1, 1000))

    def bring(self, item: Report | Mo) -> None:
        self.session.deliver([(next(self._tokens), item)], time.monotonic())
        self.flush()


async def call(port: int, tools: Any, secret: str = "calling", **who: Any) -> Smg:
    """Call; returns when let in, refused or turned away."""

    async def reached() -> Smg | None:
        # The listener opens in the background of taking a slot.
        with contextlib.suppress(OSError):
            _, made = await asyncio.get_running_loop().create_connection(lambda: Smg(secret, **who), "127.0.0.1", port)
            return made
        return None

    smg: Smg = await tools.until(reached)
    await smg.until(lambda: bool(smg.all(events.Bound) or smg.all(events.Closed)))
    return smg


def reply(text: str) -> Mo:
    return Mo(source=PHONE, destination="10655", content=text.encode("utf-16-be"), data_coding=8)


async def test_only_the_agreed_carrier_is_let_in_and_only_to_bring(worker_of, tools, dispatch_database, port) -> None:
    async with running_carrier(protocol="sgip12") as carrier, worker_of([link_of(carrier.port, port)]) as running:
        for wrong in ({"secret": "guess"}, {"account": "gx"}, {"mode": BindMode.TRANSMITTER}):
            refused = await call(port, tools, **wrong)
            assert refused.all(events.BindRefused), wrong
            assert not refused.all(events.Bound)
        smg = await call(port, tools)
        smg.bring(reply("您好"))
        await tools.until(lambda: running.check() or running.bus.of(MessageReceived))
        await smg.until(lambda: bool(smg.all(events.Answered)))
        # A report of nothing we sent is stored, answered, and listed.
        smg.bring(Report("b36b97a842c3b2e100000001", ReportState.DELIVERED, True, recipient=PHONE))
        await smg.until(lambda: len(smg.all(events.Answered)) == 2)
        assert [answer.status for answer in smg.all(events.Answered)] == [0, 0]
        assert await dispatch_database.fetchval("select slot from receipt_raw") == 0
        assert await dispatch_database.fetchval("select raw_id from receipt_pending") == "b36b97a842c3b2e100000001"
        # What we do not serve is refused and does not disturb.
        smg.session.request(99, {"command": "SGIP_USERRPT", "SPNumber": "10655", "UserNumber": PHONE, "UserCondition": 1,
                                 "Reserve": ""}, time.monotonic())  # fmt: skip
        smg.flush()
        await smg.until(lambda: bool(smg.all(events.Replied)))
        assert smg.all(events.Replied)[0].fields["Result"] != 0
        await smg.close()


async def test_who_calls_from_elsewhere_or_too_often_is_turned_away(worker_of, tools, port) -> None:
    async with running_carrier(protocol="sgip12") as carrier:
        elsewhere = link_of(carrier.port, port, listen_from=["192.0.2.0/24"])
        async with worker_of([elsewhere]):
            turned_away = await call(port, tools)
            assert not turned_away.all(events.Bound)
            assert not turned_away.all(events.BindRefused), "without a word"
        one = link_of(carrier.port, port, listen_from=["127.0.0.0/8"], listen_sessions=1)
        async with worker_of([one], instance="dispatch-2"):
            first = await call(port, tools)
            assert first.all(events.Bound)
            assert not (await call(port, tools)).all(events.Bound)
            await first.close()

            async def free_again() -> bool:
                return bool((await call(port, tools)).all(events.Bound))

            await tools.until(free_again)


async def test_who_calls_and_says_nothing_does_not_keep_the_carrier_out(worker_of, tools, port) -> None:
    async with (
        running_carrier(protocol="sgip12") as carrier,
        worker_of([link_of(carrier.port, port, listen_sessions=1)]) as running,
    ):
        await tools.until(lambda: running.check() or any(link.listener for link in running.worker.pump.links.values()))

        async def reached() -> Any:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", port)

        reader, writer = await tools.until(reached)
        smg = await call(port, tools)
        assert smg.all(events.Bound)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        writer.close()
        await smg.close()


async def test_workers_share_the_port_and_receipts_find_their_segments_wherever_they_arrive(
    worker_of, tools, port
) -> None:
    async with running_carrier(
        protocol="sgip12", listener=f"127.0.0.1:{port}", listener_pause_ms=20, receipts=False
    ) as carrier:
        link = link_of(carrier.port, port, listen_account="gx", listen_password="secret")
        async with worker_of([link]) as one, worker_of([link], instance="dispatch-2") as two:

            def both_own_one() -> bool:
                one.check()
                two.check()
                held = [len(link.sessions) for w in (one, two) for link in w.worker.pump.links.values()]
                return held == [1, 1] and carrier.stats["sessions"] == 2

            await tools.until(both_own_one)
            carrier.faults(receipt_delay_ms=0, listener_pause_ms=20)
            for place in range(6):
                await one.release(tools.make_chunk(10, first_number=8613000000000 + 100 * place))
                # Each call goes to one worker or the other: a new one after every few.
                for caller in list(carrier.gateway._callers.values()):
                    caller.cut()

            def reported() -> int:
                one.check()
                two.check()
                return len(
                    {
                        (event.chunk_id, index)
                        for w in (one, two)
                        for event in w.bus.of(SegmentsReported)
                        for index in event.indices
                    }
                )

            await tools.until(lambda: reported() == 60)
            assert carrier.stats["distinct"] == 60
            assert carrier.stats["duplicates"] == 0


async def test_a_taken_port_is_said_and_tried_again(worker_of, tools, dispatch_database, port) -> None:
    blocker = socket.socket()
    blocker.bind(("127.0.0.1", 0))
    blocker.listen()
    taken = blocker.getsockname()[1]
    async with running_carrier(protocol="sgip12") as carrier, worker_of([link_of(carrier.port, taken)]) as running:

        async def said() -> bool:
            running.check()
            sql = "select count(*) from session_slot where last_error like 'listen %' and bound"
            return await dispatch_database.fetchval(sql) > 0

        await tools.until(said)
        blocker.close()
        smg = await call(taken, tools)
        assert smg.all(events.Bound)
        await smg.close()


async def test_a_draining_worker_answers_what_came_and_says_goodbye(worker_of, tools, dispatch_database, port) -> None:
    async with running_carrier(protocol="sgip12") as carrier:
        async with worker_of([link_of(carrier.port, port)]):
            smg = await call(port, tools)
            for number in range(20):
                smg.bring(reply(f"再见 {number}"))
        await smg.until(lambda: bool(smg.all(events.Closed)))
        assert smg.all(events.Closed)[0].reason is events.CloseReason.PEER_UNBOUND
        assert len(smg.all(events.Answered)) == await dispatch_database.fetchval("select count(*) from mo_raw")
        with pytest.raises(ConnectionRefusedError):
            await connect(port, protocol="sgip12")


async def test_an_idle_session_says_goodbye_first_and_is_back_at_once(worker_of, tools, port, monkeypatch) -> None:
    monkeypatch.setattr("dispatch.domain.linkconfig.IDLE_SHARE", 0.005)  # 0.3 s in place of 45
    async with (
        running_carrier(protocol="sgip12", sessions=1) as carrier,
        worker_of([link_of(carrier.port, port, sessions=1)]) as running,
    ):
        await tools.until(lambda: running.check() or carrier.stats["binds_accepted"] >= 3)
        await running.release(tools.make_chunk(5))
        await tools.until(lambda: running.check() or carrier.stats["accepted"] == 5)
        assert carrier.stats["duplicates"] == 0
        assert carrier.stats["over_sessions"] == 0
