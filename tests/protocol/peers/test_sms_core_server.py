"""SMSGate's sms-core as the gateway, our engine as the provider: all protocols, and SGIP's second direction both ways."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from carrier_client import Phone, connect, listening_desk, running_carrier
from sms_core import Endpoint, Machine, missing
from sms_core_forms import FORMS, Form

import smstext
from carrier import events
from carrier.dialects import dialect
from carrier.errors import WindowFullError
from carrier.ids import candidates, canonical
from carrier.model import Outcome, ReportState, Submit
from smstext import Coding

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing() or "here"),
    pytest.mark.xdist_group("sms-core"),
    pytest.mark.timeout(400),  # the first run of a machine fetches the peer
]

PORT, PHONE = "10690001", "8613800138000"
LONG = "尊敬的客户，您本月电费账单已出，请在二十日前缴纳。" * 6
NODE = 3075512345
REFUSALS = {"cmpp20": 3, "cmpp30": 3, "sgip12": 1, "smgp30": 3, "smpp34": 0x0D}
"""The peer's statuses for a wrong secret; 3 in SMGP is its own idea, see the findings in `conformance`."""


@pytest.fixture(params=sorted(FORMS))
def form(request: pytest.FixtureRequest) -> Form:
    return FORMS[request.param]


@asynccontextmanager
async def bound(machine: Machine, form: Form) -> AsyncIterator[tuple[Endpoint, Phone]]:
    """Our client bound to the peer's server."""
    peer = machine.endpoint()
    port = await peer.listen(form.protocol)
    settings = {"node_id": NODE} if form.protocol == "sgip12" else {}
    phone = await connect(port, protocol=form.protocol, settings=settings)
    await peer.event("bound")
    try:
        yield peer, phone
    finally:
        await phone.close()
        peer.order("close")


def parts_of(phone: Phone, text: str, coding: Coding) -> list[Submit]:
    """The segments of a text in one of the dialect's codings."""
    split = smstext.split(text, coding, reference=9)
    total = len(split.payloads)
    return [
        Submit(
            PORT,
            PHONE,
            payload,
            data_coding=phone.dialect.codings[coding.value],
            udhi=total > 1,
            part_total=total,
            part_number=number,
        )
        for number, payload in enumerate(split.payloads, 1)
    ]


async def test_we_bind_and_the_peer_proves_itself(machine: Machine, form: Form, shown) -> None:
    async with bound(machine, form) as (_, phone):
        (bind,) = phone.all(events.Bound)
        has_proof = form.protocol in {"cmpp20", "cmpp30", "smgp30"}
        assert bind.trusted is (True if has_proof else None)
    shown(form.protocol, "client", "bind")
    if has_proof:
        shown(form.protocol, "client", "bind, server's proof")


async def test_with_a_wrong_secret_we_are_refused(machine: Machine, form: Form, shown) -> None:
    peer = machine.endpoint()
    phone = await connect(await peer.listen(form.protocol), "wrong", protocol=form.protocol)
    (refused,) = phone.all(events.BindRefused)
    assert refused.status == REFUSALS[form.protocol]
    await phone.close()
    peer.order("close")
    shown(form.protocol, "client", "bind, wrong secret")


@pytest.mark.parametrize("coding", [Coding.ASCII, Coding.UCS2, Coding.GB18030])
@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
async def test_submits_arrive_whole_and_their_receipts_match(
    machine: Machine, form: Form, coding: Coding, long: bool, shown
) -> None:
    if form.protocol == "smpp34" and coding is Coding.GB18030:
        pytest.skip("SMPP has no data coding for GB 18030")
    text = LONG if coding is not Coding.ASCII else "Your bill of November is ready. " * 9
    text = text if long else text[:20]
    async with bound(machine, form) as (peer, phone):
        batch = parts_of(phone, text, coding)
        assert (len(batch) > 1) is long
        phone.send(*batch)
        await phone.until(lambda: len(phone.all(events.Answered)) == len(batch))
        assert (await peer.event("whole"))["text"] == text
        given = [(await peer.event("answered", form.submit_answer))["fields"][form.answer_id] for _ in batch]
        answers = phone.all(events.Answered)
        assert {answer.outcome for answer in answers} == {Outcome.OK}
        ours = [answer.message_id for answer in answers]
        assert list(map(canonical, ours)) == list(map(canonical, given))

        for message_id in given:
            peer.send(form.report, **form.fill_report(message_id, PHONE, PORT))
        await phone.until(lambda: len(phone.all(events.ReportReceived)) == len(batch))
        reports = [event.report for event in phone.all(events.ReportReceived)]
        assert {report.state for report in reports} == {ReportState.DELIVERED}
        assert {report.recipient for report in reports} == {PHONE}
        wanted = {canonical(message_id) for message_id in ours}
        assert all(wanted & set(candidates(report.message_id)) for report in reports)
        for _ in batch:
            assert (await peer.got(form.report_answer))[form.status] == 0
        assert not phone.all(events.PeerError)
    shown(form.protocol, "client", f"submit{', long' if long else ''}, {coding.value}", "report")


