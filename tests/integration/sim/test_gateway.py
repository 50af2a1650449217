"""The simulated carrier over real sockets: what it counts is what happened, and it misbehaves as ordered."""

from __future__ import annotations

import asyncio

import httpx

from carrier import events
from carrier.model import BindMode, Outcome, Refusal
from sim.carrier.http import build_app
from sim.carrier.hub import Hub


async def test_sessions_above_the_agreed_number_are_refused_and_counted(carrier) -> None:
    phones = [await carrier.connect() for _ in range(3)]
    assert [bool(phone.all(events.Bound)) for phone in phones] == [True, True, False]
    assert phones[2].all(events.BindRefused)[0].refusal in {Refusal.LIMIT, Refusal.TEMPORARY}
    stats = carrier.stats
    assert (stats["bind_attempts"], stats["over_sessions"], stats["sessions"], stats["sessions_max"]) == (3, 1, 2, 2)


async def test_wrong_secret_is_refused(carrier) -> None:
    phone = await carrier.connect(secret="wrong")
    assert phone.all(events.BindRefused)[0].refusal is Refusal.CREDENTIALS
    assert carrier.stats["binds_refused"] == 1


async def test_every_submit_is_answered_reported_and_counted(carrier) -> None:
    phone = await carrier.connect()
    phone.submit(*(f"text {number}" for number in range(300)))
    await phone.until(lambda: len(phone.all(events.ReportReceived)) == 300)
    answers = phone.all(events.Answered)
    assert {answer.outcome for answer in answers} == {Outcome.OK}
    reported = {event.report.message_id for event in phone.all(events.ReportReceived)}
    assert reported == {answer.message_id for answer in answers}
    stats = carrier.stats
    assert (stats["submits"], stats["accepted"], stats["distinct"], stats["duplicates"]) == (300, 300, 300, 0)
    assert stats["receipts_sent"] == 300


async def test_same_text_to_same_phone_is_a_duplicate(carrier) -> None:
    phone = await carrier.connect()
    phone.submit("again", "again")
    await phone.until(lambda: len(phone.all(events.Answered)) == 2)
    assert (carrier.stats["distinct"], carrier.stats["duplicates"]) == (1, 1)


async def test_rate_limit_throttles_what_is_above(carrier) -> None:
    carrier.faults(rate_limit=10)
    phone = await carrier.connect()
    phone.submit(*(f"text {number}" for number in range(25)))
    await phone.until(lambda: len(phone.all(events.Answered)) == 25)
    outcomes = [answer.outcome for answer in phone.all(events.Answered)]
    assert (outcomes.count(Outcome.OK), outcomes.count(Outcome.THROTTLED)) == (10, 15)
    assert carrier.stats["throttled"] == 15


async def test_receipt_comes_before_its_answer(carrier) -> None:
    carrier.faults(receipt_before_response=1, latency_ms=20)
    phone = await carrier.connect()
    phone.submit("early")
    await phone.until(lambda: bool(phone.all(events.Answered)))
    kinds = [type(event) for event in phone.events if isinstance(event, events.Answered | events.ReportReceived)]
    assert kinds == [events.ReportReceived, events.Answered]


async def test_doubled_wrong_and_failed_receipts(carrier) -> None:
    carrier.faults(receipt_delay_ms=0, receipt_duplicate=1, wrong_id=1)
    phone = await carrier.connect()
    phone.submit("x", recipient="8613800130404")
    await phone.until(lambda: len(phone.all(events.ReportReceived)) == 3)
    reports = [event.report for event in phone.all(events.ReportReceived)]
    given = phone.all(events.Answered)[0].message_id
    assert [report.message_id == given for report in reports] == [False, True, True]
    assert {report.stat for report in reports} == {"UNDELIV"}


async def test_lost_answers_are_accepted_all_the_same(carrier) -> None:
    carrier.faults(drop_response=1, receipt_delay_ms=0)
    phone = await carrier.connect()
    phone.submit("into the dark")
    await phone.until(lambda: bool(phone.all(events.ReportReceived)))
    assert not phone.all(events.Answered)
    assert carrier.stats["accepted"] == 1


async def test_silence_answers_nothing_and_ends(carrier) -> None:
    phone = await carrier.connect()
    carrier.faults(silence=True)
    phone.submit("unheard")
    async with asyncio.timeout(5):
        # The counter is the only witness.
        while not carrier.gateway.stats.account("gx").counts["unanswered"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
    carrier.faults(receipt_delay_ms=0)
    phone.submit("heard")
    await phone.until(lambda: bool(phone.all(events.Answered)))
    assert [answer.token for answer in phone.all(events.Answered)] == [2]


async def test_receipts_of_a_cut_session_come_on_the_next(carrier) -> None:
    carrier.faults(receipt_delay_ms=100)
    first = await carrier.connect()
    first.submit("a", "b")
    await first.until(lambda: len(first.all(events.Answered)) == 2)
    first.transport.abort()
    second = await carrier.connect(mode=BindMode.RECEIVER)
    await second.until(lambda: len(second.all(events.ReportReceived)) == 2)


async def test_sessions_are_cut_in_turn(carrier) -> None:
    phone = await carrier.connect()
    carrier.faults(disconnect_every_s=0.05)
    await phone.until(lambda: bool(phone.all(events.Closed)))
    assert carrier.stats["disconnects"] >= 1


async def test_http_control(carrier) -> None:
    phone = await carrier.connect()
    transport = httpx.ASGITransport(build_app(Hub.alone(carrier.gateway)))
    async with httpx.AsyncClient(transport=transport, base_url="http://sim") as http:
        long = "您好，" * 60
        answer = await http.post("/mo", json={"from": "13800138000", "to": "10690001", "text": long})
        assert answer.json() == {"queued": True, "segments": 3}
        await phone.until(lambda: len(phone.all(events.DeliverReceived)) == 3)
        assert (await http.get("/stats")).json()["mo_sent"] == 3
        refused = await http.put("/faults", json={"throttle": 2})
        assert refused.status_code == 422
        assert "throttle" in refused.json()["detail"]
        assert (await http.put("/faults", json={"latency_ms": 5})).json()["latency_ms"] == 5
        assert (await http.put("/faults", json={"reset": True})).json()["latency_ms"] == 0
        phone.submit("seen")
        await phone.until(lambda: bool(phone.all(events.Answered)))
        assert (await http.get("/messages")).json()[0]["text"] == "seen"
        for bad in ({}, {"from": "x", "to": "1", "text": "y"}, {"from": "13800138000", "to": "10690001", "text": ""}):
            assert (await http.post("/mo", json=bad)).status_code == 422
        await http.post("/reset")
        stats = (await http.get("/stats")).json()
        assert (stats["submits"], stats["sessions"]) == (0, 1)


async def test_octets_that_are_no_protocol_do_not_stop_the_others(carrier) -> None:
    phone = await carrier.connect()
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 5) is not None
    writer.close()
    phone.submit("still here")
    await phone.until(lambda: bool(phone.all(events.Answered)))
