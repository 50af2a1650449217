"""The simulated modem by hand: commands, settings, prompts, storages, text mode, and what is no command."""

from __future__ import annotations

import pytest
from modem_wire import Desk, Wire

from gsm import Address, Command, Config, Frame, Options, Submit, address_of, encode_frame, submits
from gsm.frame import announced_length
from gsm.modem_events import Received
from sim.modem.arrivals import MOST_INCOMING
from sim.modem.behaviour import Behaviour
from sim.modem.calls import Call, Refused, parse
from sim.modem.faults import ModemFaults
from sim.modem.output import HeldCode, Output, framed
from sim.modem.terminal import MOST_WAITING
from sim.modem.textmode import code

CENTRE = "+8613800571500"
PDU = "07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07"  # a DELIVER of the field


def send(desk: Desk, text: str = "hello", options: Options | None = None, command: str = "AT+CMGS") -> str:
    (submit,) = submits(text, address_of("+8613800138000"), options or Options(report=False))
    frame = Frame(submit)
    assert desk.ask(f"{command}={announced_length(frame)}").endswith(">")
    return desk.type(encode_frame(frame).hex() + "\x1a").rpartition("\x1a")[2].strip().replace("\r\n\r\n", "\r\n")


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("AT", "OK"),
        ("at", "OK"),
        ("AT&F", "OK"),
        ("ATE1V1", "OK"),
        ("ATI", "Guanxin\r\nSimulated modem\r\n1.0\r\nOK"),
        ("AT+CGMI", "Guanxin\r\nOK"),
        ("AT+CGMM=?", "OK"),
        ("AT+CGSN", "861234567800001\r\nOK"),
        ("AT+CGSN=?", "OK"),
        ("AT+CIMI", "460000000000001\r\nOK"),
        ("AT+CIMI=?", "OK"),
        ("AT+CCID", "+CCID: 89860000000000000001\r\nOK"),
        ("AT+CNUM", '+CNUM: "","+8613900000001",145\r\nOK'),
        ("AT+CPIN?", "+CPIN: READY\r\nOK"),
        ('AT+CPIN="1234"', "ERROR"),
        ("AT+CREG=1", "OK"),
        ("AT+CREG?", "+CREG: 0,1\r\nOK"),
        ("AT+CREG=?", "+CREG: (0-2)\r\nOK"),
        ("AT+CREG=2;+CREG?", '+CREG: 2,1,"1A2B","00C3D4"\r\nOK'),
        ("AT+CGATT?", "+CGATT: 1\r\nOK"),
        ("AT+CGATT=1", "OK"),
        ("AT+COPS?", '+COPS: 0,0,"CHINA MOBILE",7\r\nOK'),
        ("AT+COPS=3,2", "OK"),
        ("AT+COPS=?", '+COPS: (2,"CHINA MOBILE","CMCC","46000",7)\r\nOK'),
        ("AT+CSQ", "+CSQ: 24,99\r\nOK"),
        ("AT+CSQ=?", "+CSQ: (0-31,99),(0-7,99)\r\nOK"),
        ("AT+CMEE?", "+CMEE: 0\r\nOK"),
        ("AT+CMEE=?", "+CMEE: (0-2)\r\nOK"),
        ("AT+CMEE=3", "ERROR"),
        ("AT+CFUN=1", "OK"),
        ("AT+CFUN?", "+CFUN: 1\r\nOK"),
        ("AT+CFUN=?", "+CFUN: (0-1),(0-1)\r\nOK"),
        ("AT+CCLK?", '+CCLK: "30/03/18,01:46:40+32"\r\nOK'),
        ("AT+CCLK=1", "OK"),
        ("AT+CBC", "+CBC: 0,100\r\nOK"),
        ("AT+CBC=?", "+CBC: (0),(0-100)\r\nOK"),
        ("AT+CPAS", "+CPAS: 0\r\nOK"),
        ("AT+CPAS=?", "+CPAS: (0,2,3,4)\r\nOK"),
        ("AT+GCAP", "+GCAP: +CGSM\r\nOK"),
        ("AT+CMGF?", "+CMGF: 0\r\nOK"),
        ("AT+CMGF=?", "+CMGF: (0,1)\r\nOK"),
        ("AT+CSMS?", "+CSMS: 0,1,1,1\r\nOK"),
        ("AT+CSMS=?", "+CSMS: (0,1)\r\nOK"),
        ("AT+CSMS=2", "+CMS ERROR: 303"),
        ("AT+CSCA?", f'+CSCA: "{CENTRE}",145\r\nOK'),
        ('AT+CSCA="10086";+CSCA?', '+CSCA: "10086",129\r\nOK'),
        ('AT+CSCA="abc"', "+CMS ERROR: 305"),
        ("AT+CSCA=?", "OK"),
        ('AT+CSCS="UCS2";+CSCA="002B00380036"', "OK"),
        ("AT+CPMS?", '+CPMS: "SM",0,50,"SM",0,50,"SM",0,50\r\nOK'),
        ('AT+CPMS="ME"', "+CPMS: 0,50,0,50,0,50\r\nOK"),
        ('AT+CPMS="XX"', "+CMS ERROR: 305"),
        ("AT+CPMS=?", '+CPMS: ("SM","ME","SR"),("SM","ME","SR"),("SM","ME","SR")\r\nOK'),
        ("AT+CNMI=?", "+CNMI: (0-3),(0-3),(0),(0,1,2),(0,1)\r\nOK"),
        ("AT+CNMI=2,1;+CNMI?", "+CNMI: 2,1,0,0,0\r\nOK"),
        ("AT+CNMI=2,1,1", "+CMS ERROR: 303"),
        ("AT+CNMI=4", "+CMS ERROR: 305"),
        ("AT+CSMP=49,,0,8;+CSMP?", "+CSMP: 49,167,0,8\r\nOK"),
        ("AT+CSMP=?", "OK"),
        ("AT+CSDH=1;+CSDH?", "+CSDH: 1\r\nOK"),
        ("AT+CSDH=?", "+CSDH: (0,1)\r\nOK"),
        ('AT+CSCS="IRA";+CSCS?', '+CSCS: "IRA"\r\nOK'),
        ("AT+CSCS=?", '+CSCS: ("GSM","IRA","UCS2","HEX")\r\nOK'),
        ('AT+CSCS="X"', "+CMS ERROR: 305"),
        ("AT+CMMS=2", "OK"),
        ("AT+CMMS?", "+CMMS: 0\r\nOK"),
        ("AT+CMMS=?", "+CMMS: (0-2)\r\nOK"),
        ("AT+CMGS=?", "OK"),
        ("AT+CMGC=?", "OK"),
        ("AT+CMGW=?", "OK"),
        ("AT+CMSS=?", "OK"),
        ("AT+CMGS=3", "+CMS ERROR: 304"),
        ("AT+CMGS=165", "+CMS ERROR: 304"),
        ("AT+CMGS=x", "+CMS ERROR: 305"),
        ("AT+CMSS=9", "+CMS ERROR: 321"),
        ("AT+CMGL=?", "+CMGL: (0-4)\r\nOK"),
        ("AT+CMGF=1;+CMGL=?", '+CMGL: ("REC UNREAD","REC READ","STO UNSENT","STO SENT","ALL")\r\nOK'),
        ('AT+CMGF=1;+CMGL="NONE"', "+CMS ERROR: 305"),
        ("AT+CMGL=4", "OK"),
        ("AT+CMGR=1", "+CMS ERROR: 321"),
        ("AT+CMGR=?", "OK"),
        ("AT+CMGD=?", "+CMGD: (1-1000),(0-4)\r\nOK"),
        ("AT+CMGD=99", "+CMS ERROR: 321"),
        ("AT+CMGD=1", "OK"),
        ("AT+CNMA=?", "+CNMA: (0-2)\r\nOK"),
        ("AT+CNMA", "+CMS ERROR: 340"),
        ("AT+CNMA=1,10", "+CMS ERROR: 303"),
        ("AT+NONSENSE", "ERROR"),
        ("AT=", "ERROR"),
        ("AT+", "ERROR"),
        ("ATV0", "ERROR"),
        ("ATE0", "OK"),
        ("ATZ", "OK"),
    ],
)  # fmt: skip
def test_commands(command: str, answer: str) -> None:
    assert Desk().ask(command) == answer


