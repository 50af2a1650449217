"""GSM PDUs and the AT dialogue: octets of a network, and whatever a modem says on its port."""

from __future__ import annotations

import json
from collections.abc import Callable

from fuzz.script import Script

from gsm.address import address_of
from gsm.codec import KINDS, decode_fields, encode_fields
from gsm.codes import delivery_of, is_final
from gsm.faults import GsmError
from gsm.frame import Frame, announced_length, decode_frame, encode_frame, octets_of
from gsm.modem import Modem
from gsm.modem_events import Config, Event, Lost, Received, Refused, Sent, State, Uncertain
from gsm.pdu import StatusReport, Submit
from gsm.userdata import decode_user_data, octets_of_length

_KINDS = tuple(KINDS)
_PHONE = address_of("+8613800000001")


def check_pdu(script: Script) -> None:
    """A frame by both directions and announced lengths, its fields, and user data on its own."""
    choice = script.octet()
    if choice & 7 == 7:
        length, dcs, has_header = script.octet(), script.octet(), bool(choice & 8)
        size = octets_of_length(length, dcs)
        decode_user_data(length, script.take(size).ljust(size, b"\0"), dcs, has_header=has_header)
        return
    announced = script.octet() if choice & 16 else None
    error = (None, True, False, None)[choice >> 5 & 3]
    octets = script.rest()
    try:
        frame = decode_frame(octets, to_phone=bool(choice & 8), length=announced, error=error)
    except GsmError as fault:
        assert 0 <= fault.at <= len(octets), f"offset {fault.at} of {len(octets)}"
    else:
        _check_frame(frame, octets, to_phone=bool(choice & 8), error=error)
    _check_fields(_KINDS[choice % len(_KINDS)], octets)


def _check_frame(frame: Frame, octets: bytes, *, to_phone: bool, error: bool | None) -> None:
    if isinstance(frame.pdu, StatusReport):
        delivery_of(frame.pdu.tp_st)
        is_final(frame.pdu.tp_st)
    try:
        again = encode_frame(frame)
    except GsmError:
        return
    # Lenient readings (fillers among digits, nibbles that are no digit) are written in their one strict form.
    assert announced_length(frame) <= len(again)
    back = decode_frame(again, to_phone=to_phone, error=error)
    assert encode_frame(back) == again
    assert (back.pdu, back.trailing) == (frame.pdu, b"")


def _check_fields(kind: str, octets: bytes) -> None:
    try:
        fields = decode_fields(kind, octets)
    except GsmError as fault:
        assert 0 <= fault.at <= len(octets)
        return
    assert json.loads(json.dumps(fields)) == fields
    try:
        again = encode_fields(kind, fields)
    except GsmError:
        return
    assert encode_fields(kind, decode_fields(kind, again)) == again
    fields.pop("trailing", None)
    assert decode_fields(kind, again) == fields


def check_hexadecimal(script: Script) -> None:
    text = script.rest().decode("latin-1")
    try:
        octets = octets_of(text)
    except GsmError as fault:
        assert 0 <= fault.at <= len(text)
        return
    assert octets.hex() == text.replace(" ", "").strip().lower()


LINES = (
    *("OK", "ERROR", "> ", "RDY", "RING", "AT", "+CMGS: 7", "+CMS ERROR: 38", "+CMS ERROR: 322", "+CME ERROR: 10"),
    *(
        "+CME ERROR: 310",
        "+CPIN: READY",
        "+CPIN: SIM PIN",
        "+CPIN: SIM PUK",
        "+CSMS: 1,1,1",
        "+CSQ: 20,99",
        "+CREG: 0,1",
    ),
    *('+CMTI: "SM",3', '+CDSI: "ME",12', "+CMT: ,24", "+CDS: 25", "+CMGL: 1,1,,24", '+CMGL: 2,0,"a",3', "+CMGR: 0,,24"),
    *(
        "07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07",
        "0791",
        "zz",
        "^SYSSTART",
        "860001",
    ),
    *('+COPS: 0,0,"CMCC"', '+CSCA: "+8613800100500",145', "+CMS ERROR: 500", "NO CARRIER", "+CMGS: 300", "+CBM: 88"),
)


