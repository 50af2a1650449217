"""Every fault of the simulated modem against our session, in a time of their own: what happens, and that nothing is lost."""

from __future__ import annotations

from typing import Any

import pytest
from modem_wire import Desk, Wire

from gsm import Action, Config, Deliver, StatusReport
from gsm.modem_events import Level, Lost, Ready, Received, Refused, Sent, State, Stopped, Uncertain
from sim.modem.faults import ModemFaults, changed

QUICK = Config(command_wait=2, send_wait=3, poll_every=60)


def sent_and_reported(wire: Wire) -> bool:
    return bool(wire.all(Sent)) and bool(wire.all(Received))


def one_message(wire: Wire) -> None:
    wire.send()
    wire.run(lambda: sent_and_reported(wire))
    (report,) = wire.pdus()
    (sent,) = wire.all(Sent)
    assert (report.tp_mr, str(report.tp_ra), report.tp_st) == (sent.reference, "+8613800138000", 0)


def test_without_faults() -> None:
    wire = Wire().start()
    one_message(wire)
    wire.run(seconds=1)
    assert wire.counts["receipts_answered"] == wire.counts["receipts_sent"] == 1
    assert wire.device.network.samples(1)[0].text == "hello"


def test_a_slow_line_and_small_pieces() -> None:
    wire = Wire(octets_per_s=960, fragment_octets=3).start()
    assert wire.now > 0.2  # the set-up's answers alone are 300 octets
    one_message(wire)


@pytest.mark.parametrize("fault", ["garbage", "interleave"])
def test_noise_and_codes_inside_answers(fault: str) -> None:
    wire = Wire(QUICK, send_ms=50, report_before_response=1, **{fault: 1}).start()
    one_message(wire)
    assert wire.counts["garbage"] > 0 or fault != "garbage"


def test_a_code_that_tears_a_line_makes_the_message_uncertain_and_not_lost() -> None:
    wire = Wire(QUICK, send_ms=50, report_before_response=1).start()
    wire.faults(send_ms=50, report_before_response=1, torn=1, seed=3)
    wire.send(7)
    wire.run(lambda: bool(wire.all(Sent) or wire.all(Uncertain)) and bool(wire.all(Received)))
    wire.faults()
    wire.send(8)
    wire.run(lambda: any(event.token == 8 for event in wire.all(Sent)))


def test_echo_that_cannot_be_switched_off() -> None:
    one_message(Wire(echo_always=True).start())


def test_slow_commands() -> None:
    wire = Wire(command_ms=700).start()
    assert wire.now > 7
    one_message(wire)


def test_a_command_without_answer() -> None:
    wire = Wire(QUICK).start()
    wire.faults(no_answer=1)
    wire.send(7)
    wire.run(lambda: bool(wire.all(Refused)))
    (refused,) = wire.all(Refused)
    assert (refused.token, refused.action) == (7, Action.RETRY)
    wire.faults()
    wire.run(lambda: wire.modem.free)
    one_message(wire)


def test_silence_is_a_modem_lost() -> None:
    wire = Wire(QUICK).start()
    wire.faults(silence=True)
    wire.send(7)
    wire.run(lambda: bool(wire.all(Lost)))
    assert wire.all(Refused)[0].token == 7
    assert wire.modem.state is State.LOST


def test_a_silence_that_ends() -> None:
    wire = Wire(QUICK).start()
    wire.faults(silence=True)
    wire.send(7)
    wire.run(lambda: bool(wire.all(Refused)))
    wire.faults()
    wire.run(lambda: wire.modem.free)
    one_message(wire)


def test_commands_refused() -> None:
    wire = Wire(refuse_command=1)
    wire.modem.start(0.0)
    wire.run(lambda: bool(wire.all(Stopped)))
    assert wire.all(Stopped)[0].reason == "setup_refused"


@pytest.mark.parametrize(("routes", "name"), [("direct", "CDS"), ("stored", "CDSI"), ("both", "CDS")])
def test_reports_by_every_route(routes: str, name: str) -> None:
    wire = Wire(report_routes=routes).start()
    one_message(wire)
    assert wire.counts["stored"] == (name == "CDSI")
    wire.run(lambda: wire.counts["receipts_answered"] == 1)