def test_lines_without_at_are_nothing() -> None:
    desk = Desk()
    assert desk.ask("hello") == ""
    assert "OK" in desk.type("AX\x08T\r\n")  # a backspace
    assert desk.type("\x1b\x1aAT\r").endswith("\r\nOK\r\n")  # what a prompt would have meant
    assert desk.type("A" * 3000 + "\r") == "A" * 3000 + "\r"


def test_parsing() -> None:
    assert parse('E0+CMGL="A;B",,2;+CSQ') == [
        Call("E", "execute", ("0",)), Call("+CMGL", "set", ("A;B", None, "2")), Call("+CSQ", "execute"),
    ]  # fmt: skip
    with pytest.raises(Refused):
        parse("\x00")


def test_errors_as_numbers_and_words() -> None:
    desk = Desk(card="missing")
    assert desk.ask("AT+CIMI") == "ERROR"
    assert desk.ask("AT+CMEE=1;+CIMI") == "+CME ERROR: 10"
    assert desk.ask("AT+CMEE=2;+CIMI") == "+CME ERROR: SIM not inserted"
    assert desk.ask("AT+CPMS?") == "+CMS ERROR: 310"
    assert desk.ask("AT+CPIN?") == "+CME ERROR: SIM not inserted"


def test_the_echo_can_be_switched_off() -> None:
    desk = Desk()
    assert desk.type("AT\r") == "AT\r\r\nOK\r\n"
    desk.type("ATE0\r")
    assert desk.type("AT\r") == "\r\nOK\r\n"