class Dialogue:
    """A modem session driven by a script, and its twin that gets the same octets in other pieces."""

    def __init__(self, script: Script) -> None:
        options = script.octet()
        self.script = script
        config = Config(pin="1234" if options & 1 else "", centre="+8613800100500" if options & 2 else "")
        self.modems = [Modem(config), Modem(config)][: 1 + (options >> 2 & 1)]
        self.now = 0.0
        self.token = 0
        self.open: set[int] = set()
        self.handles: list[int] = []
        self.lost = False
        self.given = 64 * 40
        for modem in self.modems:
            modem.start(0.0)
        if options & 8:
            self._until_ready()

    def _until_ready(self) -> None:
        for _ in range(40):
            if self.modems[0].state is State.READY:
                return
            self.hear(b"+CSMS: 1,1,1\r\nOK\r\n", 0)

    def hear(self, data: bytes, cut: int) -> None:
        self.given += len(data) * len(self.modems)
        found = [self.modems[0].receive_data(data, self.now)]
        for modem in self.modems[1:]:
            pieces = (data[:cut], data[cut : cut + 1], data[cut + 1 :])
            found.append([event for part in pieces for event in modem.receive_data(part, self.now)])
        self.take(found)

    def take(self, found: list[list[Event]]) -> None:
        assert all(events == found[0] for events in found), "the pieces change what happens"
        for event in found[0]:
            assert not self.lost, "an event after the end"
            if isinstance(event, Sent | Refused | Uncertain):
                self.open.remove(event.token)
            elif isinstance(event, Received):
                self.handles.append(event.handle)
            elif isinstance(event, Lost):
                assert not self.open
                self.lost = True

    def say(self) -> None:
        line = LINES[self.script.octet() % len(LINES)].encode()
        self.hear(line + b"\r\n" if line != b"> " else b"\r\n> ", self.script.octet() % (len(line) + 1))

    def noise(self) -> None:
        data = self.script.block()
        self.hear(data, self.script.octet() % (len(data) + 1))

    def agree(self) -> None:
        self.hear(b"OK\r\n", 1)

    def calls(self, call: Callable[[Modem], object]) -> list[object]:
        found: list[object] = []
        for modem in self.modems:
            try:
                found.append(call(modem))
            except GsmError as fault:
                found.append(fault.code)
        assert all(one == found[0] for one in found)
        return found

    def send(self) -> None:
        self.token += 1
        token = self.token
        frame = Frame(Submit(tp_da=_PHONE, tp_dcs=4, tp_udl=1, tp_ud=b"x", tp_mr=0))
        if self.calls(lambda modem: modem.send(token, frame, self.now))[0] is None:
            self.open.add(token)

    def acknowledge(self) -> None:
        handle = self.handles.pop() if self.handles else self.script.octet()
        self.calls(lambda modem: modem.acknowledge(handle, self.now))

    def restart(self) -> None:
        if self.modems[0].state is State.STOPPED:
            self.calls(lambda modem: modem.start(self.now))

    def wait(self) -> None:
        self.now += self.script.octet()
        for _ in range(12):
            deadline = self.modems[0].next_deadline()
            self.take([modem.handle_timer(self.now) for modem in self.modems])
            if deadline is None or deadline > self.now:
                return
        deadline = self.modems[0].next_deadline()
        assert deadline is None or deadline > self.now, "a served timer asks again at once"

    def check(self) -> None:
        written = {modem.bytes_to_send() for modem in self.modems}
        assert len(written) == 1
        modem = self.modems[0]
        assert len(modem._pending) <= 4096
        assert len(modem._channel._reader._buffer) <= 4096
        assert ({modem._sending} if modem._sending is not None else set()) == self.open
        if modem.state is State.LOST:
            assert self.lost


def check_dialogue(script: Script) -> int:
    """Run a script; returns the octets heard, 64 added for every step."""
    talk = Dialogue(script)
    steps = (talk.say, talk.say, talk.noise, talk.agree, talk.send, talk.acknowledge, talk.wait, talk.restart)
    talk.check()
    while script.more:
        steps[script.octet() & 7]()
        talk.given += 64
        talk.check()
    return talk.given
