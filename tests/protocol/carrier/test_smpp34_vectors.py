import pytest
from smpplib import consts
from smpplib.client import Client

from carrier.dialect import Credentials
from carrier.dialects import dialect
from carrier.errors import CarrierError
from carrier.model import BindMode, Mo, Report, ReportState, Role, Submit
from carrier.receipt import parse, state_of

SMPP = dialect("smpp34")
DELIVER = "00000000 00000005 00000000 0000002a"


def deliver(esm, text, tlvs="", source="8613800000001", destination="95598"):
    body = b"\0\1\1" + source.encode() + b"\0\0\0" + destination.encode() + b"\0" + bytes((esm, 0, 0, 0, 0, 0, 0, 0, 0))
    body += bytes((len(text),)) + text + bytes.fromhex(tlvs)
    frame = bytes.fromhex(DELIVER) + body
    return len(frame).to_bytes(4, "big") + frame[4:]


def test_bind_is_what_the_standard_says():
    frame = SMPP.bind(Credentials("gx", "pw", BindMode.TRANSMITTER), 1, 0.0)
    assert frame.hex(" ") == (
        "00 00 00 1a 00 00 00 02 00 00 00 00 00 00 00 01 67 78 00 70 77 00 00 34 00 00 00".replace("1a", "1b")
    )
    assert SMPP.decode(frame)["system_id"] == "gx"


def test_submit_is_what_the_standard_says():
    frame = SMPP.submit(Submit("95598", "8613800000001", b"hi", udhi=True, data_coding=4), 7)
    head = "00000036 00000004 00000000 00000007"
    body = "00 0000 3935353938 00 0101 38363133383030303030303031 00 40 00 00 00 00 01 00 04 00 02 6869"
    wanted = bytes.fromhex(head + body)
    assert frame == len(wanted).to_bytes(4, "big") + wanted[4:]


def test_a_sender_with_letters_is_alphanumeric():
    fields = SMPP.decode(SMPP.submit(Submit("StateGrid", "1", b""), 1))
    assert (fields["source_addr_ton"], fields["source_addr_npi"]) == (5, 0)


def test_the_wire_is_what_the_link_says():
    own = {"source_ton": 3, "source_npi": 1, "dest_ton": 2, "dest_npi": 8, "esm_mode": 3, "system_type": "VMA"}
    fields = dialect("smpp34", own).decode(dialect("smpp34", own).submit(Submit("95598", "1", b"x"), 1))
    assert (fields["source_addr_ton"], fields["source_addr_npi"], fields["dest_addr_ton"]) == (3, 1, 2)
    assert (fields["dest_addr_npi"], fields["esm_class"]) == (8, 3)
    bind = dialect("smpp34", own | {"password_octets": 20}).bind(Credentials("a", "x" * 20), 1, 0.0)
    assert b"VMA\0" in bind


def test_long_content_travels_as_payload():
    frame = SMPP.submit(Submit("1", "2", b"x" * 300), 1)
    fields = SMPP.decode(frame)
    assert (fields["sm_length"], len(fields["message_payload"])) == (0, 600)
    assert SMPP.read_submit(frame).content == b"x" * 300
    frame = SMPP.deliver(Mo("1", "2", b"y" * 300), 1)
    assert SMPP.read_deliver(frame).content == b"y" * 300


def test_parts_without_a_header_travel_as_sar():
    frame = SMPP.submit(Submit("1", "2", b"x", part_total=3, part_number=2, part_reference=77), 1)
    fields = SMPP.decode(frame)
    assert [fields[f"sar_{n}"] for n in ("msg_ref_num", "total_segments", "segment_seqnum")] == [77, 3, 2]
    got = SMPP.read_submit(frame)
    assert (got.part_total, got.part_number, got.part_reference) == (3, 2, 77)
    mo = SMPP.read_deliver(SMPP.deliver(Mo("1", "2", b"x", part_total=3, part_number=2, part_reference=9), 1))
    assert (mo.part_total, mo.part_number, mo.part_reference) == (3, 2, 9)
    incomplete = SMPP.encode({"command": "deliver_sm", "sar_msg_ref_num": 5, "sar_total_segments": 2})
    assert SMPP.read_deliver(incomplete).part_total == 1


