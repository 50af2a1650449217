"""What can be fuzzed, by name: a check that returns or raises, and inputs to begin with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from fuzz.pdus import check_frame, commands
from fuzz.phones import check_dialogue, check_hexadecimal, check_pdu
from fuzz.pushes import check_push
from fuzz.script import Script
from fuzz.sessions import check_session

from carrier.dialect import ANSWER, Credentials, Dialect
from carrier.dialects import NAMES, dialect
from carrier.errors import CarrierError
from carrier.model import Mo, Report, ReportState, Submit
from gsm import Deliver, Frame, Options, StatusReport, address_of, encode_frame, parts, submits, timestamp_of
from wappush import Indication, Loading, segments, to_push, to_xml, wsp
from wappush.pap import ClientAddress, PushMessage, push_element, write_pap


@dataclass(frozen=True)
class Target:
    """``check`` raises for a fault of the library and returns how many octets that was given (a call counts 64);
    ``seeds`` reach its parts.
    """

    name: str
    check: Callable[[bytes], int]
    seeds: Callable[[], Iterable[bytes]]


SETTINGS: dict[str, tuple[dict[str, object], ...]] = {
    "smpp34": ({}, {"receipts_unmarked": True}),
    "cmpp20": ({}, {"clock_tolerance": 60.0}),
    "cmpp30": ({}, {"short_reports": True}, {"clock_tolerance": 60.0}),
    # A prefix would be put before the numbers that are written, which then read differently.
    "sgip12": ({"country_prefix": ""}, {"country_prefix": "", "node_id": 3075512345}),
    "smgp30": ({}, {"version": 0x13}, {"lenient_tail": True}, {"clock_tolerance": 60.0}),
}
"""Links whose settings make a reader or the session behave differently; the first ones are the usual."""


def _carrier(name: str) -> Target:
    links = [dialect(name, settings) for settings in SETTINGS[name]]
    made = links[0]
    valid = samples(made)

    def check(data: bytes) -> int:
        script = Script(data)
        choice = script.octet()
        link = links[(choice >> 1 & 7) % len(links)]
        if choice & 1:
            return check_session(link, script, valid)
        check_frame(link, script)
        return len(data)

    def seeds() -> Iterable[bytes]:
        known = commands(made)
        status = b"\0" if made.codec.header.status else b""
        for frame in valid:
            number = int.from_bytes(frame[4:8], "big")
            yield bytes((0, known.index(number))) + status + frame[made.header_size :]
            yield b"\0\xff" + frame
        for options in range(8):
            for place in range(0, len(valid), 3):
                yield bytes((1, options | 2, 2, place, 0, 0, 0, 6, 0, 4, 1, 2, 3, 4, 3, 0, 0, 5, 0, 4, 60, 12, 4, 200))

    return Target(name, check, seeds)


@cache
def _frames(name: str) -> tuple[bytes, ...]:
    made = dialect(name, SETTINGS[name][0])
    text = "您好 0123".encode("utf-16-be")
    written = [
        made.submit(Submit("95598", "13800000001", text, 8), 1),
        made.submit(Submit("95598", "13800000001", b"\5\0\3\1\2\1" + text, 8, udhi=True, part_total=2), 2),
        made.submit(Submit("95598", "13800000001", text, 8, more_destinations=("13800000002",)), 3),
        made.deliver(Mo("13800000001", "95598", text, 8), 4),
        made.bind(Credentials("901234", "secret"), 5, 1.8e9),
        made.keepalive(6) if made.has_keepalive else b"",
        made.unbind(7),
    ]
    identity = made.message_id(9, 1.8e9, written[0])
    for state in (ReportState.DELIVERED, ReportState.UNDELIVERABLE, ReportState.ENROUTE):
        report = Report(identity, state, True, "", "001", "13800000001", "95598", "2601010101", "2601010102")
        written.append(made.deliver(report, 8))
    written += [made.answer(frame, status, identity) for frame in (written[0], written[3]) for status in (0, 8)]
    for number, pdu in made.codec.pdus.items():
        try:
            written.append(made.encode({"command": pdu.name, made.codec.header.command: number}))
        except CarrierError:  # needs a recipient: written above
            assert not number & ANSWER
    return tuple(frame for frame in written if frame)


def samples(made: Dialect) -> list[bytes]:
    """Valid PDUs: every command with its defaults, and messages, reports and answers as they are sent."""
    return list(_frames(made.name))


def _gsm_check(data: bytes) -> int:
    script = Script(data)
    if script.octet() & 1:
        check_hexadecimal(script)
    else:
        check_pdu(script)
    return len(data)


def _gsm_seeds() -> Iterable[bytes]:
    phone, when = address_of("+8613800000001"), timestamp_of("2030-01-02T03:04:05+08:00")
    frames = [
        *submits("hello", phone, Options(report=True)),
        *submits("您好" * 40, phone, Options(validity=167)),
        *submits("merhaba ğ", phone, Options(national=(1, 1))),
        StatusReport(tp_mr=1, tp_ra=phone, tp_scts=when, tp_dt=when, tp_st=0),
    ]
    for part in parts("您好", Options(ports=(2948, 9200))):
        carried = {"tp_dcs": part.tp_dcs, "tp_udhi": part.tp_udhi, "tp_udl": part.tp_udl, "tp_ud": part.tp_ud}
        frames += [Deliver(tp_oa=phone, tp_scts=when, **carried)]
    for pdu in frames:
        octets = encode_frame(Frame(pdu))
        for choice in (0, 1, 2, 8):
            yield bytes((0, choice)) + octets
        yield b"\1" + octets.hex().encode()
        yield bytes((0, 7 | 8, 20, 8)) + octets


def _at_seeds() -> Iterable[bytes]:
    for options in range(16):
        yield (
            bytes((options, 3, 3, 3, 0, 20, 0, 3, 4, 0, 2, 0, 0, 6, 0, 3, 6, 60, 0, 17, 0, 5, 7, 2, 6))
            + b"+CMS ERROR: 1\r\n"
        )
        yield bytes((options | 8, 4, 0, 2, 0, 0, 6, 0, 3, 0, 19, 0, 0, 24, 0, 5, 6, 255, 6, 255, 6, 255))


def _push_seeds() -> Iterable[bytes]:
    when = "2030-01-02T03:04:00Z"
    indication = Indication(
        text="您好", href="http://www.example.com/a?b=c", si_id="1", action="signal-high", created=when, si_expires=when
    )
    for record in (indication, Loading(href="https://www.x.org/y", action="cache")):
        whole = to_push(record)
        yield bytes((0,)) + whole.body
        yield bytes((4,)) + whole.body
        yield bytes((1,)) + wsp.encode(whole)
        yield bytes((2, 0)) + wsp.encode(whole)
        for part in segments(record).payloads:
            yield bytes((2, 1)) + part
            yield bytes((3,)) + part
            yield bytes((5,)) + part
        yield bytes((6,)) + to_xml(record)
    message = PushMessage(push_id="1@x", addresses=(ClientAddress("+8613800000001", "PLMN", "ppg.x"),))
    document = write_pap(push_element(message))
    yield bytes((7,)) + document
    yield bytes((8, 1)) + b"\n--b\r\nContent-Type: application/xml\r\n\r\n" + document + b"\r\n--b--\r\n"
    yield bytes((9,)) + b"WAPPUSH=+8613800000001/TYPE=PLMN@ppg.x"


TARGETS: dict[str, Target] = {
    **{name: _carrier(name) for name in NAMES},
    "gsm": Target("gsm", _gsm_check, _gsm_seeds),
    "at": Target("at", lambda data: check_dialogue(Script(data)), _at_seeds),
    "wappush": Target("wappush", lambda data: check_push(Script(data)), _push_seeds),
}
