"""What a `[[links]]` entry of each protocol means: defaults as published, settings, and what a protocol cannot do."""

from __future__ import annotations

import pytest

from carrier.dialects import NAMES, dialect
from carrier.ids import IdMode
from contracts.chunk import Chunk, Entry
from contracts.lanes import Lane
from dispatch.domain.linkconfig import MOST_SLOTS, LinkConfig, LinkConfigError, parse_links
from dispatch.domain.wire import Writer

ACCOUNTS = {
    "smpp34": {"system_id": "gx"},
    "cmpp20": {"sp_id": "901234"},
    "cmpp30": {"sp_id": "901234"},
    "sgip12": {"account": "gx", "node_id": 3010092008, "listen_port": 8801},
    "smgp30": {"client_id": "gx"},
}


def entry(protocol: str, **more: object) -> dict[str, object]:
    base = {"name": protocol, "protocol": protocol, "host": "h", "port": 1, "password": "pw-quiet"}
    return {**base, **ACCOUNTS[protocol], **more}


def link(protocol: str, **more: object) -> LinkConfig:
    return parse_links([entry(protocol, **more)])[0]


def chunk(text: str, lane: Lane = Lane.NOTICE) -> Chunk:
    return Chunk("01" * 16, "t", "e", lane, 0, [8613800000000], "M", [Entry("t", 0, 1, "10655", [text], 1 << 50, 1)])


@pytest.mark.parametrize("protocol", NAMES)
def test_what_the_link_does_not_say_the_protocol_does(protocol: str) -> None:
    made, published = link(protocol), dialect(protocol).limits
    limits = made.limits(made.dialect())
    assert (limits.window, limits.response, limits.keepalive_idle) == (
        published.window,
        published.response,
        published.keepalive_idle,
    )
    assert limits.attempts == 1, "resending is the journal's decision"
    assert limits.idle_close < published.idle_close or not published.idle_close
    assert made.id_mode is (IdMode.AUTO if protocol == "smpp34" else IdMode.EXACT)


@pytest.mark.parametrize(
    ("protocol", "written"),
    [
        ("smpp34", "8613800000000"),
        ("cmpp20", "13800000000"),
        ("cmpp30", "13800000000"),
        ("sgip12", "8613800000000"),
        ("smgp30", "13800000000"),
    ],
)
def test_recipients_are_written_as_usual_there(protocol: str, written: str) -> None:
    made = link(protocol)
    (submit,) = Writer(made, made.dialect()).submits(chunk("您好"), 0)
    assert submit.destination == written
    assert (submit.content, submit.data_coding, submit.wants_report) == ("您好".encode("utf-16-be"), 8, True)


@pytest.mark.parametrize("protocol", [name for name in NAMES if name != "smpp34"])
def test_where_there_is_no_gsm_alphabet_narrow_text_is_ascii(protocol: str) -> None:
    made = link(protocol)
    writer = Writer(made, made.dialect())
    (submit,) = writer.submits(chunk("code @_$ 123"), 0)
    assert (submit.content, submit.data_coding) == (b"code @_$ 123", 0)
    (submit,) = writer.submits(chunk("café"), 0)
    assert (submit.content, submit.data_coding) == ("café".encode("utf-16-be"), 8)


@pytest.mark.parametrize("protocol", NAMES)
@pytest.mark.parametrize("length", [139, 140, 141, 159, 160, 161, 400])
def test_every_length_of_plain_text_can_be_written(protocol: str, length: int) -> None:
    made = link(protocol)
    own = made.dialect().for_account("901234")
    for part in Writer(made, made.dialect()).submits(chunk("a" * length), 0):
        own.submit(part, 1)