@pytest.mark.parametrize("long", [False, True], ids=["short", "long"])
async def test_replies_arrive_whole(machine: Machine, form: Form, long: bool, shown) -> None:
    text = LONG if long else "退订"
    async with bound(machine, form) as (peer, phone):
        peer.send(form.deliver, **form.fill_mo(PHONE, PORT, form.text(text, 8)))
        joiner: list[bytes] = []
        await phone.until(lambda: bool(phone.all(events.DeliverReceived)))
        first = phone.all(events.DeliverReceived)[0].mo
        total = 1
        if long:
            concat = smstext.split_header(first.content)[0].concat
            assert concat is not None
            total = concat.total
        await phone.until(lambda: len(phone.all(events.DeliverReceived)) == total)
        replies = [event.mo for event in phone.all(events.DeliverReceived)]
        if long:
            headed = [smstext.split_header(mo.content) for mo in replies]
            joiner = [body for _, body in sorted(headed, key=lambda one: one[0].concat.index if one[0].concat else 0)]
        else:
            joiner = [mo.content for mo in replies]
        assert smstext.decode(b"".join(joiner), Coding.UCS2) == text
        assert {(mo.source, mo.destination, mo.data_coding) for mo in replies} == {(PHONE, PORT, 8)}
        for _ in replies:
            assert (await peer.got(form.deliver_answer))[form.status] == 0
    shown(form.protocol, "client", f"deliver{', long' if long else ''}, ucs2")


async def test_throttled_is_understood(machine: Machine, form: Form, shown) -> None:
    if form.protocol == "smgp30":
        pytest.skip("SMGP 3.0 defines no status for throttling")
    async with bound(machine, form) as (peer, phone):
        await peer.answer(status=form.throttled)
        phone.send(*parts_of(phone, "quick", Coding.ASCII))
        await phone.until(lambda: bool(phone.all(events.Answered)))
        (answer,) = phone.all(events.Answered)
        assert (answer.status, answer.outcome) == (form.throttled, Outcome.THROTTLED)
    shown(form.protocol, "client", "submit, throttled")


async def test_our_window_holds_while_the_peer_is_silent(machine: Machine, form: Form, shown) -> None:
    peer = machine.endpoint()
    port = await peer.listen(form.protocol)
    published = dialect(form.protocol).limits
    phone = await connect(port, protocol=form.protocol, limits=published)
    await peer.event("bound")
    await peer.answer(hold=True)
    (one,) = parts_of(phone, "waiting", Coding.ASCII)
    phone.send(*[one] * published.window)
    assert phone.session.window_free == 0
    with pytest.raises(WindowFullError):
        phone.send(one)
    for _ in range(published.window):
        await peer.got(form.submit)
    assert not phone.all(events.Answered)
    peer.order("release")
    await phone.until(lambda: len(phone.all(events.Answered)) == published.window)
    assert phone.session.window_free == published.window
    await phone.close()
    peer.order("close")
    shown(form.protocol, "client", "window")


async def test_keep_alives_both_ways(machine: Machine, form: Form, shown) -> None:
    if not form.keepalive:
        pytest.skip("SGIP has no keep-alive")
    async with bound(machine, form) as (peer, phone):
        peer.send(form.keepalive)
        await peer.got(form.keepalive_answer)
        later = time.monotonic() + phone.session.limits.keepalive_idle + 1
        assert not phone.session.handle_timer(later)
        before = phone.octets_read
        phone.flush()
        await peer.got(form.keepalive)
        await phone.until(lambda: phone.octets_read > before)
        # Unanswered it would be asked again at the response time-out; answered, the link counts as idle from now.
        assert phone.session.closed is None
    shown(form.protocol, "client", "keep-alive")


async def test_goodbye_ours_and_theirs(machine: Machine, form: Form, shown) -> None:
    async with bound(machine, form) as (peer, phone):
        phone.unbind()
        await peer.got(form.unbind)
        await phone.until(lambda: bool(phone.all(events.Closed)))
        assert phone.all(events.Closed)[0].reason is events.CloseReason.UNBOUND
    async with bound(machine, form) as (peer, phone):
        peer.send(form.unbind)
        await peer.got(form.unbind_answer)
        await phone.until(lambda: bool(phone.all(events.Closed)))
        assert phone.all(events.Closed)[0].reason is events.CloseReason.PEER_UNBOUND
    shown(form.protocol, "client", "unbind")


