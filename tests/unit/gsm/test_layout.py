"""The six TPDUs: reference vectors, identity over all values, truncation at every octet, fuzz."""

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm import (
    Address,
    Command,
    Deliver,
    DeliverReport,
    Frame,
    GsmError,
    Pdu,
    StatusReport,
    Submit,
    SubmitReport,
    Timestamp,
    decode_frame,
    decode_user_data,
    encode_frame,
    octets_of,
)
from gsm.frame import announced_length
from gsm.layout import decode, encode
from gsm.pdu import TO_PHONE
from gsm.userdata import octets_of_length

BIT = st.integers(0, 1)
OCTET = st.integers(0, 255)
DIGITS = st.text(alphabet="0123456789*#abc", max_size=20)
ADDRESS = st.builds(Address, DIGITS, st.sampled_from([0x91, 0x81, 0xA1, 0xC8]))
EPOCH = Timestamp(1, 1, 1, 1, 1, 1)
TIME = st.builds(Timestamp, *([st.integers(0, 99)] * 6), quarters=st.integers(0, 79), west=st.booleans())
VALIDITY = st.one_of(st.none(), OCTET, TIME, st.binary(min_size=7, max_size=7))


@st.composite
def user_data(draw: st.DrawFn) -> dict[str, Any]:
    dcs = draw(OCTET)
    length = draw(st.integers(0, 140))
    octets = draw(st.binary(min_size=octets_of_length(length, dcs), max_size=octets_of_length(length, dcs)))
    return {"tp_dcs": dcs, "tp_udl": length, "tp_ud": octets}