def test_sending_in_pdu_mode() -> None:
    desk = Desk()
    assert send(desk) == "+CMGS: 0\r\nOK"
    assert send(desk, "你好") == "+CMGS: 1\r\nOK"
    assert [sample.text for sample in desk.device.network.samples(9)] == ["你好", "hello"]
    assert send(desk) == "+CMGS: 2\r\nOK"
    assert desk.device.network.stats.duplicates == 1


@pytest.mark.parametrize("body", ["", "xx", "00", "00010005811000F00000", "0002000B9168310810830000000000"])
def test_bodies_that_are_no_submit(body: str) -> None:
    desk = Desk()
    desk.ask("AT+CMGS=9")
    assert "+CMS ERROR: 304" in desk.type(body + "\x1a")


def test_a_body_with_something_behind_it_or_another_type_is_refused() -> None:
    (submit,) = submits("hi", address_of("10086"), Options(report=False))
    octets = encode_frame(Frame(submit))
    desk = Desk()
    desk.ask(f"AT+CMGS={len(octets)}")
    assert "304" in desk.type(octets.hex() + "00\x1a")
    command = encode_frame(Frame(Command(tp_ct=0, tp_da=Address("10086"))))
    desk.ask(f"AT+CMGS={len(command) - 1}")
    assert "304" in desk.type(command.hex() + "\x1a")
    desk.ask(f"AT+CMGC={len(octets) - 1}")
    assert "304" in desk.type(octets.hex() + "\x1a")


def test_a_prompt_is_left_by_an_escape() -> None:
    desk = Desk()
    assert desk.ask("AT+CMGS=20").endswith(">")
    assert desk.type("0011\x1b").endswith("OK\r\n")
    assert desk.ask("AT") == "OK"
    assert desk.device.counts["submits"] == 0


def test_a_command_pdu_and_its_report() -> None:
    desk = Desk()
    desk.ask("AT+CNMI=2,1,0,1,0")
    octets = encode_frame(Frame(Command(tp_srr=1, tp_ct=0, tp_mn=3, tp_da=Address("8613800138000", 0x91))))
    desk.ask(f"AT+CMGC={len(octets) - 1}")
    assert "+CMGC: 0" in desk.type(octets.hex() + "\x1a")
    assert "+CDS: " in desk.wait(1)


def test_what_is_written_while_it_works_waits_and_is_bounded() -> None:
    desk = Desk(command_ms=100)
    assert desk.type("AT\r") == "AT\r"
    assert desk.type("AT+CSQ\r") == ""
    assert desk.wait(0.3).count("OK") == 2
    desk.type("AT\r")
    desk.type(b"x" * (MOST_WAITING + 7))
    assert desk.device.counts["overrun"] == 7


def test_storing_and_sending_what_is_stored() -> None:
    desk = Desk(slots=1)
    assert send(desk, command="AT+CMGW") == "+CMGW: 1\r\nOK"
    assert send(desk, command="AT+CMGW") == "+CMS ERROR: 322"
    assert desk.ask("AT+CMSS=1") == "+CMSS: 0\r\nOK"
    assert desk.ask("AT+CMGL=3").startswith("+CMGL: 1,3,,")
    assert desk.ask("AT+CMGD=1,2") == "OK"
    assert desk.ask("AT+CMGL=4") == "OK"
    desk.ask(f"AT+CMGW={len(bytes.fromhex(PDU)) - 8},0")
    assert "+CMGW: 1" in desk.type(PDU + "\x1a")
    assert desk.ask("AT+CMSS=1") == "+CMS ERROR: 302"
    assert desk.ask("AT+CMGR=1") == f"+CMGR: 0,,{len(bytes.fromhex(PDU)) - 8}\r\n{PDU}\r\nOK"
    assert desk.ask("AT+CMGL=1").startswith("+CMGL: 1,1,,")
    assert desk.ask("AT+CMGD=1,1") == "OK"
    desk.ask("AT+CMGW=20")
    assert "304" in desk.type("zz\x1a")


