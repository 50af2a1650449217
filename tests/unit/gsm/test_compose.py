"""Messages from texts: coding, parts, headers, options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsm import Address, GsmError, Options, Submit, decode_user_data, submits
from gsm.dcs import Indication, indication_dcs, indication_element
from gsm.layout import encode
from smstext import Coding

TO = Address("8613800000000", 0x91)


def text_of(pdus: list[Submit]) -> str:
    found = [decode_user_data(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs, has_header=bool(pdu.tp_udhi)) for pdu in pdus]
    return "".join(part.text or "" for part in found)


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400),
    st.sampled_from([8, 16]),
    st.sampled_from([(0, 0), (1, 1), (0, 3), (6, 6)]),
    st.sampled_from([None, (2948, 9200)]),
)
def test_parts_join_to_the_text_and_fit(
    text: str, width: int, national: tuple[int, int], ports: tuple[int, int] | None
) -> None:
    pdus = submits(text, TO, Options(width=width, national=national, ports=ports, reference=7))
    assert text_of(pdus) == text
    for pdu in pdus:
        assert len(encode(pdu)) <= 165
        if len(pdus) > 1 or ports:
            assert pdu.tp_udhi


@pytest.mark.parametrize(
    ("text", "options", "total", "dcs"),
    [
        ("a" * 160, Options(), 1, 0), ("a" * 161, Options(), 2, 0), ("a" * 306, Options(), 2, 0),
        ("a" * 305, Options(width=16), 3, 0), ("你" * 70, Options(), 1, 8), ("你" * 134, Options(), 2, 8),
        ("你" * 133, Options(width=16), 3, 8), ("a", Options(message_class=0), 1, 0x10),
        ("你", Options(message_class=0), 1, 0x18), ("a" * 100, Options(coding=Coding.UCS2), 2, 8),
        ("ğ" * 155, Options(national=(1, 0)), 1, 0), ("ğ" * 156, Options(national=(1, 0)), 2, 0),
        ("你", Options(national=(1, 1)), 1, 8), ("", Options(), 1, 0),
    ],
)  # fmt: skip
def test_totals_and_coding(text: str, options: Options, total: int, dcs: int) -> None:
    pdus = submits(text, TO, options)
    assert (len(pdus), pdus[0].tp_dcs) == (total, dcs)
    assert text_of(pdus) == text


def test_octets_and_ports() -> None:
    pdus = submits(bytes(300), TO, Options(ports=(2948, 9200), message_class=1))
    assert [len(pdu.tp_ud) for pdu in pdus] == [140, 140, 56]
    assert pdus[0].tp_dcs == 0x15
    assert pdus[0].tp_ud[:12].hex() == "0b05040b8423f00003000301"


def test_message_waiting_by_coding_and_by_header() -> None:
    waiting = Indication(0, True, True)
    (pdu,) = submits(
        "语音", TO, Options(dcs=indication_dcs(waiting, Coding.UCS2), elements=indication_element(waiting, 300))
    )
    assert (pdu.tp_dcs, pdu.tp_udhi, pdu.tp_ud[:5].hex()) == (0xE8, 1, "04010280ff")
    assert text_of([pdu]) == "语音"
    with pytest.raises(GsmError):
        indication_element(Indication(4, True, True), 1)


def test_the_other_options_reach_the_wire() -> None:
    (pdu,) = submits("a", TO, Options(pid=0x41, validity=167, report=False, reject_duplicates=True, reply_path=True))
    assert (pdu.tp_pid, pdu.tp_vp, pdu.tp_srr, pdu.tp_rd, pdu.tp_rp) == (0x41, 167, 0, 1, 1)


@pytest.mark.parametrize(
    ("content", "options", "code"),
    [
        ("你", Options(coding=Coding.GSM7), "text_not_encodable"),
        ("\ud83d", Options(), "text_not_encodable"),
        ("a", Options(coding=Coding.OCTETS), "text_not_encodable"),
        ("a" * 153 * 256, Options(), "user_data_too_long"),
        (bytes(134 * 256), Options(), "user_data_too_long"),
        ("a" * 200, Options(reference=256), "field_range"),
        ("a" * 200, Options(width=9), "field_range"),
        ("a", Options(ports=(70000, 1)), "field_range"),
        ("a", Options(ports=(240, 240), port_width=12), "field_range"),
        ("a" * 20, Options(elements=bytes(132)), "user_data_too_long"),
        ("a" * 10, Options(elements=bytes(140)), "user_data_too_long"),
        ("a", Options(national=(300, 0)), "field_range"),
        ("a", Options(coding=Coding.GBK), "field_range"),
    ],
)
def test_refusals(content: str | bytes, options: Options, code: str) -> None:
    with pytest.raises(GsmError) as caught:
        submits(content, TO, options)
    assert caught.value.code == code


def test_ports_of_8_bits() -> None:
    (pdu,) = submits(b"x", TO, Options(ports=(240, 241), port_width=8))
    assert pdu.tp_ud.hex() == "040402f0f178"