@st.composite
def optional(draw: st.DrawFn) -> dict[str, Any]:
    """What TP-PI announces: without TP-DCS the length counts septets."""
    pi = draw(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 7, 0x0B, 0x8700, 0x848001]))
    first = pi >> 8 * (max(0, pi.bit_length() - 1) // 8)
    fields: dict[str, Any] = {"tp_pi": pi}
    if first & 1:
        fields["tp_pid"] = draw(OCTET)
    if first & 2:
        fields["tp_dcs"] = draw(OCTET)
    if first & 4:
        size = octets_of_length(length := draw(st.integers(0, 140)), fields.get("tp_dcs", 0))
        fields |= {"tp_udl": length, "tp_ud": draw(st.binary(min_size=size, max_size=size))}
    return fields


@st.composite
def pdus(draw: st.DrawFn) -> Pdu:
    bits = {name: draw(BIT) for name in ("tp_udhi", "a", "b", "c", "d")}
    udhi, a, b, c = bits["tp_udhi"], bits["a"], bits["b"], bits["c"]
    kind = draw(st.sampled_from([Deliver, Submit, StatusReport, DeliverReport, SubmitReport, Command]))
    cause = draw(st.one_of(st.none(), st.integers(0x80, 0xFF)))
    if kind is Deliver:
        return Deliver(tp_mms=a, tp_lp=b, tp_sri=c, tp_udhi=udhi, tp_rp=bits["d"], tp_oa=draw(ADDRESS),
                       tp_pid=draw(OCTET), tp_scts=draw(TIME), **draw(user_data()))  # fmt: skip
    if kind is Submit:
        return Submit(tp_rd=a, tp_srr=b, tp_udhi=udhi, tp_rp=c, tp_mr=draw(OCTET), tp_da=draw(ADDRESS),
                      tp_pid=draw(OCTET), tp_vp=draw(VALIDITY), **draw(user_data()))  # fmt: skip
    if kind is StatusReport:
        rest = draw(st.one_of(st.just({}), optional()))
        return StatusReport(tp_mms=a, tp_lp=b, tp_srq=c, tp_udhi=udhi, tp_mr=draw(OCTET), tp_ra=draw(ADDRESS),
                            tp_scts=draw(TIME), tp_dt=draw(TIME), tp_st=draw(OCTET), **rest)  # fmt: skip
    if kind is Command:
        data = draw(st.binary(max_size=146))
        return Command(tp_udhi=udhi, tp_srr=a, tp_mr=draw(OCTET), tp_pid=draw(OCTET), tp_ct=draw(OCTET),
                       tp_mn=draw(OCTET), tp_da=draw(ADDRESS), tp_cdl=len(data), tp_cd=data)  # fmt: skip
    if kind is DeliverReport:
        return DeliverReport(tp_udhi=udhi, tp_fcs=cause, **draw(optional()))
    return SubmitReport(tp_udhi=udhi, tp_fcs=cause, tp_scts=draw(TIME), **draw(optional()))


def to_phone(pdu: Pdu) -> bool:
    return type(pdu) in TO_PHONE.values()


@given(pdus(), st.binary(max_size=4))
def test_what_is_encoded_decodes_to_the_same_and_back(pdu: Pdu, trailing: bytes) -> None:
    octets = encode(pdu)
    fcs = getattr(pdu, "tp_fcs", None) is not None
    if isinstance(pdu, StatusReport) and pdu.tp_pi is None:
        trailing = b""  # anything after would be taken for its optional part
    found, rest = decode(octets + trailing, to_phone=to_phone(pdu), error=fcs)
    assert (found, rest) == (pdu, trailing)
    assert encode(found) == octets


@given(pdus())
def test_truncation_at_every_octet_is_the_declared_error(pdu: Pdu) -> None:
    octets = encode(pdu)
    fcs = getattr(pdu, "tp_fcs", None) is not None
    for size in range(len(octets)):
        with contextlib.suppress(GsmError):
            found, _ = decode(octets[:size], to_phone=to_phone(pdu), error=fcs)
            # The only shorter PDU there is: a status report without its optional part.
            assert isinstance(found, StatusReport)
            assert found.tp_pi is None


@given(st.binary(max_size=200), st.booleans(), st.sampled_from([None, True, False]))
def test_any_octets_give_a_pdu_or_the_declared_error(octets: bytes, direction: bool, error: bool | None) -> None:
    with contextlib.suppress(GsmError):
        pdu, rest = decode(octets, to_phone=direction, error=error)
        assert octets.endswith(rest)
        if getattr(pdu, "tp_udl", None) is not None:
            dcs = getattr(pdu, "tp_dcs", None) or 0
            decode_user_data(pdu.tp_udl, pdu.tp_ud, dcs, has_header=bool(pdu.tp_udhi))  # type: ignore[union-attr,arg-type]


def test_reference_vectors() -> None:
    # Protocol reference 6.13.
    text = "0031000D91683108000000F00000A70CC83468C38B6D7CA04DB906"
    frame = decode_frame(octets_of(text), to_phone=False)
    pdu = frame.pdu
    assert isinstance(pdu, Submit)
    assert (str(pdu.tp_da), pdu.tp_srr, pdu.tp_vp, pdu.tp_udl) == ("+8613800000000", 1, 167, 12)
    assert decode_user_data(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs, has_header=False).text == "Hi [1] €5"
    assert encode_frame(frame).hex().upper() == text
    assert announced_length(frame) == 26

    text = "0041000D91683108000000F000000B050003A7020182C22111"
    pdu = decode_frame(octets_of(text), to_phone=False).pdu
    assert isinstance(pdu, Submit)
    found = decode_user_data(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs, has_header=True)
    assert found.text == "ABCD"
    assert found.header is not None
    assert found.header.concat is not None
    assert (found.header.concat.reference, found.header.concat.total, found.header.concat.index) == (0xA7, 2, 1)

    text = "0051000D91683108000000F00008AA0B060804BEEF03024F60597D"
    pdu = decode_frame(octets_of(text), to_phone=False).pdu
    assert isinstance(pdu, Submit)
    assert decode_user_data(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs, has_header=True).text == "你好"


def test_the_centre_and_modems_that_leave_it_out() -> None:
    deliver = Deliver(tp_oa=Address("10086"), tp_scts=Timestamp(30, 1, 2, 3, 4, 5))
    whole = encode_frame(Frame(deliver, Address("8613800571500", 0x91)))
    size = announced_length(Frame(deliver))
    frame = decode_frame(whole, to_phone=True, length=size)
    assert frame == Frame(deliver, Address("8613800571500", 0x91))
    assert decode_frame(encode(deliver), to_phone=True, length=size) == Frame(deliver)
    with pytest.raises(GsmError) as caught:
        decode_frame(whole, to_phone=True, length=size + 1)
    assert (caught.value.code, caught.value.at) == ("length_mismatch", 9)
    assert decode_frame(whole + b"xy", to_phone=True).trailing == b"xy"


def test_offsets_count_the_centre() -> None:
    with pytest.raises(GsmError) as caught:
        decode_frame(octets_of("0391214304"), to_phone=True)
    assert (caught.value.code, caught.value.at, caught.value.field) == ("truncated", 5, "TP-OA")
    with pytest.raises(GsmError) as caught:
        decode_frame(octets_of("0003"), to_phone=False)
    assert (caught.value.code, caught.value.at) == ("reserved_type", 1)


@pytest.mark.parametrize(("text", "at"), [("0", 0), ("00g0", 1), ("00 1", 1), ("００", 0), ("00-1", 1), ("zz", 0)])
def test_hexadecimal(text: str, at: int) -> None:
    with pytest.raises(GsmError) as caught:
        octets_of(text)
    assert (caught.value.code, caught.value.at) == ("not_hex", at)
    assert octets_of(" 0A 0b\n") == b"\x0a\x0b"


SUBMIT = Submit(tp_da=Address("10086"))
REPORT = DeliverReport()
STATUS = StatusReport(tp_mr=1, tp_ra=Address("1"), tp_scts=EPOCH, tp_dt=EPOCH, tp_st=0)


@pytest.mark.parametrize(
    ("pdu", "changes", "code", "field"),
    [
        (SUBMIT, {"tp_mr": 256}, "field_range", "TP-MR"),
        (SUBMIT, {"tp_rd": 2}, "field_range", "TP-RD"),
        (SUBMIT, {"tp_vp": 256}, "field_range", "TP-VP"),
        (SUBMIT, {"tp_vp": b"123"}, "field_range", "TP-VP"),
        (SUBMIT, {"tp_udl": 5}, "length_mismatch", "TP-UDL"),
        (SUBMIT, {"tp_udl": -1}, "field_range", "TP-UDL"),
        (SUBMIT, {"tp_dcs": 4, "tp_udl": 141, "tp_ud": bytes(141)}, "user_data_too_long", "TP-UD"),
        (SUBMIT, {"tp_dcs": -1}, "field_range", "TP-DCS"),
        (REPORT, {"tp_pi": 1}, "field_missing", "TP-PID"),
        (REPORT, {"tp_pid": 1}, "field_unknown", "TP-PID"),
        (REPORT, {"tp_pi": 0x80}, "field_range", "TP-PI"),
        (REPORT, {"tp_pi": 0x0180}, "field_range", "TP-PI"),
        (REPORT, {"tp_pi": 0x0101}, "field_range", "TP-PI"),
        (REPORT, {"tp_pi": -1}, "field_range", "TP-PI"),
        (REPORT, {"tp_fcs": 300}, "field_range", "TP-FCS"),
        (REPORT, {"tp_pi": 2, "tp_dcs": 300}, "field_range", "TP-DCS"),
        (Command(tp_ct=0, tp_da=Address("1")), {"tp_cdl": 1}, "length_mismatch", "TP-CDL"),
        (Command(tp_ct=0, tp_da=Address("1")), {"tp_cdl": 147, "tp_cd": bytes(147)}, "length_mismatch", "TP-CDL"),
        (STATUS, {"tp_pid": 1}, "field_unknown", "TP-PID"),
    ],
)  # fmt: skip
def test_encoding_is_strict_and_names_the_field(pdu: Pdu, changes: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(GsmError) as caught:
        encode(msgspec.structs.replace(pdu, **changes))
    assert (caught.value.code, caught.value.field) == (code, field)


def test_reports_guess_their_cause() -> None:
    for pdu in (DeliverReport(tp_fcs=0xD3), DeliverReport(), DeliverReport(tp_fcs=0x80, tp_pi=1, tp_pid=2)):
        assert decode(encode(pdu), to_phone=False)[0] == pdu
    with pytest.raises(GsmError):
        decode(b"\x00", to_phone=False)
