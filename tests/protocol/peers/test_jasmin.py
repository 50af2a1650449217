"""Jasmin: its SMPP client with our simulated carrier, and the server it is built on with our client."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from carrier_client import Phone, connect, running_carrier
from jasmin_peer import PYTHON, missing
from line_peer import running

import smstext
from carrier import events
from carrier.ids import canonical
from carrier.model import Outcome, ReportState, Submit

HERE = Path(__file__).parent / "jasmin"
PORT, PHONE = "10690001", "8613800138000"
LONG = "尊敬的客户，您本月电费账单已出，请在二十日前缴纳。" * 6
BUILT_ON = "smpp.twisted3 0.8 (Jasmin's)"

pytestmark = [pytest.mark.xdist_group("jasmin"), pytest.mark.timeout(400)]  # its first run installs the peer


@pytest.fixture(autouse=True)
def installed():
    if missing():
        pytest.skip(missing())


def client(port: int, password: str = "secret"):
    return running(str(PYTHON), str(HERE / "client.py"), PEER_PORT=str(port), PEER_ACCOUNT="gx", PEER_PASSWORD=password)


def server(password: str = "secret"):
    return running(str(PYTHON), str(HERE / "server.py"), PEER_PASSWORD=password)


async def test_its_client_with_our_carrier(shown) -> None:
    async with running_carrier() as carrier, client(carrier.port) as peer:
        await peer.event("bound")
        peer.order(do="submit", source=PORT, destination=PHONE, text="您的验证码是4821")
        answer = await peer.event("answered")
        assert answer["status"] == "ESME_ROK"
        receipt = await peer.event("receipt")
        assert f"id:{answer['id']} " in receipt["text"]
        assert "stat:DELIVRD" in receipt["text"]
        assert (receipt["id"], receipt["source"]) == (answer["id"], PHONE)
        carrier.gateway.say("gx", PHONE, PORT, "满意")
        assert (await peer.event("mo"))["text"] == "满意"
        shown("smpp34", "server", "bind", "submit, ucs2", "report", "deliver, ucs2")

        peer.order(do="submit", source=PORT, destination=PHONE, text=LONG)
        whole = await peer.event("answered")
        assert (whole["status"], len(whole["parts"])) == ("ESME_ROK", 3)
        assert [sample.text for sample in carrier.gateway.samples(2)] == [LONG, "您的验证码是4821"]
        shown("smpp34", "server", "submit, long, ucs2")

        async with asyncio.timeout(30):
            while carrier.stats["receipts_answered"] < 4:  # noqa: ASYNC110 - the gateway is in this loop
                await asyncio.sleep(0)
        peer.order(do="unbind")
        await peer.event("unbound")
        assert carrier.stats["peer_errors"] == 0
    shown("smpp34", "server", "unbind")


async def test_its_client_asks_and_cancels_too_late(shown) -> None:
    async with running_carrier() as carrier, client(carrier.port) as peer:
        await peer.event("bound")
        for what, status in (("query", "QUERY"), ("cancel", "CANCEL")):
            peer.order(do=what, id="1a2b", source=PORT, destination=PHONE)
            assert (await peer.event("refused"))["status"] == f"ESME_R{status}FAIL"
        assert carrier.stats["peer_errors"] == 0
    shown("smpp34", "server", "query, refused", "cancel, refused")


async def test_its_client_is_refused(shown) -> None:
    async with running_carrier() as carrier, client(carrier.port, "wrong") as peer:
        await peer.event("ended")
        assert carrier.stats["binds_refused"] == 1
    shown("smpp34", "server", "bind, wrong secret")


async def test_our_client_with_its_server(shown) -> None:
    async with server() as peer:
        phone = await connect((await peer.event("listening"))["port"])
        parts = smstext.split(LONG, reference=7)
        phone.send(*[Submit(PORT, PHONE, payload, 8, udhi=True) for payload in parts.payloads])
        got = [await peer.event("submit") for _ in parts.payloads]
        assert [bytes.fromhex(one["content"]) for one in got] == list(parts.payloads)
        assert {tuple(one["features"]) for one in got} == {("UDHI_INDICATOR_SET",)}
        await phone.until(lambda: len(phone.all(events.ReportReceived)) == parts.total)
        reports = [event.report for event in phone.all(events.ReportReceived)]
        assert {report.state for report in reports} == {ReportState.DELIVERED}
        answers = {canonical(answer.message_id) for answer in phone.all(events.Answered)}
        assert {canonical(report.message_id) for report in reports} == answers
        for _ in reports:
            assert (await peer.event("acknowledged"))["status"] == "ESME_ROK"
        peer.order(do="reply", **{"from": PHONE, "to": PORT, "text": "退订"})
        await phone.until(lambda: bool(phone.all(events.DeliverReceived)))
        mo = phone.all(events.DeliverReceived)[0].mo
        assert smstext.decode(mo.content, smstext.Coding.UCS2) == "退订"
        phone.unbind()
        await phone.until(lambda: bool(phone.all(events.Closed)))
        assert phone.all(events.Closed)[0].reason is events.CloseReason.UNBOUND
    subjects = ("bind", "submit, long, ucs2", "report", "deliver, ucs2", "unbind")
    shown("smpp34", "client", *subjects, peer=BUILT_ON)


async def ask(phone: Phone, token: int, fields: dict[str, object]) -> events.Replied:
    before = len(phone.all(events.Replied))
    phone.session.request(token, fields, asyncio.get_running_loop().time())
    phone.flush()
    await phone.until(lambda: len(phone.all(events.Replied)) > before)
    return phone.all(events.Replied)[-1]


async def test_our_client_asks_and_cancels(shown) -> None:
    async with server() as peer:
        phone = await connect((await peer.event("listening"))["port"])
        common = {"message_id": "1a2b", "source_addr_ton": 1, "source_addr_npi": 1, "source_addr": PORT}
        reply = await ask(phone, 901, {"command": "query_sm", **common})
        assert (reply.outcome, reply.fields["message_state"], reply.fields["error_code"]) == (Outcome.OK, 2, 7)
        reply = await ask(phone, 902, {"command": "cancel_sm", **common, "destination_addr": PHONE})
        assert (reply.outcome, reply.fields["command"]) == (Outcome.OK, "cancel_sm_resp")
        for name in ("QuerySM", "CancelSM"):
            assert (await peer.event(name))["id"] == "1a2b"
        await phone.close()
    shown("smpp34", "client", "query", "cancel", peer=BUILT_ON)


async def test_our_client_is_refused_by_its_server(shown) -> None:
    async with server("other") as peer:
        phone = await connect((await peer.event("listening"))["port"])
        assert phone.all(events.BindRefused)
    shown("smpp34", "client", "bind, wrong secret", peer=BUILT_ON)


async def test_keep_alives_of_its_server_are_answered(shown) -> None:
    async with server() as peer:
        phone = await connect((await peer.event("listening"))["port"])
        before = phone.octets_read
        await phone.until(lambda: phone.octets_read > before + 16, 30)  # it asks again only when it was answered
        assert not phone.all(events.Closed)
        await phone.close()
    shown("smpp34", "client", "keep-alive", peer=BUILT_ON)
