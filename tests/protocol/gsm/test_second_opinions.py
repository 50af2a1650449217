"""Our PDUs as other implementations read and write them: smspdudecoder and python-messaging."""

from io import StringIO

import pytest
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

# 0x09 is the capital Ç in the standard and small in some libraries; form feed, CR and LF are not in all of them.
GSM = "".join(sorted(set(SEPTETS_OF) - set("Ç\f\r\n")))
TEXTS = st.one_of(st.text(alphabet=GSM, max_size=70), st.text(alphabet="你好电费账单ab123，。", max_size=60))
NUMBERS = st.text(alphabet="0123456789", min_size=3, max_size=15)


def without_ghost(text: str, pdu: Submit | Deliver) -> str:
    """smspdudecoder takes the seven spare bits after 7, 15, 23 ... septets for a commercial at (TS 23.038 6.1.2.1.1)."""
    return text.removesuffix("@") if pdu.tp_dcs == 0 and pdu.tp_udl % 8 == 7 else text


@settings(max_examples=150, deadline=None)
@given(TEXTS, NUMBERS, st.sampled_from([8, 16]))
def test_smspdudecoder_reads_our_submits(text: str, number: str, width: int) -> None:
    options = Options(width=width, reference=7)
    for pdu in submits(text * 4, Address(number, 0x91), options):
        other = OtherSubmit.decode(StringIO(encode_frame(Frame(pdu)).hex().upper()))
        ours = decode_user_data(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs, has_header=bool(pdu.tp_udhi))
        assert other["recipient"]["number"] == number
        assert other["header"]["srr"] is True
        assert without_ghost(other["user_data"]["data"], pdu) == ours.text
        if ours.header is not None and ours.header.concat is not None and width == 8:
            (element,) = other["user_data"]["header"]["elements"]
            concat = ours.header.concat
            assert element["data"] == {
                "reference": concat.reference, "parts_count": concat.total, "part_number": concat.index,
            }  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(TEXTS.filter(bool), NUMBERS)
def test_both_read_our_delivers(text: str, number: str) -> None:
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
    assert without_ghost(other["user_data"]["data"], pdu) == text
    assert str(other["scts"]) == "2030-01-01 19:04:05+00:00"
    third = SmsDeliver(hexadecimal)
    assert third.csca == "+8613800571500"
    assert third.number == f"+{number}"
    assert third.text == text


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.text(alphabet=GSM, min_size=1, max_size=400), st.text(alphabet="你好电费", min_size=1, max_size=200))
)
def test_we_read_what_python_messaging_writes(text: str) -> None:
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


@pytest.mark.parametrize("text", ["Hi [1] €5", "你好"])
def test_single_messages_are_the_same_octets(text: str) -> None:
    (other,) = SmsSubmit("+8613800000000", text).to_pdu()
    (pdu,) = submits(text, address_of("+8613800000000"), Options(report=False))
    assert encode_frame(Frame(pdu)).hex().upper() == other.pdu
