"""The modem session against a scripted modem: set-up and its fall-backs, sending, receiving, silence, restarts."""

import re
from collections.abc import Callable

import pytest

from gsm import Action, Address, Config, Deliver, Frame, GsmError, Modem, Submit, Timestamp, encode_frame
from gsm.frame import announced_length
from gsm.modem import _LISTED, _READ
from gsm.modem_events import Event, Garbled, Level, Lost, Ready, Received, Refused, Sent, State, Stopped, Uncertain

MESSAGE = Frame(Submit(tp_da=Address("10086"), tp_udl=2, tp_ud=b"\xe8\x34"))
INBOUND = Frame(Deliver(tp_oa=Address("10086"), tp_scts=Timestamp(30, 1, 2, 3, 4, 5)), Address("8613800571500", 0x91))
PDU = encode_frame(INBOUND).hex().upper()
SIZE = announced_length(INBOUND)

OK: dict[str, str] = {
    "AT+CPIN?": "+CPIN: READY\r\nOK",
    "AT+CSMS=1": "+CSMS: 1,1,1\r\nOK",
    "AT+CSQ": "+CSQ: 20,99\r\nOK",
    "AT+CREG?": "+CREG: 0,1\r\nOK",
    "AT+CGSN": "861234567890123\r\nOK",
    "AT+COPS?": '+COPS: 0,0,"CHINA MOBILE",7\r\nOK',
    "AT+CSCA?": '+CSCA: "+8613800571500",145\r\nOK',
}


class Bench:
    """A modem that answers by script: exact commands first, then patterns, then OK. An answer None is silence."""

    def __init__(self, script: dict[str, str | None] | None = None, config: Config | None = None) -> None:
        self.script: dict[str, str | None] = {**OK, **(script or {})}
        self.modem = Modem(config or Config())
        self.now = 0.0
        self.seen: list[str] = []
        self.events: list[Event] = []
        self.hook: Callable[[str], None] | None = None

    def start(self) -> "Bench":
        self.modem.start(self.now)
        self.pump()
        return self

    def pump(self) -> None:
        while data := self.modem.bytes_to_send():
            for command in re.split(rb"[\r\x1a]", data.replace(b"\x1b", b"")):
                if not command:
                    continue
                text = command.decode()
                self.seen.append(text)
                if self.hook:
                    self.hook(text)
                answer = self.script.get(text, "> " if text.startswith("AT+CMGS=") else "OK")
                if answer is not None:
                    self.feed(answer if answer == "> " else f"\r\n{answer}\r\n")

    def feed(self, text: str) -> None:
        self.events += self.modem.receive_data(text.encode(), self.now)

    def say(self, text: str) -> None:
        self.feed(f"\r\n{text}\r\n")
        self.pump()

    def wait(self) -> None:
        deadline = self.modem.next_deadline()
        assert deadline is not None
        self.now = deadline
        self.events += self.modem.handle_timer(self.now)
        self.pump()

    def take(self) -> list[Event]:
        events, self.events = self.events, []
        return events


def ready(script: dict[str, str | None] | None = None, config: Config | None = None) -> Bench:
    bench = Bench(script, config).start()
    assert [event for event in bench.take() if isinstance(event, Ready)]
    assert bench.modem.free
    bench.seen.clear()
    return bench


def test_setting_up() -> None:
    bench = Bench().start()
    assert bench.seen == [
        "ATZ", "ATE0", "AT+CMEE=1", "AT+CPIN?", "AT+CMGF=0", "AT+CSMS=1", 'AT+CPMS="SM","SM","SM"', "AT+CNMI=2,1,0,1,0",
        "AT+CGSN", "AT+COPS?", "AT+CSCA?", "AT+CSQ", "AT+CREG?", "AT+CMGL=4",
    ]  # fmt: skip
    assert bench.take() == [Ready("861234567890123", "CHINA MOBILE", "+8613800571500", 20, 1)]
    assert bench.modem.state is State.READY


