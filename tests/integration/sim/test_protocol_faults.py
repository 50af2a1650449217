"""Each protocol's own accidents, as the simulated carrier plays them: what the engine makes of them."""

from __future__ import annotations

import asyncio

import pytest
from carrier_client import connect, listening_desk, running_carrier

import smstext
from carrier import events
from carrier.dialect import Limits
from carrier.dialects import NAMES, dialect
from carrier.model import BindMode, Outcome, Refusal, Submit
from sim.carrier.faults import Faults
from sim.carrier.gateway import Account, Gateway

PHONE = "8613800138000"


def a_message(text: bytes = b"hello", recipient: str = PHONE, **more: object) -> Submit:
    return Submit("10690001", recipient, text, **more)


@pytest.mark.parametrize("protocol", ["cmpp20", "cmpp30", "smgp30"])
async def test_a_wrong_proof_of_the_carrier_is_noticed(protocol: str) -> None:
    async with running_carrier(protocol=protocol, wrong_proof=True) as carrier:
        phone = await connect(carrier.port, protocol=protocol)
        assert phone.all(events.Bound)[0].trusted is False
        await phone.close()
        carrier.faults()
        phone = await connect(carrier.port, protocol=protocol)
        assert phone.all(events.Bound)[0].trusted is True
        await phone.close()


@pytest.mark.parametrize("protocol", NAMES)
async def test_a_wrong_secret_and_a_session_too_many(protocol: str) -> None:
    async with running_carrier(protocol=protocol, sessions=1) as carrier:
        wrong = await connect(carrier.port, "wrong", protocol=protocol)
        assert wrong.all(events.BindRefused)[0].refusal is Refusal.CREDENTIALS
        first = await connect(carrier.port, protocol=protocol)
        second = await connect(carrier.port, protocol=protocol)
        assert second.all(events.BindRefused)
        carrier.faults(newest_wins=True)
        third = await connect(carrier.port, protocol=protocol)
        assert third.all(events.Bound)
        await first.until(lambda: bool(first.all(events.Closed)))
        assert (carrier.stats["sessions"], carrier.stats["replaced"]) == (1, 1)
        for phone in (wrong, first, second, third):
            await phone.close()


@pytest.mark.parametrize(("protocol", "status"), [("cmpp20", 8), ("cmpp30", 8), ("sgip12", 88), ("smpp34", 0x58)])
async def test_throttled_in_each_protocols_words(protocol: str, status: int) -> None:
    async with running_carrier(protocol=protocol, throttle=1) as carrier:
        phone = await connect(carrier.port, protocol=protocol)
        phone.send(a_message())
        await phone.until(lambda: bool(phone.all(events.Answered)))
        (answer,) = phone.all(events.Answered)
        assert (answer.status, answer.outcome) == (status, Outcome.THROTTLED)
        await phone.close()


@pytest.mark.parametrize("protocol", NAMES)
async def test_single_octets_and_answers_out_of_order(protocol: str) -> None:
    async with running_carrier(protocol=protocol, fragment_octets=1, latency_jitter_ms=10) as carrier:
        phone = await connect(carrier.port, protocol=protocol)
        tokens = phone.send(*(a_message(b"number %d" % number) for number in range(30)))
        await phone.until(lambda: len(phone.all(events.ReportReceived)) == 30)
        answered = [answer.token for answer in phone.all(events.Answered)]
        assert sorted(answered) == tokens
        assert answered != tokens
        given = {answer.message_id for answer in phone.all(events.Answered)}
        assert given == {event.report.message_id for event in phone.all(events.ReportReceived)}
        assert not phone.all(events.PeerError)
        await phone.close()


@pytest.mark.parametrize("protocol", NAMES)
async def test_a_cut_in_the_middle_of_a_pdu(protocol: str) -> None:
    async with running_carrier(protocol=protocol) as carrier:
        phone = await connect(carrier.port, protocol=protocol)
        carrier.faults(cut_after_octets=phone.octets_read + 10)
        (token,) = phone.send(a_message())
        await phone.until(lambda: bool(phone.all(events.Closed)))
        assert phone.all(events.Closed)[0].unanswered == (token,)
        assert not phone.all(events.Answered)
        await phone.close()