def test_without_any_route_setting_up_stops_or_goes_without_reports() -> None:
    wire = Wire(report_routes="none").start()
    wire.send()
    wire.run(lambda: bool(wire.all(Sent)))
    wire.run(seconds=30)
    assert not wire.all(Received)
    assert wire.device.arrivals.waiting == 1  # the network keeps it


def test_reports_that_nobody_wants_can_be_lost() -> None:
    wire = Wire(report_routes="none", discard_unrouted=True).start()
    wire.send()
    wire.run(lambda: wire.counts["receipts_unrouted"] == 1)


def test_a_modem_of_phase_2_confirms_itself() -> None:
    wire = Wire(phase_2_plus=False).start()
    one_message(wire)
    assert wire.counts["receipts_answered"] == 1


def test_what_is_not_confirmed_in_time_comes_again() -> None:
    wire = Wire(ack_ms=1000).start()
    wire.acknowledges = False
    wire.send()
    wire.run(lambda: wire.counts["not_confirmed"] == 1)
    assert len(wire.all(Received)) == 1
    wire.acknowledges = True
    wire.run(lambda: wire.counts["receipts_answered"] == 1)  # polling told the modem again to forward
    assert len(wire.all(Received)) == 2


def test_a_slow_network() -> None:
    wire = Wire(send_ms=4000, send_jitter_ms=1000).start()
    one_message(wire)
    assert wire.now > 4


def test_no_prompt() -> None:
    wire = Wire(QUICK).start()
    wire.faults(no_prompt=1)
    wire.send(7)
    wire.run(lambda: bool(wire.all(Refused)))
    assert wire.counts["submits"] == 0
    wire.faults()
    wire.run(lambda: wire.modem.free)
    one_message(wire)


@pytest.mark.parametrize(("fault", "accepted"), [("swallow", 0), ("drop_response", 1)])
def test_a_message_without_an_answer_is_uncertain(fault: str, accepted: int) -> None:
    wire = Wire(QUICK).start()
    wire.faults(**{fault: 1})
    wire.send(7)
    wire.run(lambda: bool(wire.all(Uncertain)))
    wire.run(seconds=1)
    assert (wire.counts["accepted"], len(wire.all(Received))) == (accepted, accepted)


@pytest.mark.parametrize(
    ("code", "action"),
    [(42, Action.RETRY), (0, Action.RETRY), (21, Action.FAIL), (322, Action.CLEAN), (310, Action.STOP)],
)
def test_refusals(code: int, action: Action) -> None:
    wire = Wire(refuse=1, refuse_code=code).start()
    wire.send(7)
    wire.run(lambda: bool(wire.all(Refused)))
    (refused,) = wire.all(Refused)
    assert (refused.code, refused.action) == (code or None, action)
    assert wire.counts["rejected"] == 1


def test_a_reboot_in_the_middle_of_a_message() -> None:
    wire = Wire(reboot=1).start()
    wire.send(7)
    wire.run(lambda: len(wire.all(Ready)) == 2)  # RDY made the session set it up again
    assert [event.token for event in wire.all(Uncertain)] == [7]
    assert wire.counts["reboots"] == 1
    assert wire.counts["accepted"] == 0
    wire.faults()
    wire.send(8)
    wire.run(lambda: sent_and_reported(wire))


def test_no_network() -> None:
    wire = Wire(Config(poll_every=5), network=False).start()
    assert wire.all(Ready)[0].registration == 2
    wire.send(7)
    wire.run(lambda: bool(wire.all(Refused)))
    assert (wire.all(Refused)[0].code, wire.all(Refused)[0].action) == (331, Action.RETRY)
    wire.say("waits outside")
    wire.run(seconds=10)
    assert not wire.all(Received)
    wire.faults(signal=17)
    wire.run(lambda: bool(wire.all(Received)))
    wire.run(lambda: Level(17, 1) in wire.events)


@pytest.mark.parametrize(
    ("card", "pin", "reason"),
    [("puk", "1234", "sim_puk"), ("pin", "", "pin_required"), ("pin", "9999", "pin_refused"),
     ("failure", "", "sim_failure"), ("missing", "", "sim_missing")],
)  # fmt: skip
def test_cards_that_stop_it(card: str, pin: str, reason: str) -> None:
    wire = Wire(Config(pin=pin), card=card)
    wire.modem.start(0.0)
    wire.run(lambda: bool(wire.all(Stopped)))
    assert wire.all(Stopped)[0].reason == reason
    assert wire.device.card.state(wire.device.faults.card) == card