@pytest.mark.parametrize(
    "bad",
    [
        Submit("1", "2", b"x" * 70_000),
        Submit("1", "2", b"x", priority=4),
        Submit("1", "2", b"x", data_coding=256),
        Submit("1", "2", b"x", validity="12"),
        Submit("1", "2", b"x", more_destinations=("3",) * 254),
    ],
)
def test_what_cannot_be_said_is_refused(bad):
    with pytest.raises(CarrierError):
        SMPP.submit(bad, 1)


def test_a_peer_of_3_3_gets_no_parameters():
    old = SMPP.negotiated(Role.SERVER, 0x33)
    assert old.negotiated(Role.SERVER, 0x33) is old
    assert SMPP.negotiated(Role.CLIENT, 0x34) is SMPP
    request = SMPP.read_bind(SMPP.encode({"command": "bind_receiver", "interface_version": 0x33}))
    assert len(old.bind_answer(request, 0, "")) == 16 + len("guanxin") + 1
    report = Report("1", ReportState.DELIVERED, True, recipient="1", sender="2")
    assert "receipted_message_id" in SMPP.decode(SMPP.deliver(report, 1))
    assert "receipted_message_id" not in SMPP.decode(old.deliver(report, 1))
    with pytest.raises(CarrierError):
        old.submit(Submit("1", "2", b"x" * 300), 1)


def test_a_bind_answer_with_and_without_version():
    named = SMPP.encode({"command": "bind_transceiver_resp", "system_id": "x", "sc_interface_version": 0x33})
    assert SMPP.read_bind_answer(named).version == 0x33
    unnamed = SMPP.encode({"command": "bind_transceiver_resp", "system_id": "x"})
    assert SMPP.read_bind_answer(unnamed).version == 0x34
    refused = SMPP.encode({"command": "bind_transceiver_resp", "command_status": 14})
    assert SMPP.read_bind_answer(refused).status == 14


def test_data_sm_both_ways():
    fields = {"command": "data_sm", "source_addr": "1", "destination_addr": "2", "message_payload": "6869"}
    assert SMPP.read_submit(SMPP.encode(fields)).content == b"hi"
    assert SMPP.read_deliver(SMPP.encode(fields)).content == b"hi"
    report = SMPP.read_deliver(SMPP.encode(fields | {"esm_class": 4, "receipted_message_id": "9", "message_state": 2}))
    assert (report.message_id, report.state) == ("9", ReportState.DELIVERED)
    twice = SMPP.encode(fields | {"message_payload": ["00", "6869"]})
    assert SMPP.read_submit(twice).content == b"hi"


def test_submit_multi_to_lists_only_is_not_kept():
    fields = {"command": "submit_multi", "dest_address": [{"dest_flag": 2, "dl_name": "all"}]}
    with pytest.raises(CarrierError):
        SMPP.read_submit(SMPP.encode(fields))


SENT = ("2601010101", "2601010102")
YEARS = ("20260101010101", "20260101010102")
RECEIPT = b"id:0123456789 sub:001 dlvrd:001 submit date:2601010101 done date:2601010102 stat:DELIVRD err:000 text:hello"