@pytest.mark.parametrize("protocol", NAMES)
async def test_octets_that_are_no_pdu_end_the_session(protocol: str) -> None:
    async with running_carrier(protocol=protocol) as carrier:
        phone = await connect(carrier.port, protocol=protocol)
        carrier.faults(garbage=1, receipts=False)
        phone.send(a_message())
        await phone.until(lambda: bool(phone.all(events.Closed)))
        assert phone.all(events.Closed)[0].reason is events.CloseReason.FRAMING
        assert carrier.stats["garbage"] >= 1
        await phone.close()


@pytest.mark.parametrize("protocol", NAMES)
async def test_half_open_answers_keep_alives_and_no_submit(protocol: str) -> None:
    limits = Limits(keepalive_idle=10.0, response=30.0)
    async with running_carrier(protocol=protocol, half_open=True) as carrier:
        phone = await connect(carrier.port, protocol=protocol, limits=limits)
        (token,) = phone.send(a_message())
        now = asyncio.get_running_loop().time()
        if phone.dialect.has_keepalive:
            before = phone.octets_read
            assert not phone.session.handle_timer(now + 11)
            phone.flush()
            await phone.until(lambda: phone.octets_read > before)
        async with asyncio.timeout(10):
            while not carrier.stats["unanswered"]:  # noqa: ASYNC110 - the counter is the only witness
                await asyncio.sleep(0)
        assert not phone.all(events.Answered)
        assert carrier.stats["accepted"] == 0
        (closed,) = phone.session.handle_timer(now + 31)
        assert (closed.reason, closed.unanswered) == (events.CloseReason.RESPONSE_TIMEOUT, (token,))
        await phone.close()


@pytest.mark.parametrize("short", [False, True], ids=["71 octets", "60 octets"])
async def test_both_lengths_of_a_cmpp_report_are_read(short: bool) -> None:
    async with running_carrier(protocol="cmpp30", settings={"short_reports": short}) as carrier:
        phone = await connect(carrier.port, protocol="cmpp30")
        phone.send(a_message())
        await phone.until(lambda: bool(phone.all(events.ReportReceived) and phone.all(events.Answered)))
        report = phone.all(events.ReportReceived)[0].report
        assert dialect("cmpp30").decode(report.raw)["Msg_Length"] == (60 if short else 71)
        assert report.message_id == phone.all(events.Answered)[0].message_id
        assert report.recipient == PHONE
        await phone.close()


@pytest.mark.parametrize("protocol", ["cmpp20", "cmpp30", "smgp30"])
async def test_a_group_submit_has_a_receipt_for_each_phone(protocol: str) -> None:
    others = ("8613800138001", "8613800138002")
    async with running_carrier(protocol=protocol) as carrier:
        phone = await connect(carrier.port, protocol=protocol)
        phone.send(a_message(more_destinations=others))
        await phone.until(lambda: len(phone.all(events.ReportReceived)) == 3)
        reports = [event.report for event in phone.all(events.ReportReceived)]
        (answer,) = phone.all(events.Answered)
        expected = {phone.dialect.group_id(answer.message_id, place) for place in range(3)}
        assert {report.message_id for report in reports} == expected
        assert {report.recipient for report in reports} == {PHONE, *others}
        await phone.close()


@pytest.mark.parametrize("protocol", NAMES)
async def test_a_strange_id_is_strange(protocol: str) -> None:
    async with running_carrier(protocol=protocol, wrong_id=1) as carrier:
        phone = await connect(carrier.port, protocol=protocol)
        phone.send(a_message())
        await phone.until(lambda: len(phone.all(events.ReportReceived)) == 2)
        given = phone.all(events.Answered)[0].message_id
        assert [event.report.message_id == given for event in phone.all(events.ReportReceived)] == [False, True]
        await phone.close()


_CMPP_QUERY = {"command": "CMPP_QUERY", "Time": "20261123", "Query_Type": 0, "Query_Code": "", "Reserve": ""}
_TRACED = {f"SubmitSequenceNumber{place}": place for place in (1, 2, 3)}