def test_deleting_by_flag() -> None:
    desk = Desk()
    for _ in range(2):
        send(desk, command="AT+CMGW")
    assert desk.ask("AT+CMGD=0,1") == "OK"
    assert "+CPMS: 2,50" in desk.ask('AT+CPMS="SM"')
    assert desk.ask("AT+CMGD=0,3") == "OK"
    assert "+CPMS: 0,50" in desk.ask('AT+CPMS="SM"')
    send(desk, command="AT+CMGW")
    assert desk.ask("AT+CMGD=0,4") == "OK"
    assert "+CPMS: 0,50" in desk.ask('AT+CPMS="SM"')


# -- text mode ---------------------------------------------------------------------------------------------------------


def texting(desk: Desk, number: str, body: bytes, command: str = "AT+CMGS") -> str:
    assert desk.ask(f'{command}="{number}"').endswith(">")
    return desk.type(body + b"\x1a").rpartition("\x1a")[2].strip()


@pytest.mark.parametrize(
    ("settings", "number", "body", "text"),
    [
        ("", "+8613800138000", b"plain \x00 and \x1b\x65", None),
        ("", "13800138000", b"plain", "plain"),
        (';+CSCS="IRA"', "+8613800138000", b"plain", "plain"),
        (';+CSCS="UCS2"', "002B0038003600310033", "[€]".encode("utf-16-be").hex().encode(), "[€]"),
        (';+CSCS="HEX"', "+8613800138000", b"68656C6C6F", "hello"),
        (";+CSMP=17,167,0,8", "+8613800138000", b"4F60597D", "你好"),
    ],
)
def test_sending_text(settings: str, number: str, body: bytes, text: str | None) -> None:
    desk = Desk()
    assert desk.ask("AT+CMGF=1" + settings) == "OK"
    if text is None:
        body, text = b"plain \x00 and [", "plain @ and Ä"
    assert texting(desk, number, body).startswith("+CMGS: 0")
    assert desk.device.network.samples(1)[0].text == text


def test_sending_text_to_a_number_of_given_type() -> None:
    desk = Desk()
    desk.ask("AT+CMGF=1")
    desk.type('AT+CMGS="8613800138000",145\r')
    assert "+CMGS" in desk.type("x\x1a")
    assert desk.device.network.samples(1)[0].recipient == "8613800138000"


@pytest.mark.parametrize(
    ("settings", "number", "body"),
    [
        (';+CSCS="IRA"', "10086", "é".encode("latin-1")),
        (';+CSCS="HEX"', "10086", b"zz"),
        ("", "1" * 21, b"x"),
        ("", "10086", b"x" * 161),
        (";+CSMP=17,167,0,8", "10086", b"4F" * 141),
    ],
)
def test_texts_that_cannot_be_sent(settings: str, number: str, body: bytes) -> None:
    desk = Desk()
    desk.ask("AT+CMGF=1" + settings)
    assert texting(desk, number, body).endswith("+CMS ERROR: 305")


def test_a_number_in_a_wrong_alphabet() -> None:
    desk = Desk()
    desk.ask('AT+CMGF=1;+CSCS="UCS2"')
    assert desk.ask('AT+CMGS="+86"') == "+CMS ERROR: 305"