def test_fall_backs() -> None:
    bench = Bench(
        {"AT+CSMS=1": "ERROR", 'AT+CPMS="SM","SM","SM"': "+CMS ERROR: 310", "AT+CNMI=2,1,0,1,0": "ERROR",
         "AT+CNMI=2,1,0,2,0": "ERROR", "AT+CGSN": "ERROR", "AT+COPS?": "ERROR", "AT+CSQ": "+CSQ: x\r\nOK",
         "AT+CREG?": "+CREG: 1\r\nOK"},
        Config(centre="+8613800571500"),
    ).start()  # fmt: skip
    assert 'AT+CPMS="ME","ME","ME"' in bench.seen
    assert "AT+CSMS=0" in bench.seen
    assert 'AT+CSCA="+8613800571500",145' in bench.seen
    assert "AT+CNMI=1,1,0,1,0" in bench.seen
    assert bench.take() == [Ready("", "", "+8613800571500", None, None)]


def test_a_national_centre_is_of_unknown_type() -> None:
    assert 'AT+CSCA="10086",129' in Bench(config=Config(centre="10086")).start().seen


@pytest.mark.parametrize(
    ("script", "config", "reason"),
    [
        ({"AT+CPIN?": "+CPIN: SIM PUK\r\nOK"}, Config(), "sim_puk"),
        ({"AT+CPIN?": "+CPIN: SIM PIN\r\nOK"}, Config(), "pin_required"),
        ({"AT+CPIN?": "+CPIN: SIM PIN\r\nOK", 'AT+CPIN="1234"': "+CME ERROR: 16"}, Config(pin="1234"), "pin_refused"),
        ({"AT+CPIN?": "+CPIN: PH-SIM PIN\r\nOK"}, Config(), "sim_failure"),
        ({"AT+CPIN?": "+CMS ERROR: 310"}, Config(), "sim_missing"),
        ({"AT+CPIN?": "+CMS ERROR: 313"}, Config(), "sim_failure"),
        ({"AT+CPIN?": "+CME ERROR: 10"}, Config(), "sim_missing"),
        ({"AT+CPIN?": "+CME ERROR: 12"}, Config(), "sim_puk"),
        ({"AT+CPIN?": "+CME ERROR: 13"}, Config(), "sim_failure"),
        ({"AT+CMGF=0": "ERROR"}, Config(), "setup_refused"),
        ({'AT+CPMS="SM","SM","SM"': "ERROR"}, Config(storages=("SM",)), "setup_refused"),
        ({"AT+CNMI=2,1": "ERROR"}, Config(notifications=("2,1",)), "setup_refused"),
    ],
)
def test_what_stops_setting_up(script: dict[str, str | None], config: Config, reason: str) -> None:
    bench = Bench(script, config).start()
    (event,) = bench.take()
    assert isinstance(event, Stopped)
    assert event.reason == reason
    assert bench.modem.state is State.STOPPED
    assert not bench.modem.free
    assert bench.modem.next_deadline() is None
    # Somebody put it right.
    bench.script = dict(OK)
    bench.start()
    assert bench.modem.free


def test_the_pin_is_tried_once_and_works() -> None:
    bench = Bench({"AT+CPIN?": "+CPIN: SIM PIN\r\nOK"}, Config(pin="1234")).start()
    assert bench.seen.count('AT+CPIN="1234"') == 1
    assert bench.modem.state is State.READY


def test_sending() -> None:
    payload = encode_frame(MESSAGE).hex().upper()
    bench = ready({payload: "+CMGS: 42\r\n\r\nOK"})
    bench.modem.send(7, MESSAGE, bench.now)
    assert not bench.modem.free
    with pytest.raises(GsmError) as caught:
        bench.modem.send(8, MESSAGE, bench.now)
    assert caught.value.code == "busy"
    bench.pump()
    assert bench.seen == [f"AT+CMGS={announced_length(MESSAGE)}", payload]
    assert bench.take() == [Sent(7, 42)]
    assert bench.modem.free


@pytest.mark.parametrize(
    ("answer", "code", "action"),
    [("+CMS ERROR: 42", 42, Action.RETRY), ("+CMS ERROR: 28", 28, Action.FAIL), ("ERROR", None, Action.RETRY),
     ("+CMS ERROR: 777", 777, Action.RETRY), ("+CMS ERROR: 322", 322, Action.CLEAN)],
)  # fmt: skip
def test_refusals(answer: str, code: int | None, action: Action) -> None:
    bench = ready({encode_frame(MESSAGE).hex().upper(): answer})
    bench.modem.send(7, MESSAGE, bench.now)
    bench.pump()
    (event,) = bench.take()
    assert isinstance(event, Refused)
    assert (event.token, event.code, event.action) == (7, code, action)
    assert bench.modem.free
    assert (bench.seen[-1] == "AT+CMGL=4") is (action is Action.CLEAN)