@pytest.mark.parametrize(
    ("text", "tlvs", "wanted"),
    [
        (RECEIPT, "", ("0123456789", ReportState.DELIVERED, "DELIVRD", "000", *SENT, "hello")),
        (
            RECEIPT,
            "001e000341424300"[:14],
            ("ABC", ReportState.DELIVERED, "DELIVRD", "000", *SENT, "hello"),
        ),
        (
            RECEIPT,
            "001e00044142430004270001 05",
            ("ABC", ReportState.UNDELIVERABLE, "DELIVRD", "000", *SENT, "hello"),
        ),
        (
            RECEIPT,
            "0427000109",
            ("0123456789", ReportState.DELIVERED, "DELIVRD", "000", *SENT, "hello"),
        ),
        (
            RECEIPT,
            "001e000100",
            ("0123456789", ReportState.DELIVERED, "DELIVRD", "000", *SENT, "hello"),
        ),
        (
            b"ID:a1 STAT:UNDELIV ERR:0x0b Text:a err:9",
            "",
            ("a1", ReportState.UNDELIVERABLE, "UNDELIV", "0x0b", "", "", "a err:9"),
        ),
        (
            b"id:1 submit date:20260101010101 done date:20260101010102 stat:EXPIRED",
            "",
            ("1", ReportState.EXPIRED, "EXPIRED", "", *YEARS, ""),
        ),
        (b"id:1 stat:MK:0001", "", ("1", ReportState.UNDELIVERABLE, "MK:0001", "", "", "", "")),
        (b"id:1 stat:delivrd", "", ("1", ReportState.DELIVERED, "delivrd", "", "", "", "")),
        (b"id:1 err:5", "", ("1", ReportState.UNKNOWN, "", "5", "", "", "")),
        (b"nothing to read", "", ("", ReportState.UNKNOWN, "", "", "", "", "")),
        (b"", "001e0002370004270001 02", ("7", ReportState.DELIVERED, "", "", "", "", "")),
    ],
)
def test_receipts_as_carriers_write_them(text, tlvs, wanted):
    got = SMPP.read_deliver(deliver(0x04, text, tlvs))
    assert isinstance(got, Report)
    assert (got.message_id, got.state, got.stat, got.error, got.submitted, got.done, got.text) == wanted
    assert (got.recipient, got.sender, got.final) == ("8613800000001", "95598", True)


def test_an_intermediate_notification_is_not_final():
    got = SMPP.read_deliver(deliver(0x20, b"id:1 stat:ENROUTE"))
    assert (got.state, got.final) == (ReportState.ENROUTE, False)


def test_receipts_without_the_mark_only_where_asked_for():
    frame = deliver(0, RECEIPT)
    assert isinstance(SMPP.read_deliver(frame), Mo)
    lenient = dialect("smpp34", {"receipts_unmarked": True})
    assert isinstance(lenient.read_deliver(frame), Report)
    assert isinstance(lenient.read_deliver(deliver(0, b"id:")), Mo)


def test_an_ack_of_the_handset_is_a_message():
    assert isinstance(SMPP.read_deliver(deliver(0x08, b"ok")), Mo)


def test_a_receipt_we_write_has_bounds():
    report = Report("1" * 65, ReportState.DELIVERED, True)
    with pytest.raises(CarrierError):
        SMPP.deliver(report, 1)
    with pytest.raises(CarrierError):
        SMPP.deliver(Report("1", ReportState.DELIVERED, True, text="号"), 1)
    with pytest.raises(CarrierError):
        SMPP.deliver(Report("1", ReportState.DELIVERED, True, error="9" * 300), 1)


def test_states_of_vendor_words():
    assert state_of(" delivrd ") is ReportState.DELIVERED
    assert parse("text only") is None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (0, "ok"),
        (0x58, "throttled"),
        (0x14, "throttled"),
        (8, "temporary"),
        (0x64, "temporary"),
        (0x45, "permanent"),
        (0x0B, "permanent"),
        (4, "session"),
        (0x4FF, "permanent"),
        (0x401, "throttled"),
        (0x402, "temporary"),
    ],
)
def test_statuses_mean_what_the_table_says(status, outcome):
    made = dialect("smpp34", {"throttle_statuses": [0x401], "temporary_statuses": [0x402]})
    assert made.outcome(status) == outcome


def test_statuses_have_names():
    assert SMPP.status_name(0x58) == "ESME_RTHROTTLED"
    assert SMPP.status_name(0x444) == "status 1092"


def test_an_answer_without_its_nul_is_malformed():
    with pytest.raises(CarrierError):
        SMPP.read_answer(bytes.fromhex("00000012 80000004 00000000 00000001 4142"))


