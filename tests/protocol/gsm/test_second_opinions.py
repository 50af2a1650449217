"""Our PDUs and alphabets as other implementations read and write them: smspdudecoder, python-messaging, gsmcodecs."""

from io import StringIO

import pytest
from gsmcodecs.charmaps import GSMCHARMAPS
from hypothesis import given, settings
from hypothesis import strategies as st
from messaging.sms import SmsDeliver, SmsSubmit
from smspdudecoder.fields import SMSDeliver as OtherDeliver
from smspdudecoder.fields import SMSSubmit as OtherSubmit

from gsm import (
    Address,
    Deliver,
    Frame,
    Options,
    StatusReport,
    Submit,
    Timestamp,
    address_of,
    decode_frame,
    decode_user_data,
    encode_frame,
    encode_user_data,
    octets_of,
    submits,
)
from smstext.alphabet import SEPTETS_OF
from smstext.national import alphabet

SPDU, PM = "PyPI smspdudecoder 2.2.0", "PyPI python-messaging 0.5.13"

# 0x09 is the capital Ç in the standard and small in some libraries; form feed, CR and LF are not in all of them.
GSM = "".join(sorted(set(SEPTETS_OF) - set("Ç\f\r\n")))
TEXTS = st.one_of(st.text(alphabet=GSM, max_size=70), st.text(alphabet="你好电费账单ab123，。", max_size=60))
NUMBERS = st.text(alphabet="0123456789", min_size=3, max_size=15)


def same(theirs: str, text: str | None, pdu: Submit | Deliver) -> bool:
    """smspdudecoder takes the seven spare bits after 7, 15, 23 ... septets for a commercial at (TS 23.038 6.1.2.1.1)."""
    assert text is not None
    return theirs == text or (pdu.tp_dcs == 0 and pdu.tp_udl % 8 == 7 and theirs == text + "@")


@settings(max_examples=150, deadline=None)
@given(TEXTS, NUMBERS, st.sampled_from([8, 16]))
def submits_read_by_smspdudecoder(text: str, number: str, width: int) -> None:
    options = Options(width=width, reference=7)
    for pdu in submits(text * 4, Address(number, 0x91), options):
        other = OtherSubmit.decode(StringIO(encode_frame(Frame(pdu)).hex().upper()))
        ours = decode_user_data(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs, has_header=bool(pdu.tp_udhi))
        assert other["recipient"]["number"] == number
        assert other["header"]["srr"] is True
        assert same(other["user_data"]["data"], ours.text, pdu)
        if ours.header is not None and ours.header.concat is not None and width == 8:
            (element,) = other["user_data"]["header"]["elements"]
            concat = ours.header.concat
            assert element["data"] == {
                "reference": concat.reference, "parts_count": concat.total, "part_number": concat.index,
            }  # fmt: skip


def test_smspdudecoder_reads_our_submits(shown) -> None:
    submits_read_by_smspdudecoder()
    shown(
        "gsm-pdu",
        "writer",
        "SUBMIT, gsm7",
        "SUBMIT, ucs2",
        "SUBMIT, long, 8-bit reference",
        "SUBMIT, long, 16-bit reference",
        peer=SPDU,
    )


@settings(max_examples=150, deadline=None)
@given(TEXTS.filter(bool), NUMBERS)
def delivers_read_by_both(text: str, number: str) -> None:
    wide = any(char not in SEPTETS_OF for char in text)
    text = text[:70]
    length, octets = encode_user_data(text, 8 if wide else 0)
    pdu = Deliver(
        tp_oa=Address(number, 0x91),
        tp_dcs=8 if wide else 0,
        tp_scts=Timestamp(30, 1, 2, 3, 4, 5),
        tp_udl=length,
        tp_ud=octets,
    )
    hexadecimal = encode_frame(Frame(pdu, address_of("+8613800571500"))).hex().upper()
    other = OtherDeliver.decode(StringIO(hexadecimal))
    assert other["smsc"]["number"] == "8613800571500"
    assert other["sender"]["number"] == number
    assert same(other["user_data"]["data"], text, pdu)
    assert str(other["scts"]) == "2030-01-01 19:04:05+00:00"
    third = SmsDeliver(hexadecimal)
    assert third.csca == "+8613800571500"
    assert third.number == f"+{number}"
    assert third.text == text