@pytest.mark.parametrize(
    ("protocol", "asked", "expected"),
    [
        ("cmpp20", _CMPP_QUERY, {"MT_TLMsg": 1, "Time": "20261123"}),
        ("cmpp30", {"command": "CMPP_CANCEL", "Msg_Id": 5}, {"Success_Id": 1}),
        ("smgp30", {"command": "Query", "QueryTime": "20261123", "QueryType": 0, "QueryCode": ""}, {"MT_TLMsg": 1}),
        ("sgip12", {"command": "SGIP_TRACE", **_TRACED, "UserNumber": PHONE, "Reserve": ""}, {"Count": 0}),
        (
            "smpp34",
            {"command": "query_sm", "message_id": "1", "source_addr_ton": 1, "source_addr_npi": 1, "source_addr": "1"},
            {"command_status": 0x67},
        ),
    ],
)
async def test_other_requests_are_answered(
    protocol: str, asked: dict[str, object], expected: dict[str, object]
) -> None:
    async with running_carrier(protocol=protocol) as carrier:
        phone = await connect(carrier.port, protocol=protocol)
        phone.send(a_message())
        await phone.until(lambda: bool(phone.all(events.Answered)))
        phone.session.request(77, asked, asyncio.get_running_loop().time())
        phone.flush()
        await phone.until(lambda: bool(phone.all(events.Replied)))
        fields = phone.all(events.Replied)[0].fields
        assert {name: fields.get(name) for name in expected} == expected
        await phone.close()


async def test_a_request_between_gateways_does_not_end_the_session() -> None:
    async with running_carrier(protocol="cmpp30") as carrier:
        phone = await connect(carrier.port, protocol="cmpp30")
        asked = {"command": "CMPP_MT_ROUTE", "Source_Id": "000001", "Terminal_Id": PHONE}
        phone.session.request(77, asked, asyncio.get_running_loop().time())
        phone.send(a_message())
        await phone.until(lambda: bool(phone.all(events.Answered)))
        assert carrier.stats["peer_errors"] == 1
        await phone.close()


async def test_the_carrier_calls_the_listener_and_calls_again() -> None:
    async with (
        listening_desk("sgip12") as (port, desks),
        running_carrier(protocol="sgip12", listener=f"127.0.0.1:{port}", listener_pause_ms=10) as carrier,
    ):
        phone = await connect(carrier.port, protocol="sgip12", mode=BindMode.TRANSMITTER)
        phone.send(a_message())
        desk = await desks.get()
        await desk.until(lambda: bool(desk.all(events.ReportReceived)))
        assert desk.all(events.ReportReceived)[0].report.message_id == phone.all(events.Answered)[0].message_id
        assert not phone.all(events.ReportReceived)
        await desk.close()
        assert carrier.gateway.say("gx", PHONE, "10690001", "您好，" * 60) == 3
        again = await desks.get()
        await again.until(lambda: len(again.all(events.DeliverReceived)) == 3)
        bodies = [smstext.split_header(event.mo.content)[1] for event in again.all(events.DeliverReceived)]
        assert b"".join(bodies).decode("utf-16-be") == "您好，" * 60
        assert (carrier.stats["calls"], carrier.stats["sessions"]) == (2, 1)
        await phone.close()


async def test_a_listener_that_refuses_is_left_alone_for_a_while() -> None:
    async with (
        listening_desk("sgip12", "another secret") as (port, desks),
        running_carrier(protocol="sgip12", listener=f"127.0.0.1:{port}", listener_pause_ms=60_000) as carrier,
    ):
        carrier.gateway.say("gx", PHONE, "10690001", "T")
        desk = await desks.get()
        await desk.until(lambda: bool(desk.all(events.Closed)))
        await desk.lost.wait()
        async with asyncio.timeout(10):
            while not carrier.stats["calls_failed"]:  # noqa: ASYNC110 - the counter is the only witness
                await asyncio.sleep(0)
        assert desks.empty()
        assert carrier.stats["mo_sent"] == 0


@pytest.mark.parametrize("protocol", [name for name in NAMES if name != "sgip12"])
def test_a_listener_where_carriers_do_not_call_is_a_mistake(protocol: str) -> None:
    with pytest.raises(ValueError, match="calls no listener"):
        Gateway(dialect(protocol), [Account("gx", "secret", 1, "127.0.0.1:9")], Faults())


def test_a_listener_needs_a_port() -> None:
    with pytest.raises(ValueError, match="host:port"):
        Gateway(dialect("sgip12"), [Account("gx", "secret", 1, "somewhere")], Faults())