def test_a_missing_sim_stops_the_modem() -> None:
    bench = ready({encode_frame(MESSAGE).hex().upper(): "+CMS ERROR: 310"})
    bench.modem.send(7, MESSAGE, bench.now)
    bench.pump()
    refused, stopped = bench.take()
    assert isinstance(refused, Refused)
    assert refused.action is Action.STOP
    assert stopped == Stopped("sim_failure", "SIM not inserted")
    with pytest.raises(GsmError) as caught:
        bench.modem.send(8, MESSAGE, bench.now)
    assert caught.value.code == "not_ready"


def test_silence_after_the_message_is_uncertain_and_before_it_a_refusal() -> None:
    payload = encode_frame(MESSAGE).hex().upper()
    bench = ready({payload: None})
    bench.modem.send(7, MESSAGE, bench.now)
    bench.pump()
    bench.wait()
    assert bench.take()[0] == Uncertain(7)
    assert bench.seen[2] == "AT"
    assert bench.modem.free

    bench = ready({f"AT+CMGS={announced_length(MESSAGE)}": None})
    bench.modem.send(7, MESSAGE, bench.now)
    bench.pump()
    bench.wait()
    assert bench.take()[0] == Refused(7, None, "not taken by the modem", Action.RETRY)


def test_an_ok_without_reference_is_uncertain() -> None:
    bench = ready({encode_frame(MESSAGE).hex().upper(): "OK"})
    bench.modem.send(7, MESSAGE, bench.now)
    bench.pump()
    assert bench.take() == [Uncertain(7)]


def test_a_modem_that_stays_silent_is_lost() -> None:
    bench = ready()
    bench.script |= dict.fromkeys((encode_frame(MESSAGE).hex().upper(), "AT", "AT+CSQ", "AT+CREG?"))
    bench.modem.send(7, MESSAGE, bench.now)
    bench.pump()
    for _ in range(8):
        if bench.modem.state is State.LOST:
            break
        bench.wait()
    assert bench.take() == [Uncertain(7), Lost()]
    assert bench.modem.next_deadline() is None
    with pytest.raises(GsmError):
        bench.modem.start(bench.now)


def test_a_port_without_a_modem_is_lost_while_setting_up() -> None:
    bench = Bench({"ATZ": None, "ATE0": None, "AT+CMEE=1": None}).start()
    for _ in range(3):
        bench.wait()
    assert bench.take() == [Lost()]


def test_a_stored_message_is_read_and_deleted_only_after_the_callers_word() -> None:
    bench = ready({"AT+CMGR=3": f"+CMGR: 0,,{SIZE}\r\n{PDU}\r\n\r\nOK"})
    bench.say('+CMTI: "SM",3')
    (event,) = bench.take()
    assert event == Received(1, bytes.fromhex(PDU), SIZE)
    bench.say('+CMTI: "SM",3')  # announced again before it is deleted: not handed over twice
    assert bench.take() == []
    assert "AT+CMGD=3" not in bench.seen
    bench.modem.acknowledge(1, bench.now)
    bench.pump()
    assert bench.seen[-1] == "AT+CMGD=3"
    with pytest.raises(GsmError) as caught:
        bench.modem.acknowledge(1, bench.now)
    assert caught.value.code == "unknown_handle"
    bench.say('+CMTI: "SM",3')
    assert bench.take() == [Received(2, bytes.fromhex(PDU), SIZE)]


def test_another_storage_is_selected_first() -> None:
    bench = ready({"AT+CMGR=1": f"+CMGR: 0,,{SIZE}\r\n{PDU}\r\nOK"})
    bench.say('+CDSI: "SR",1')
    assert bench.seen == ['AT+CPMS="SR"', "AT+CMGR=1"]
    bench.script['AT+CPMS="ME"'] = "ERROR"
    bench.say("+CMTI: ME,1")
    assert bench.seen[-1] == 'AT+CPMS="ME"'  # the same index is another message in the storage that stays selected


def test_nothing_is_deleted_in_another_storage() -> None:
    bench = ready({"AT+CMGR=1": f"+CMGR: 0,,{SIZE}\r\n{PDU}\r\nOK"})
    bench.say('+CDSI: "SR",1')
    bench.say('+CMTI: "SM",2')
    bench.script['AT+CPMS="SR"'] = "ERROR"
    bench.modem.acknowledge(1, bench.now)
    bench.pump()
    assert "AT+CMGD=1" not in bench.seen