def test_a_card_with_a_pin() -> None:
    one_message(Wire(Config(pin="1234"), card="pin").start())


def test_three_wrong_pins_lock_the_card() -> None:
    desk = Desk(card="pin")
    for _ in range(3):
        assert desk.ask('AT+CMEE=1;+CPIN="0000"') == "+CME ERROR: 16"
    assert desk.ask("AT+CPIN?") == "+CPIN: SIM PUK\r\nOK"
    assert desk.ask('AT+CPIN="1234"') == "+CME ERROR: 12"


def test_a_full_storage_keeps_the_rest_in_the_network() -> None:
    wire = Wire(slots=2).start()
    wire.acknowledges = False
    for place in range(5):
        wire.say(f"reply {place}")
    wire.run(lambda: wire.counts["storage_full"] > 3)
    assert len(wire.all(Received)) == 2
    for event in wire.all(Received):
        wire.modem.acknowledge(event.handle, wire.now)
    wire.acknowledges = True
    wire.run(lambda: wire.counts["mo_answered"] == 5)
    assert {wire_text(pdu) for pdu in wire.pdus()} == {f"reply {place}" for place in range(5)}


def wire_text(pdu: Deliver) -> str | None:
    from gsm import decode_user_data

    return decode_user_data(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs, has_header=bool(pdu.tp_udhi)).text


def test_a_long_reply_in_parts() -> None:
    wire = Wire().start()
    wire.say("您好，我要退订。" * 20)
    wire.run(lambda: wire.counts["mo_answered"] == 3)
    assert "".join(str(wire_text(pdu)) for pdu in wire.pdus()) == "您好，我要退订。" * 20


@pytest.mark.parametrize("told", ["2,2,0,1,0", "2,3,0,1,0", "2,1,0,1,0"])
def test_classes_and_direct_forwarding(told: str) -> None:
    wire = Wire(Config(notifications=(told,))).start()
    for message_class in (None, 0, 2, 3):
        wire.say("x", message_class=message_class)
    wire.run(lambda: wire.counts["mo_answered"] == 4)
    assert wire.counts["stored"] == {"2": 1, "3": 3, "1": 4}[told[2]]


def test_codes_without_the_centres_address() -> None:
    one_message(Wire(omit_centre=True).start())


def test_reports_in_every_disorder() -> None:
    wire = Wire(
        report_duplicate=1, report_still_trying=1, wrong_reference=1, report_jitter_ms=50, report_reorder=0.5, seed=9
    ).start()
    wire.send(1)
    wire.run(lambda: wire.counts["receipts_answered"] == 4)
    reports = [pdu for pdu in wire.pdus() if isinstance(pdu, StatusReport)]
    assert sorted((pdu.tp_mr, pdu.tp_st) for pdu in reports) == [(0, 0), (0, 0), (0, 0x21), (128, 0)]


def test_reports_before_their_answer_and_none_at_all() -> None:
    wire = Wire(report_before_response=1, send_ms=100).start()
    wire.send(1)
    wire.run(lambda: sent_and_reported(wire))
    assert wire.events.index(wire.all(Received)[0]) < wire.events.index(wire.all(Sent)[0])
    for faults in ({"reports": False}, {"report_drop": 1}):
        wire = Wire(**faults).start()
        wire.send(1)
        wire.run(seconds=30)
        assert wire.all(Sent)
        assert not wire.all(Received)


@pytest.mark.parametrize(("faults", "recipient"), [({"undelivered": 1}, "+8613800138000"), ({}, "+8613800130404")])
def test_undelivered(faults: dict[str, Any], recipient: str) -> None:
    wire = Wire(**faults).start()
    wire.send(1, recipient=recipient)
    wire.run(lambda: sent_and_reported(wire))
    assert wire.pdus()[0].tp_st == 0x49


def test_faults_are_validated() -> None:
    assert changed(ModemFaults(), {"signal": 3}).signal == 3
    for wrong in ({"signal": 100}, {"nonsense": 1}, {"refuse": 2}, {"card": "x"}, {"undelivered_suffix": "x"}):
        with pytest.raises(ValueError):
            changed(ModemFaults(), wrong)