def test_reading_texts() -> None:
    wire = Wire(reports=True)
    wire.ask("AT+CMGF=1;+CNMI=2,1,0,2,0")
    wire.say("plain [€]")
    wire.say("你好")
    assert wire.wait(1).count('+CMTI: "SM"') == 2
    assert (
        wire.ask("AT+CMGR=1")
        == '+CMGR: "REC UNREAD","+8613700000001",,"30/03/18,01:46:40+32"\r\nplain \x1b<\x1be\x1b>\r\nOK'
    )
    assert wire.ask('AT+CSDH=1;+CMGL="ALL"') == (
        '+CMGL: 1,"REC READ","+8613700000001",,"30/03/18,01:46:40+32",145,12\r\nplain \x1b<\x1be\x1b>\r\n'
        '+CMGL: 2,"REC UNREAD","+8613700000001",,"30/03/18,01:46:40+32",145,4\r\n4F60597D\r\nOK'
    )
    assert wire.ask("AT+CMGR=1").startswith('+CMGR: "REC READ","+8613700000001",,"30/03/18,01:46:40+32",145,4,0,0,,,12')
    assert wire.ask('AT+CSCS="UCS2";+CMGR=1').splitlines()[1] == "plain [€]".encode("utf-16-be").hex().upper()
    assert wire.ask('AT+CSCS="IRA";+CMGR=1').splitlines()[1] == "plain [?]"
    assert wire.ask('AT+CSCS="HEX";+CMGR=1').splitlines()[1].startswith("706C61696E20")


def test_reading_texts_and_reports_of_ones_own() -> None:
    desk = Desk()
    desk.ask("AT+CNMI=2,1,0,2,0;+CMGF=1;+CSMP=49,167")
    assert texting(desk, "10086", b"kept", "AT+CMGW").startswith("+CMGW: 1")
    assert desk.ask("AT+CSDH=1;+CMGR=1") == '+CMGR: "STO UNSENT","10086",,129,49,0,0,167,,,4\r\nkept\r\nOK'
    assert desk.ask('AT+CMGL="STO UNSENT"') == '+CMGL: 1,"STO UNSENT","10086",,,129,4\r\nkept\r\nOK'
    assert desk.ask("AT+CMSS=1").startswith("+CMSS: 0")
    assert '+CDSI: "SR",1' in desk.wait(1)
    report = '0,"10086",129,"30/03/18,01:46:40+32","30/03/18,01:46:40+32",0'
    desk.ask('AT+CPMS="SR"')
    assert desk.ask("AT+CMGR=1") == f'+CMGR: "REC UNREAD",6,{report}\r\nOK'
    assert desk.ask('AT+CMGL="ALL"') == f'+CMGL: 1,"REC READ",6,{report}\r\nOK'


def test_what_text_mode_cannot_show() -> None:
    desk = Desk()
    desk.ask("AT+CMGW=7,1")
    desk.type("00" + "01" * 7 + "\x1a")  # a SUBMIT-REPORT cut short
    assert desk.ask('AT+CMGF=1;+CMGL="ALL"') == "OK"
    assert desk.ask("AT+CMGR=1") == "OK"


def test_text_codes_handed_over() -> None:
    wire = Wire()
    wire.ask("AT+CMGF=1;+CNMI=2,2,0,1,0;+CSMP=49")
    wire.say("hello")
    assert wire.wait(1).endswith('+CMT: "+8613700000001",,"30/03/18,01:46:40+32"\r\nhello\r\n')
    texting(wire, "10086", b"x")
    assert wire.wait(1).startswith('\r\n+CDS: 6,0,"10086",129,')


# -- incoming ----------------------------------------------------------------------------------------------------------


def test_codes_are_buffered_in_mode_0() -> None:
    wire = Wire()
    wire.ask("AT+CNMI=0,1")
    wire.say("one")
    assert wire.wait(1) == ""
    assert "+CMTI" in wire.type("AT+CNMI=2,1\r")
    wire.ask("AT+CNMI=0,1")
    wire.say("two")
    wire.wait(1)
    assert "+CMTI" not in wire.type("AT+CNMI=2,1,0,0,1\r")  # cleared


def test_without_indication_messages_are_stored() -> None:
    wire = Wire()
    wire.ask("AT+CNMI=2,0")
    wire.say("quiet")
    assert wire.wait(1) == ""
    assert wire.ask("AT+CMGL=0").startswith("+CMGL: 1,0,,")


def test_codes_wait_for_the_end_of_a_prompt() -> None:
    wire = Wire()
    wire.ask("AT+CNMI=2,1")
    wire.ask("AT+CMGS=20")
    wire.say("meanwhile")
    assert wire.wait(1) == ""
    assert wire.type("\x1b").endswith('+CMTI: "SM",1\r\n')


def test_a_refused_handing_over_comes_again() -> None:
    wire = Wire()
    wire.ask("AT+CSMS=1;+CNMI=2,2")
    wire.say("no, thank you")
    assert "+CMT" in wire.wait(0.5)
    assert wire.ask("AT+CNMA=2") == "OK"
    assert "+CMT" in wire.wait(2)
    assert wire.ask("AT+CNMA=1") == "OK"
    assert wire.device.arrivals.waiting == 0