def test_a_deletion_is_tried_twice_and_again_with_the_next_listing() -> None:
    bench = ready({"AT+CMGR=3": f'+CMGR: 1,"Ann",{SIZE}\r\n{PDU}\r\nOK', "AT+CMGD=3": "+CMS ERROR: 321"})
    bench.say('+CMTI: "SM",3')
    bench.modem.acknowledge(1, bench.now)
    bench.modem.acknowledge(1, bench.now)  # is being deleted
    bench.pump()
    assert bench.seen.count("AT+CMGD=3") == 2
    bench.take()
    bench.script |= {"AT+CMGL=4": f"+CMGL: 3,1,,{SIZE}\r\n{PDU}\r\nOK", "AT+CMGD=3": "OK"}
    bench.wait()
    assert bench.take() == [Level(20, 1)]  # not handed over a second time
    assert bench.seen.count("AT+CMGD=3") == 3
    bench.wait()
    assert bench.take() == [Level(20, 1), Received(2, bytes.fromhex(PDU), SIZE)]  # now it is a new one


def test_what_could_not_be_read_is_found_by_a_listing() -> None:
    bench = ready({"AT+CMGR=3": "ERROR", "AT+CMGL=4": f"+CMGL: 3,0,,{SIZE}\r\n{PDU}\r\nOK"})
    bench.take()
    bench.modem.acknowledge(1, bench.now)
    bench.pump()
    bench.say('+CMTI: "SM",3')
    assert bench.seen[-2:] == ["AT+CMGR=3", "AT+CMGL=4"]
    assert bench.take() == [Received(2, bytes.fromhex(PDU), SIZE)]


def test_reports_stored_in_a_place_of_their_own_are_listed_too() -> None:
    bench = Bench({"AT+CNMI=2,1,0,1,0": "ERROR", "AT+CMGL=4": f"+CMGL: 1,0,,{SIZE}\r\n{PDU}\r\nOK"}).start()
    assert bench.seen[-3:] == ["AT+CMGL=4", 'AT+CPMS="SR"', "AT+CMGL=4"]
    assert len([event for event in bench.take() if isinstance(event, Received)]) == 2
    without = Bench({"AT+CNMI=2,1,0,1,0": "ERROR", 'AT+CPMS="SR"': "ERROR"}).start()
    assert without.seen[-2:] == ["AT+CMGL=4", 'AT+CPMS="SR"']


def test_an_unanswered_confirmation_is_given_again() -> None:
    bench = ready({"AT+CNMA": None})
    bench.say(f"+CDS: {SIZE}\r\n{PDU}")
    bench.modem.acknowledge(1, bench.now)
    bench.pump()
    bench.script["AT+CNMA"] = "OK"
    bench.wait()
    assert bench.seen == ["AT+CNMA", "AT+CNMA"]


def test_a_port_that_is_gone() -> None:
    bench = ready()
    bench.modem.send(7, MESSAGE, bench.now)
    assert bench.modem.receive_eof(bench.now) == [Refused(7, None, "not taken by the modem", Action.RETRY), Lost()]
    assert bench.modem.receive_eof(bench.now) == []
    assert Modem(Config()).receive_eof(0.0) == [Lost()]


def test_what_is_stored_at_the_start_is_handed_over_except_our_own() -> None:
    listing = f'+CMGL: 1,0,,{SIZE}\r\n{PDU}\r\n+CMGL: 2,2,,9\r\n0011\r\n+CMGL: 5,1,"A,B",{SIZE}\r\n{PDU}\r\nOK'
    bench = Bench({"AT+CMGL=4": listing}).start()
    received = [event for event in bench.take() if isinstance(event, Received)]
    assert [event.handle for event in received] == [1, 2]
    bench.modem.acknowledge(2, bench.now)
    bench.pump()
    assert bench.seen[-1] == "AT+CMGD=5"