async def test_a_cut_leaves_what_was_sent_uncertain(machine: Machine, form: Form, shown) -> None:
    async with bound(machine, form) as (peer, phone):
        await peer.answer(hold=True)
        tokens = phone.send(*parts_of(phone, LONG, Coding.UCS2))
        for _ in tokens:
            await peer.got(form.submit)
        peer.order("cut")
        await phone.until(lambda: bool(phone.all(events.Closed)))
        assert list(phone.all(events.Closed)[0].unanswered) == tokens
    shown(form.protocol, "client", "connection cut")


@pytest.mark.parametrize("protocol", ["cmpp20", "cmpp30"])
async def test_query_and_cancel(machine: Machine, protocol: str, shown) -> None:
    async with bound(machine, FORMS[protocol]) as (peer, phone):
        asked = {"command": "CMPP_QUERY", "Time": "20261123", "Query_Type": 1, "Query_Code": "help", "Reserve": ""}
        phone.session.request(901, asked, time.monotonic())
        phone.flush()
        await phone.until(lambda: bool(phone.all(events.Replied)))
        fields = phone.all(events.Replied)[0].fields
        assert (fields["Time"], fields["Query_Code"], fields["MT_TLMsg"], fields["MT_Scs"]) == (
            "20261123",
            "help",
            11,
            7,
        )
        phone.session.request(902, {"command": "CMPP_CANCEL", "Msg_Id": 0x1122334455667788}, time.monotonic())
        phone.flush()
        assert (await peer.got("CmppCancelRequestMessage"))["MsgId"] == "1122334455667788"
        await phone.until(lambda: len(phone.all(events.Replied)) == 2)
        assert phone.all(events.Replied)[1].fields["Success_Id"] == 0
    shown(protocol, "client", "query", "cancel")


async def test_query_sm(machine: Machine, shown) -> None:
    async with bound(machine, FORMS["smpp34"]) as (_, phone):
        asked = {
            "command": "query_sm",
            "message_id": "1a2b",
            "source_addr_ton": 1,
            "source_addr_npi": 1,
            "source_addr": PORT,
        }
        phone.session.request(901, asked, time.monotonic())
        phone.flush()
        await phone.until(lambda: bool(phone.all(events.Replied)))
        fields = phone.all(events.Replied)[0].fields
        assert (fields["message_id"], fields["message_state"]) == ("1a2b", 2)
    shown("smpp34", "client", "query")


async def test_the_sgip_gateway_calls_our_listener(machine: Machine, shown) -> None:
    form = FORMS["sgip12"]
    async with listening_desk("sgip12") as (port, desks):
        peer = machine.endpoint()
        peer.connect("sgip12", port, mode="receiver", node=NODE)
        await peer.event("bound")
        desk = await desks.get()
        peer.send(form.report, **form.fill_report("b750981942f1547400000007", PHONE, PORT))
        peer.send(form.deliver, **form.fill_mo(PHONE, PORT, form.text(LONG, 8)))
        await desk.until(lambda: bool(desk.all(events.ReportReceived)) and len(desk.all(events.DeliverReceived)) > 1)
        assert desk.all(events.ReportReceived)[0].report.message_id == "b750981942f1547400000007"
        assert (await peer.got(form.report_answer))["Result"] == 0
        assert (await peer.got(form.deliver_answer))["Result"] == 0
        peer.send(form.unbind)
        await peer.got(form.unbind_answer)
        await desk.until(lambda: bool(desk.all(events.Closed)))
        peer.order("close")
    shown("sgip12", "client", "bind of the gateway (type 2)", "report on its own link", "deliver on its own link")


async def test_our_sgip_gateway_calls_its_listener(machine: Machine, shown) -> None:
    form = FORMS["sgip12"]
    provider = machine.endpoint()
    port = await provider.listen("sgip12", mode="receiver")
    async with running_carrier(protocol="sgip12", listener=f"127.0.0.1:{port}") as carrier:
        client = machine.endpoint()
        client.connect("sgip12", carrier.port, mode="transmitter", node=NODE)
        await client.event("bound")
        client.send(form.submit, **form.fill_submit(PORT, PHONE, form.text("to be reported", 0), True))
        answer = await client.got(form.submit_answer)
        await provider.event("bound")
        report = await provider.got(form.report)
        assert form.report_id(report) == answer[form.answer_id]
        carrier.gateway.say("gx", PHONE, PORT, LONG)
        assert (await provider.event("whole"))["text"] == LONG
        async with asyncio.timeout(10):
            while carrier.stats["mo_answered"] < 2:  # noqa: ASYNC110 - the gateway is in this loop
                await asyncio.sleep(0)
        assert (carrier.stats["calls"], carrier.stats["calls_failed"], carrier.stats["receipts_answered"]) == (1, 0, 1)
        client.order("close")
    provider.order("close")
    shown("sgip12", "server", "bind of the gateway (type 2)", "report on its own link", "deliver on its own link")