def test_the_network_comes_and_goes() -> None:
    desk = Desk()
    desk.ask("AT+CREG=1")
    desk.faults(network=False)
    assert desk.read() == "\r\n+CREG: 2\r\n"
    assert desk.ask("AT+CSQ;+COPS?") == "+CSQ: 99,99\r\n+COPS: 0\r\nOK"
    desk.faults()
    assert desk.read() == "\r\n+CREG: 1\r\n"


def test_starting_anew_by_command_keeps_what_was_not_confirmed() -> None:
    wire = Wire(boot_ms=500)
    wire.ask("AT+CSMS=1;+CNMI=2,2")
    wire.say("x")
    wire.wait(0.1)
    assert wire.ask("AT+CFUN=1,1") == ""
    assert wire.type("AT\r") == ""  # not yet
    assert wire.wait(1).endswith("\r\nRDY\r\n")
    assert wire.ask("AT+CNMI?") == "+CNMI: 0,0,0,0,0\r\nOK"
    assert wire.device.arrivals.waiting == 0
    assert wire.ask("AT+CMGL=4").startswith("+CMGL: 1,0,,")  # stored, for nothing was set yet


def test_too_much_waits_in_the_network() -> None:
    wire = Wire(network=False)
    part = wire.device.network.message("10086", "x", 0.0)[0]
    assert all(wire.device.arrivals.put(part, 0.0) for _ in range(MOST_INCOMING))
    assert not wire.device.arrivals.put(part, 0.0)
    wire.device.arrivals.forget()
    assert wire.device.arrivals.waiting == 0


def test_octets_and_parts_are_counted_as_phones_join_them() -> None:
    desk = Desk()
    network = desk.device.network
    (octets,) = submits(b"\x01\x02", address_of("10086"))
    network.sent("1", octets)
    assert network.samples(1)[0].text == "0102"
    first, second = submits("你好" * 40, address_of("10086"), Options(reference=5))
    network.sent("1", first)
    network.sent("2", second)  # another modem: no phone joins these
    assert network.stats.document(0.0)["unjoined"] == 2
    network.sent("1", second)
    assert network.samples(1)[0].text == "你好" * 40
    assert isinstance(first, Submit)


def test_what_nobody_reads_is_bounded() -> None:
    desk = Desk()
    for _ in range(40):
        desk.device.output.raw(b"x" * 50_000, 0.0)
    assert desk.device.output.lost == 1_000_000
    assert len(desk.read()) == 1_000_000


def test_a_session_that_only_stores() -> None:
    wire = Wire(Config(notifications=("2,1",))).start()
    wire.say("hello")
    wire.run(lambda: bool(wire.all(Received)))


@pytest.mark.parametrize("seed", range(20))
def test_a_torn_answer_is_whole_without_what_tore_it(seed: int) -> None:
    output = Output(Behaviour(ModemFaults(seed=seed)))
    held = HeldCode(["+CDS: 2", "0011"], torn=bool(seed % 2))
    assert not output.answer(["+CMGS: 25", "OK"], [held], 0.0)
    said = b"".join(output.take(0.0))
    assert said != b"\r\n+CMGS: 25\r\n\r\nOK\r\n"
    assert said.replace(framed(held.lines), b"", 1) == b"\r\n+CMGS: 25\r\n\r\nOK\r\n"


def test_a_code_held_for_an_answer_that_never_comes_is_said_then() -> None:
    desk = Desk(report_delay_ms=10)
    desk.ask("AT+CNMI=2,1,0,1,0")
    assert send(desk, options=Options()) == "+CMGS: 0\r\nOK"
    desk.device.behaviour.change(ModemFaults(swallow=1, send_ms=100, interleave=1))
    assert send(desk) == ""
    assert desk.wait(0.05) == ""
    assert "+CDS: " in desk.wait(0.1)


def test_a_modem_that_starts_says_nothing_before_its_time() -> None:
    desk = Desk(boot_ms=500)
    desk.device.reboot()
    desk.device.handle_timer(0.1)
    assert desk.read() == ""
    assert desk.device.next_due() == 0.5


def test_a_body_is_bounded() -> None:
    desk = Desk()
    desk.ask("AT+CMGS=20")
    for _ in range(3):
        desk.type(b"0" * 2000)
    assert "304" in desk.type("\x1a")


def test_what_was_not_handed_over_as_text_says_nothing() -> None:
    assert code("+CMT", b"\x01", "GSM") == []