def test_direct_messages_are_confirmed_after_the_callers_word() -> None:
    bench = ready()
    bench.say(f"+CMT: ,{SIZE}\r\n{PDU}")
    bench.say(f"+CDS: {SIZE}\r\n{PDU}")
    assert bench.take() == [Received(1, bytes.fromhex(PDU), SIZE), Received(2, bytes.fromhex(PDU), SIZE)]
    assert bench.seen == []
    bench.modem.acknowledge(1, bench.now)
    bench.pump()
    assert bench.seen == ["AT+CNMA"]
    bench.script["AT+CNMA"] = "+CMS ERROR: 340"  # too late
    bench.modem.acknowledge(2, bench.now)
    bench.pump()
    assert bench.seen[-2:] == ["AT+CNMA", "AT+CNMI=2,1,0,1,0"]


def test_a_modem_without_confirmation_gets_none() -> None:
    bench = ready({"AT+CSMS=1": "ERROR"})
    bench.say(f"+CMT: ,{SIZE}\r\n{PDU}")
    bench.modem.acknowledge(1, bench.now)
    bench.pump()
    assert bench.seen == []


def test_what_is_handed_over_and_not_acknowledged_is_bounded() -> None:
    bench = ready({"AT+CMGR=3": f"noise\r\n+CMGR: 0,,{SIZE}\r\n{PDU}\r\nOK"})
    for _ in range(4096):
        bench.feed(f"\r\n+CMT: ,{SIZE}\r\n{PDU}\r\n")
    assert len(bench.take()) == 4096
    bench.say('+CMTI: "SM",3')
    assert bench.take() == []
    bench.modem.acknowledge(1, bench.now)
    bench.pump()
    bench.say('+CMTI: "SM",3')
    assert len(bench.take()) == 1


def test_garbled_pdus_are_reported_and_left() -> None:
    bench = ready({"AT+CMGR=3": f"+CMGR: 0,,{SIZE}\r\nnot hex\r\nOK"})
    bench.say('+CMTI: "SM",3')
    assert bench.take() == [Garbled("not hex")]
    bench.say("+CMT: ,99\r\nOK")
    assert bench.take() == [Garbled("")]
    bench.say("+CMT: x\r\n0011")
    assert bench.take() == [Received(1, b"\x00\x11", None)]


def test_confirmation_goes_before_everything_else() -> None:
    bench = ready()
    bench.script["AT+CSQ"] = None
    bench.wait()  # polling hangs
    bench.say(f"+CMT: ,{SIZE}\r\n{PDU}")
    bench.modem.send(1, MESSAGE, bench.now)
    bench.modem.acknowledge(1, bench.now)
    bench.script[encode_frame(MESSAGE).hex().upper()] = "+CMGS: 1\r\nOK"
    bench.say("OK")
    assert bench.seen[-3:] == ["AT+CNMA", f"AT+CMGS={announced_length(MESSAGE)}", encode_frame(MESSAGE).hex().upper()]


def test_polling() -> None:
    bench = ready()
    bench.wait()
    assert bench.now == 60.0
    assert bench.take() == [Level(20, 1)]
    # Told again what to forward, and listed: a modem says nothing of what it ceased to do.
    assert bench.seen == ["AT+CSQ", "AT+CREG?", "AT+CNMI=2,1,0,1,0", "AT+CMGL=4"]
    assert bench.modem.next_deadline() == 120.0
    assert bench.modem.handle_timer(61.0) == []


def test_unsolicited_codes_inside_an_answer() -> None:
    payload = encode_frame(MESSAGE).hex().upper()
    bench = ready({payload: f'+CMTI: "SM",9\r\n\r\n+CMGS: 1\r\n^RSSI:1\r\n+CDS: {SIZE}\r\n{PDU}\r\n\r\nOK'})
    bench.modem.send(7, MESSAGE, bench.now)
    bench.pump()
    events = bench.take()
    assert Sent(7, 1) in events
    assert any(isinstance(event, Received) for event in events)
    assert "AT+CMGR=9" in bench.seen


def test_a_modem_that_restarts_is_set_up_again_and_the_message_in_flight_has_its_event() -> None:
    payload = encode_frame(MESSAGE).hex().upper()
    bench = ready({payload: "^SYSSTART"})
    bench.modem.send(7, MESSAGE, bench.now)
    bench.script["AT+CMGL=4"] = f"+CMGL: 1,0,,{SIZE}\r\n{PDU}\r\nOK"
    bench.pump()
    events = bench.take()
    # The payload was written, but no answer says whether it went out.
    assert events[0] == Uncertain(7)
    assert any(isinstance(event, Ready) for event in events)
    assert isinstance(events[-1], Received)


