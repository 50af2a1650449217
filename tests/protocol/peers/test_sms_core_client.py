"""SMSGate's sms-core as the provider, our simulated carrier as the gateway: all protocols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from carrier_client import Carrier, running_carrier
from sms_core import Endpoint, Machine, missing
from sms_core_forms import FORMS, Form

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing() or "here"),
    pytest.mark.xdist_group("sms-core"),
    pytest.mark.timeout(400),  # the first run of a machine fetches the peer
]

PORT, PHONE = "10690001", "8613800138000"
LONG = "尊敬的客户，您本月电费账单已出，请在二十日前缴纳。" * 6
NODE = 3075512345  # above 2**31: a node id is an unsigned number


@pytest.fixture(params=sorted(FORMS))
def form(request: pytest.FixtureRequest) -> Form:
    return FORMS[request.param]


@asynccontextmanager
async def bound(machine: Machine, form: Form, **faults: object) -> AsyncIterator[tuple[Carrier, Endpoint]]:
    """A peer that is bound to our gateway."""
    more = {"node": NODE} if form.protocol == "sgip12" else {}
    window = faults.pop("peer_window", None)
    if window:
        more["window"] = window
    async with running_carrier(protocol=form.protocol, **faults) as carrier:
        peer = machine.endpoint()
        peer.connect(form.protocol, carrier.port, **more)
        await peer.event("bound")
        yield carrier, peer
        peer.order("close")


async def test_a_short_message_its_receipt_a_reply_and_goodbye(machine: Machine, form: Form, shown) -> None:
    async with bound(machine, form) as (carrier, peer):
        text = "Your code is 482100"
        peer.send(form.submit, **form.fill_submit(PORT, PHONE, form.text(text, 0), True))
        answer = await peer.got(form.submit_answer)
        assert answer[form.status] == 0
        report = await peer.got(form.report)
        assert form.report_id(report) == answer[form.answer_id]
        assert form.report_words(report) in {"DELIVRD", "0"}
        sample = carrier.gateway.samples(1)[0]
        assert (sample.sender, sample.recipient, sample.text, sample.segments) == (PORT, PHONE, text, 1)

        carrier.gateway.say("gx", PHONE, PORT, "满意")
        await peer.got(form.deliver)
        assert (await peer.event("whole"))["text"] == "满意"
        if form.keepalive:
            peer.send(form.keepalive)
            await peer.got(form.keepalive_answer)
        peer.send(form.unbind)
        await peer.got(form.unbind_answer)
        await peer.event("closed")
        stats = carrier.stats
        assert (stats["accepted"], stats["receipts_answered"], stats["mo_answered"]) == (1, 1, 1)
        assert stats["peer_errors"] == 0
    shown(form.protocol, "server", "bind", "submit, ascii", "report", "deliver, ucs2", "unbind")
    if form.keepalive:
        shown(form.protocol, "server", "keep-alive")


@pytest.mark.parametrize(("alphabet", "coding"), [("ucs2", 8), ("gb18030", 15)])
async def test_long_messages_both_ways(machine: Machine, form: Form, alphabet: str, coding: int, shown) -> None:
    if form.protocol == "smpp34" and alphabet == "gb18030":
        pytest.skip("SMPP has no data coding for GB 18030")
    async with bound(machine, form) as (carrier, peer):
        peer.send(form.submit, **form.fill_submit(PORT, PHONE, form.text(LONG, coding), True))
        answers = [await peer.got(form.submit_answer)]
        async with asyncio.timeout(10):
            while not carrier.gateway.samples(1):  # noqa: ASYNC110 - the gateway is in this loop
                await asyncio.sleep(0)
        sample = carrier.gateway.samples(1)[0]
        assert sample.text == LONG
        assert sample.segments > 1
        answers += [await peer.got(form.submit_answer) for _ in range(sample.segments - 1)]
        reports = [await peer.got(form.report) for _ in answers]
        assert sorted(map(form.report_id, reports)) == sorted(answer[form.answer_id] for answer in answers)

        segments = carrier.gateway.say("gx", PHONE, PORT, LONG)
        assert segments > 1
        assert (await peer.event("whole"))["text"] == LONG
        assert carrier.stats["peer_errors"] == 0
    shown(form.protocol, "server", f"submit, long, {alphabet}", "deliver, long, ucs2")


async def test_a_wrong_secret_is_refused(machine: Machine, form: Form, shown) -> None:
    async with running_carrier(protocol=form.protocol) as carrier:
        peer = machine.endpoint()
        peer.connect(form.protocol, carrier.port, password="wrong")
        answer = await peer.got(form.bind_answer)
        assert answer.get("Status", answer.get("Result", answer.get("CommandStatus"))) != 0
        await peer.event("closed")
        assert carrier.stats["binds_refused"] == 1
        peer.order("close")
    shown(form.protocol, "server", "bind, wrong secret")


async def test_a_session_too_many_is_refused(machine: Machine, form: Form, shown) -> None:
    async with bound(machine, form) as (carrier, _), bound_again(machine, form, carrier):
        third = machine.endpoint()
        third.connect(form.protocol, carrier.port)
        answer = await third.got(form.bind_answer)
        assert answer.get("Status", answer.get("Result", answer.get("CommandStatus"))) != 0
        await third.event("closed")
        third.order("close")
        assert (carrier.stats["over_sessions"], carrier.stats["sessions_max"]) == (1, 2)
    shown(form.protocol, "server", "bind, one too many")


@asynccontextmanager
async def bound_again(machine: Machine, form: Form, carrier: Carrier) -> AsyncIterator[None]:
    second = machine.endpoint()
    second.connect(form.protocol, carrier.port)
    await second.event("bound")
    yield
    second.order("close")


async def test_it_understands_our_throttling_and_sends_again(machine: Machine, form: Form, shown) -> None:
    if form.protocol == "smgp30":
        pytest.skip("SMGP 3.0 defines no status for throttling; the peer has none either")
    async with bound(machine, form, throttle=1) as (carrier, peer):
        peer.send(form.submit, **form.fill_submit(PORT, PHONE, form.text("slowly", 0), False))
        assert (await peer.got(form.submit_answer))[form.status] == form.throttled
        carrier.faults()
        await peer.got(form.submit_answer, **{form.status: 0})
        assert carrier.stats["accepted"] == 1
        assert carrier.stats["throttled"] >= 1
    shown(form.protocol, "server", "submit, throttled")


async def test_its_window_is_never_exceeded(machine: Machine, form: Form, shown) -> None:
    async with bound(machine, form, peer_window=4, window=4, latency_ms=5) as (carrier, peer):
        for number in range(40):
            peer.send(form.submit, **form.fill_submit(PORT, PHONE, form.text(f"number {number}", 0), False))
        statuses = [(await peer.got(form.submit_answer))[form.status] for _ in range(40)]
        assert (carrier.stats["distinct"], carrier.stats["unanswered"]) == (40, 0)
        over = carrier.stats["over_window"]
        assert statuses.count(0) == 40 - over
    shown(form.protocol, "server", "window")


@pytest.mark.parametrize("protocol", ["cmpp20", "cmpp30"])
async def test_its_query_and_cancel_are_answered(machine: Machine, protocol: str, shown) -> None:
    form = FORMS[protocol]
    async with bound(machine, form) as (_, peer):
        peer.send(form.submit, **form.fill_submit(PORT, PHONE, form.text("counted", 0), False))
        answer = await peer.got(form.submit_answer)
        peer.send("CmppQueryRequestMessage", Time="20261123", QueryType=0, QueryCode="")
        reply = await peer.got("CmppQueryResponseMessage")
        assert (reply["Time"], reply["MtTLMsg"]) == ("20261123", 1)
        shown(protocol, "server", "query")
        peer.send("CmppCancelRequestMessage", MsgId=answer["MsgId"])
        if protocol == "cmpp20":
            # It reads Success_Id as four octets in both versions; in 2.0 it has one (reference 2.17), and so we write it.
            assert "readerIndex(0) + length(4) exceeds writerIndex(1)" in (await peer.event("fault"))["detail"]
            return
        assert (await peer.got("CmppCancelResponseMessage"))["SuccessId"] == 1
    shown(protocol, "server", "cancel")