def test_both_read_our_delivers(shown) -> None:
    delivers_read_by_both()
    for peer in (SPDU, PM):
        shown("gsm-pdu", "writer", "DELIVER, gsm7", "DELIVER, ucs2", peer=peer)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.text(alphabet=GSM, min_size=1, max_size=400), st.text(alphabet="你好电费", min_size=1, max_size=200))
)
def submits_of_python_messaging(text: str) -> None:
    message = SmsSubmit("+8613800000000", text)
    found = []
    for part in message.to_pdu():
        pdu = decode_frame(octets_of(part.pdu), to_phone=False, length=int(part.length)).pdu
        assert isinstance(pdu, Submit)
        assert str(pdu.tp_da) == "+8613800000000"
        found.append(decode_user_data(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs, has_header=bool(pdu.tp_udhi)))
    assert "".join(part.text or "" for part in found) == text
    if len(found) > 1:
        totals = {part.header.concat.total for part in found if part.header and part.header.concat}
        assert totals == {len(found)}


def test_we_read_what_python_messaging_writes(shown) -> None:
    submits_of_python_messaging()
    shown("gsm-pdu", "reader", "SUBMIT, gsm7", "SUBMIT, ucs2", "SUBMIT, long, 8-bit reference", peer=PM)


@pytest.mark.parametrize("text", ["Hi [1] €5", "你好"])
def test_single_messages_are_the_same_octets(text: str, shown) -> None:
    (other,) = SmsSubmit("+8613800000000", text).to_pdu()
    (pdu,) = submits(text, address_of("+8613800000000"), Options(report=False))
    assert encode_frame(Frame(pdu)).hex().upper() == other.pdu
    shown("gsm-pdu", "writer", "SUBMIT, the same octets", peer=PM)


@pytest.mark.parametrize("state", [0x00, 0x21, 0x46, 0x65])
def test_python_messaging_reads_our_status_reports(state: int, shown) -> None:
    report = StatusReport(
        tp_mr=7,
        tp_ra=address_of("+8613800138000"),
        tp_scts=Timestamp(30, 1, 2, 3, 4, 5),
        tp_dt=Timestamp(30, 1, 2, 3, 4, 6),
        tp_st=state,
    )
    other = SmsDeliver(encode_frame(Frame(report, address_of("+8613800571500"))).hex().upper())
    assert other.csca == "+8613800571500"
    assert other.sr["recipient"] == "+8613800138000"
    assert other.sr["status"] == state
    # It leaves the zone out and gives the digits of the wire.
    assert str(other.sr["scts"]) == "2030-01-02 03:04:05"
    assert str(other.sr["dt"]) == "2030-01-02 03:04:06"
    shown("gsm-pdu", "writer", "STATUS-REPORT", peer=PM)


# The Indian locking tables have a comma at 0x2C and Telugu's single shift table the euro sign, as two of three say that we
# compared; 0x1B of a single shift table is reserved, which each shows in its own way.
OF_OUR_OWN = {0x2C: ",", 0x65: "€"}


@pytest.mark.parametrize("language", range(14))
def test_national_tables_are_those_of_gsmcodecs(language: int, shown) -> None:
    """Code by code, the tables themselves: its codec chooses the single shift table by the locking one's language."""
    tables = GSMCHARMAPS[language]
    ours = alphabet(language, language)
    for code in (code for code in range(128) if code != 0x1B):
        theirs = tables.get("locking", {}).get("decode", {}).get(code)
        if theirs is not None:
            expected = OF_OUR_OWN[code] if language >= 4 and code == 0x2C else chr(theirs)
            assert ours.decode(bytes((code,))) == expected
        shifted = tables["singleShift"]["decode"].get(code)
        if language == 12 and code == 0x65:
            shifted = ord(OF_OUR_OWN[code])
        if shifted is not None:
            assert ours.decode(bytes((0x1B, code))) == chr(shifted)
    shown("gsm-pdu", "writer", "alphabets, default and 13 national", peer="PyPI gsmcodecs 1.0.0")