def test_text_in_gb18030_and_without_receipts() -> None:
    made = link("cmpp30", alphabet="gb18030", receipts=False, service_id="SVC", fee_type="02")
    (submit,) = Writer(made, made.dialect()).submits(chunk("您好abc"), 0)
    assert (submit.content, submit.data_coding, submit.wants_report) == ("您好abc".encode("gb18030"), 15, False)
    fields = made.dialect().for_account(made.account).decode(made.dialect().for_account(made.account).submit(submit, 7))
    assert (fields["Service_Id"], fields["FeeType"], fields["Msg_src"]) == ("SVC", "02", "901234")
    assert (fields["Registered_Delivery"], fields["Msg_Fmt"]) == (0, 15)


@pytest.mark.parametrize("protocol", [name for name in NAMES if name != "sgip12"])
def test_a_long_message_by_the_protocols_own_fields(protocol: str) -> None:
    made = link(protocol, long="fields")
    parts = Writer(made, made.dialect()).submits(chunk("您" * 100), 0)
    assert [(p.udhi, p.part_number, p.part_total) for p in parts] == [(False, 1, 2), (False, 2, 2)]


@pytest.mark.parametrize("protocol", NAMES)
def test_a_long_message_by_its_header(protocol: str) -> None:
    made = link(protocol)
    parts = Writer(made, made.dialect()).submits(chunk("您" * 100), 0)
    assert [(p.udhi, p.content[:3].hex(), p.content[4:6].hex()) for p in parts] == [
        (True, "050003", "0201"),
        (True, "050003", "0202"),
    ]


def test_the_sequences_of_two_slots_never_meet() -> None:
    made = link("sgip12")
    spans = [made.sequences(made.dialect(), slot) for slot in (1, 2, MOST_SLOTS)]
    flat = [end for span in spans if span is not None for end in span]
    assert len(flat) == 6
    assert flat == sorted(flat)
    assert len(set(flat)) == 6
    assert flat[-1] <= made.dialect().last_sequence
    assert link("cmpp30").sequences(link("cmpp30").dialect(), 1) is None


def test_node_id_is_the_account_and_in_every_sequence() -> None:
    made = parse_links([{key: value for key, value in entry("sgip12").items() if key != "account"}])[0]
    assert made.account == "3010092008"
    assert made.dialect().sequence_base(0.0) >> 64 == 3010092008


def test_who_the_carrier_calls_as_may_differ_and_is_secret() -> None:
    made = link("sgip12", listen_account="smg", listen_password="quieter", listen_from=["10.0.0.0/8"])
    assert (made.called, made.listen_account, made.listen_secret) == (True, "smg", "quieter")
    assert (link("sgip12").listen_account, link("sgip12").listen_secret) == ("gx", "pw-quiet")
    assert "quieter" not in repr(made.public())
    assert made.public()["listen_port"] == 8801


@pytest.mark.parametrize(
    ("protocol", "wrong", "named"),
    [
        ("cmpp20", {"listen_port": 8801}, "listen_port"),
        ("sgip12", {"long": "fields"}, "long"),
        ("sgip12", {"listen_from": ["nowhere"]}, "listen_from"),
        ("sgip12", {"listen_port": 70_000}, "listen_port"),
        ("sgip12", {"listen_sessions": 0}, "listen_sessions"),
        ("smpp34", {"alphabet": "gb18030"}, "alphabet"),
        ("cmpp30", {"alphabet": "klingon"}, "alphabet"),
        ("cmpp30", {"proof": "maybe"}, "proof"),
        ("cmpp30", {"sp_id": "9012345"}, "Source_Addr"),
        ("smgp30", {"client_id": "123456789"}, "ClientID"),
        ("smpp34", {"node_id": 1}, "node_id"),
    ],
)
def test_what_a_protocol_cannot_do_is_refused_by_name(protocol: str, wrong: dict[str, object], named: str) -> None:
    with pytest.raises(LinkConfigError, match=named) as caught:
        parse_links([entry(protocol, **wrong)])
    assert "pw-quiet" not in str(caught.value)


def test_two_links_cannot_be_told_apart_on_one_port() -> None:
    with pytest.raises(LinkConfigError, match="8801"):
        parse_links([entry("sgip12"), entry("sgip12", name="other")])
    parse_links([entry("sgip12"), entry("sgip12", name="other", listen_port=8802)])