def test_an_answer_behind_a_restart_belongs_to_nobody() -> None:
    bench = ready()
    bench.script["AT+CSQ"] = None
    bench.wait()
    bench.script = dict(OK)
    bench.say("RDY\r\n+CSQ: 1,99\r\nOK")
    assert [type(event) for event in bench.take()] == [Ready]


def test_codes_while_setting_up_are_left_to_the_listing() -> None:
    bench = Bench()
    bench.modem.start(0.0)
    bench.feed('\r\n+CMTI: "SM",3\r\nRDY\r\n')
    bench.pump()
    assert "AT+CMGR=3" not in bench.seen
    bench.say("+CMTI: nonsense")
    assert bench.modem.state is State.READY


def test_not_ready_before_the_start() -> None:
    modem = Modem(Config())
    assert modem.state is State.DOWN
    assert modem.next_deadline() is None
    with pytest.raises(GsmError):
        modem.send(1, MESSAGE, 0.0)


def test_late_answers_after_silence_are_no_answers_to_the_next_command() -> None:
    bench = ready()
    bench.script["AT+CSQ"] = None
    bench.wait()
    bench.wait()  # AT+CSQ given up, AT+CREG? asked and answered
    assert bench.take() == [Level(None, 1)]
    bench.say("OK")
    assert bench.modem.free


def test_after_lost_nothing_is_listened_to():
    modem = Modem(Config(patience=1))
    modem.start(0.0)
    assert modem.handle_timer(1000.0) == [Lost()]
    assert modem.receive_data(b"+CMT: ,24\r\n0791\r\nOK\r\n", 1001.0) == []
    assert modem.bytes_to_send() == b""


@pytest.mark.parametrize(
    ("answer", "event"),
    [
        ('+CMGS: 2\r\n+CDSI: "SR",1\r\n5', Sent(7, 25)),  # torn inside the number
        ("+CMGS: 25\r\n+CIEV: 2,1", Sent(7, 25)),
        ("+CMGS: 25\r\n7777", Sent(7, 25)),
        ("+CMGS: 2,0011\r\n5", Sent(7, 2)),
        ("+CMGS: 999", Uncertain(7)),  # no reference has so much
        ("+CMGS: ", Uncertain(7)),
        ('+CMG\r\n+CDSI: "SR",1\r\nS: 25', Uncertain(7)),
    ],
)
def test_references_in_answers_that_were_torn(answer: str, event: Event) -> None:
    bench = ready({encode_frame(MESSAGE).hex().upper(): f"{answer}\r\nOK"})
    bench.modem.send(7, MESSAGE, bench.now)
    bench.pump()
    assert bench.take()[0] == event


def test_a_stored_pdu_that_was_torn_is_read_again() -> None:
    half = len(PDU) // 2 - len(PDU) // 2 % 2
    torn = f'+CMGR: 0,,{SIZE}\r\n{PDU[:half]}\r\n+CDSI: "SR",7\r\n{PDU[half:]}\r\nOK'
    bench = ready({"AT+CMGR=3": torn, "AT+CMGL=4": f"+CMGL: 3,1,,{SIZE}\r\n{PDU}\r\nOK"})
    bench.take()
    bench.modem.acknowledge(1, bench.now)  # what the start had listed
    bench.pump()
    bench.say('+CMTI: "SM",3')
    assert bench.take() == [Garbled(PDU[:half]), Received(2, bytes.fromhex(PDU), SIZE)]


@pytest.mark.parametrize("noise", [" ", ",", ", ", "1, ", ' ,"', "1"])
def test_a_line_of_noise_is_read_in_linear_time(noise):
    """Quadratic, these would take hours; what a modem can send ends at 4,096 octets, where it was a quarter second."""
    for pattern, start in ((_LISTED, "+CMGL: 1,1,"), (_READ, "+CMGR: 1,")):
        assert pattern.match(f"{start}{noise * 300_000}x") is None
    for line in ("+CMGL: 12,1,,24", '+CMGL: 12,1,"a, b",24', "+CMGL: 12,1,24", '+CMGL: 12, 1,"x" , 24'):
        assert _LISTED.match(line).groups() == ("12", "1", "24")
    assert _READ.match('+CMGR: 0,"+86 138",24').groups() == ("0", "24")