# smpplib as second opinion --------------------------------------------------------------------------------------------


def _parse(frame):
    from smpplib import smpp

    return smpp.parse_pdu(frame, client=Client("localhost", 1, allow_unknown_opt_params=True))


@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(140))])
def test_smpplib_reads_our_submit(content):
    sent = Submit("95598", "8613800000001", content, data_coding=8, udhi=True, validity="300102030405032+")
    pdu = _parse(SMPP.submit(sent, 321))
    assert (pdu.command, pdu.sequence, pdu.source_addr) == ("submit_sm", 321, b"95598")
    assert (pdu.destination_addr, pdu.short_message or b"", pdu.data_coding) == (b"8613800000001", content, 8)
    assert (pdu.esm_class, pdu.registered_delivery, pdu.validity_period) == (0x40, 1, b"300102030405032+")


def test_smpplib_reads_our_bind_and_answers():
    pdu = _parse(SMPP.bind(Credentials("gx", "secret"), 3, 0.0))
    assert (pdu.command, pdu.system_id, pdu.password, pdu.interface_version) == (
        "bind_transceiver",
        b"gx",
        b"secret",
        0x34,
    )
    submit = SMPP.submit(Submit("1", "2", b"x"), 4)
    pdu = _parse(SMPP.answer(submit, 0, "abc123"))
    assert (pdu.command, pdu.message_id, pdu.status) == ("submit_sm_resp", b"abc123", consts.SMPP_ESME_ROK)
    pdu = _parse(SMPP.answer(submit, 0x58, ""))
    assert pdu.status == consts.SMPP_ESME_RTHROTTLED


def test_smpplib_reads_our_receipt():
    report = Report("abc", ReportState.DELIVERED, True, recipient="138", sender="95598", submitted="2601010101")
    pdu = _parse(SMPP.deliver(report, 5))
    assert (pdu.command, pdu.source_addr, pdu.receipted_message_id) == ("deliver_sm", b"138", b"abc")
    assert pdu.message_state == 2


def test_we_read_smpplibs_submit():
    from smpplib import smpp

    client = Client("localhost", 1, allow_unknown_opt_params=True)
    pdu = smpp.make_pdu(
        "submit_sm",
        client=client,
        source_addr="95598",
        destination_addr="138",
        short_message=b"hi",
        registered_delivery=1,
    )
    got = SMPP.read_submit(pdu.generate())
    assert (got.source, got.destination, got.content, got.wants_report) == ("95598", "138", b"hi", True)


def test_every_status_of_smpplib_is_in_the_table():
    from carrier.dialects.smpp34_tables import STATUSES

    theirs = {
        value: name.removeprefix("SMPP_")
        for name, value in vars(consts).items()
        if name.startswith("SMPP_ESME_R") and isinstance(value, int)
    }
    assert set(theirs) == set(STATUSES)
    assert sum(STATUSES[value][0] == name for value, name in theirs.items()) >= len(theirs) - 6


def test_what_a_hostile_peer_writes_is_bounded():
    endless = SMPP.read_deliver(deliver(0x04, b"", "001e0401" + "41" * 1025))
    assert (endless.message_id, len(endless.raw) > 1024) == ("", True)
    payload = b"id:7 stat:DELIVRD text:" + b"x" * 60_000
    told = SMPP.read_deliver(deliver(0x04, b"", "0424" + len(payload).to_bytes(2, "big").hex() + payload.hex()))
    assert (told.message_id, len(told.text) < 1024) == ("7", True)
    for fields in ({"source": "1" * 300}, {"destination": "2" * 1300}, {"source": "1" * 200, "destination": "2" * 200}):
        with pytest.raises(CarrierError, match="longer than any peer writes"):
            SMPP.read_deliver(deliver(0, b"x", **fields))
    with pytest.raises(CarrierError, match="longer than any peer writes"):
        SMPP.decode(deliver(0, b"x", source="1" * 300))
