"""Vectors computed by hand from the reference: digests, ids, reports in every layout the field sends."""

import pytest

from carrier.dialect import Credentials
from carrier.dialects import dialect
from carrier.errors import CarrierError
from carrier.model import Mo, Outcome, Refusal, Report, ReportState, Role, Submit

# 02 January, 03:04:05 in China.
WALL = 1_767_294_245.0 + 0.0
NAMES = ["cmpp20", "cmpp30", "sgip12", "smgp30"]


def test_the_moment_of_the_examples():
    from carrier.timetext import login_stamp

    assert login_stamp(WALL) == 102030405


@pytest.mark.parametrize(
    ("name", "version", "server_digest"),
    [
        ("cmpp20", 0x20, "9e21b4ca73ef610ad7e2a0c6990e1098"),
        ("cmpp30", 0x30, "e9ed198350952cc89cfdfb0c747e8438"),
    ],
)
def test_cmpp_login_digests(name, version, server_digest):
    made = dialect(name)
    frame = made.bind(Credentials("901234", "secret"), 1, WALL)
    fields = made.decode(frame)
    assert fields["AuthenticatorSource"] == "1c39df8b9c01798a8f35c3c785cf91ce"
    assert (fields["Timestamp"], fields["Version"], fields["Source_Addr"]) == (102030405, version, "901234")
    answer = made.bind_answer(made.read_bind(frame), 0, "secret")
    assert made.decode(answer)["AuthenticatorISMG"] == server_digest
    assert made.trusts(made.read_bind_answer(answer), frame, "secret")
    refused = made.decode(made.bind_answer(made.read_bind(frame), 3, "secret"))
    assert refused["AuthenticatorISMG"] == "00" * 16


@pytest.mark.parametrize(
    ("account", "digest"),
    [("12345678", "600ff8891882f26519a877d6137e3706"), ("1234", "9e38cf73a688f87cc0d8a669ea618702")],
)
def test_smgp_login_digests(account, digest):
    made = dialect("smgp30")
    frame = made.bind(Credentials(account, "secret"), 1, WALL)
    assert made.decode(frame)["AuthenticatorClient"] == digest
    answer = made.bind_answer(made.read_bind(frame), 0, "secret")
    if account == "12345678":
        assert made.decode(answer)["AuthenticatorServer"] == "d89466040a419920248c1def036a00db"
    assert made.trusts(made.read_bind_answer(answer), frame, "secret")


@pytest.mark.parametrize("name", ["cmpp20", "smgp30"])
def test_a_time_that_is_none_is_refused_where_time_counts(name):
    made = dialect(name, {"clock_tolerance": 60.0})
    from carrier.digest import client_digest

    stamp = 1340567890
    head = {"command": "CMPP_CONNECT", "Source_Addr": "901234", "Timestamp": stamp}
    if name == "smgp30":
        head = {"command": "Login", "ClientID": "901234", "TimeStamp": stamp}
    proof = client_digest(b"901234", 9 if name == "cmpp20" else 7, "secret", stamp).hex()
    head["AuthenticatorSource" if name == "cmpp20" else "AuthenticatorClient"] = proof
    request = made.read_bind(made.encode(head))
    assert made.check_bind(request, "secret", WALL) is Refusal.CREDENTIALS
    assert dialect(name).check_bind(request, "secret", WALL) is None


def test_cmpp_message_id_layout():
    made = dialect("cmpp20")
    july = 1_785_044_759.0  # 26 July 13:45:59 in China
    assert made.message_id(258, july) == "7d36dec027750102"


def test_smgp_message_id_layout():
    january = 1_768_554_000.0  # 16 January 17:00 in China
    assert dialect("smgp30").message_id(12345, january) == "01006101161700012345"


def test_sgip_sequence_is_node_time_counter():
    made = dialect("sgip12", {"node_id": 3010092008})
    base = made.sequence_base(WALL)
    fields = made.decode(made.unbind(base + 5))
    assert [fields[f"Sequence Number {n}"] for n in (1, 2, 3)] == [3010092008, 102030405, 5]
    assert made.with_sequence({}, base + 5) == {
        f"Sequence Number {n}": fields[f"Sequence Number {n}"] for n in (1, 2, 3)
    }


def test_sgip_login_types():
    made = dialect("sgip12")
    frame = made.encode({"command": "SGIP_BIND", "Login Type": 11, "Login Name": "x", "Login Password": "y"})
    request = made.read_bind(frame)
    assert made.check_bind(request, "y", 0.0) is Refusal.VERSION
    assert made.check_bind(request, "z", 0.0) is Refusal.CREDENTIALS


# Reports ----------------------------------------------------------------------------------------------------------------


def cmpp_report(name, content, reg=1):
    fields = {
        "command": "CMPP_DELIVER",
        "Dest_Id": "1065",
        "Src_terminal_Id": "13800000001",
        "Msg_Content": content.hex(),
    }
    made = dialect(name)
    return made.read_deliver(made.encode(fields | {"Registered_Delivery": reg}))


HEAD = (0x7D36DEC027750102).to_bytes(8, "big") + b"DELIVRD" + b"2601010101" + b"2601010102"


@pytest.mark.parametrize("name", ["cmpp20", "cmpp30"])
@pytest.mark.parametrize(
    "tail", [b"13800000001".ljust(21, b"\0") + bytes(4), b"1".ljust(32, b"\0") + bytes(4), b"", b"odd"]
)
def test_cmpp_reports_of_every_length(name, tail):
    got = cmpp_report(name, HEAD + tail)
    assert (got.message_id, got.state, got.final) == ("7d36dec027750102", ReportState.DELIVERED, True)
    assert (got.submitted, got.done, got.recipient, got.sender) == ("2601010101", "2601010102", "13800000001", "1065")


@pytest.mark.parametrize(
    ("stat", "state", "final"),
    [
        (b"ACCEPTD", ReportState.ACCEPTED, False),
        (b"EXPIRED", ReportState.EXPIRED, True),
        (b"REJECTD", ReportState.REJECTED, True),
        (b"MA:0001", ReportState.UNDELIVERABLE, True),
        (b"MC:0055", ReportState.EXPIRED, True),
        (b"DB:0108", ReportState.REJECTED, True),
        (b"MK:0001", ReportState.UNDELIVERABLE, True),
        (b"UNDEL\0\0", ReportState.UNDELIVERABLE, True),
    ],
)
def test_cmpp_stat_words(stat, state, final):
    got = cmpp_report("cmpp30", HEAD[:8] + stat + HEAD[15:])
    assert (got.state, got.final, got.stat) == (state, final, stat.rstrip(b"\0").decode())


def test_an_unreadable_report_is_still_a_report():
    got = cmpp_report("cmpp20", b"short")
    assert isinstance(got, Report)
    assert (got.message_id, got.state, got.final) == ("", ReportState.UNKNOWN, False)
    assert got.raw


@pytest.mark.parametrize(("short", "length"), [(False, 71), (True, 60)])
def test_a_3_0_server_writes_either_report(short, length):
    made = dialect("cmpp30", {"short_reports": short})
    report = Report("7d36dec027750102", ReportState.UNDELIVERABLE, True, stat="MK:0001", recipient="138", sender="1065")
    frame = made.deliver(report, 9)
    assert made.decode(frame)["Msg_Length"] == length
    assert made.read_deliver(frame).stat == "MK:0001"


@pytest.mark.parametrize(
    ("state", "error", "wanted", "final"),
    [
        (0, 0, ReportState.DELIVERED, True),
        (1, 0, ReportState.ENROUTE, False),
        (2, 29, ReportState.UNDELIVERABLE, True),
        (7, 0, ReportState.UNKNOWN, True),
    ],
)
def test_sgip_reports(state, error, wanted, final):
    made = dialect("sgip12")
    fields = {"SubmitSequenceNumber1": 1, "SubmitSequenceNumber2": 2, "SubmitSequenceNumber3": 3, "State": state}
    frame = made.encode({"command": "SGIP_REPORT", "UserNumber": "8613800000001", "ErrorCode": error} | fields)
    got = made.read_deliver(frame)
    assert (got.message_id, got.state, got.final) == ("000000010000000200000003", wanted, final)
    assert got.error == (str(error) if error else "")


def test_sgip_reports_we_write():
    made = dialect("sgip12")
    for state, number, error in (
        (ReportState.ACCEPTED, 1, 0),
        (ReportState.EXPIRED, 2, 25),
        (ReportState.REJECTED, 2, 255),
    ):
        report = Report("01", state, True, error={25: "25", 255: "999"}.get(error, ""), recipient="13800000001")
        fields = made.decode(made.deliver(report, 1))
        assert (fields["State"], fields["ErrorCode"], fields["UserNumber"]) == (number, error, "8613800000001")
    with pytest.raises(CarrierError):
        made.deliver(Report("01", ReportState.EXPIRED, True, error="x"), 1)
    with pytest.raises(CarrierError):
        made.deliver(Report("xyz", ReportState.DELIVERED, True), 1)


ID = bytes.fromhex("01006101161700012345")
NOMINAL = (
    b"id:" + ID + b" sub:001 dlvrd:001 Submit date:2601010101 done date:2601010102 stat:DELIVRD err:000 Text:003abc"
).ljust(122)


def smgp_report(content):
    made = dialect("smgp30")
    fields = {"command": "Deliver", "IsReport": 1, "SrcTermID": "138", "DestTermID": "118", "MsgContent": content.hex()}
    return made.read_deliver(made.encode(fields))


@pytest.mark.parametrize(
    "content",
    [
        NOMINAL,
        NOMINAL.replace(b"Submit date", b"submit date").replace(b"Text", b"text"),
        NOMINAL.replace(b"Submit date", b"submit_date")
        .replace(b"done date", b"done_date")
        .replace(b" Text:", b" txt: "),
        NOMINAL.replace(b" sub:", b"sSub:")
        .replace(b" dlvrd:", b"sDlvrd:")
        .replace(b" Submit date:", b"sSubmit_Date:")
        .replace(b" done date:", b"sDone_Date:")
        .replace(b" stat:", b"sStat:")
        .replace(b" err:", b"sErr:")
        .replace(b" Text:", b"sText:"),
        NOMINAL[:13] + NOMINAL[14:],
        NOMINAL[:110],
        NOMINAL[:95] + b"0",
    ],
)
def test_smgp_reports_in_every_variant(content):
    got = smgp_report(content)
    assert (got.message_id, got.state, got.stat) == (ID.hex(), ReportState.DELIVERED, "DELIVRD")
    assert (got.submitted, got.done, got.error) == ("2601010101", "2601010102", "000")


@pytest.mark.parametrize("octets", [b"stat:XXXXX", b"\0" * 10, b" err:9 sub", b"Text:abcde"])
def test_the_id_of_an_smgp_report_is_taken_by_length(octets):
    got = smgp_report(NOMINAL.replace(ID, octets))
    assert (got.message_id, got.stat) == (octets.hex(), "DELIVRD")


def test_smgp_reports_with_text_and_vendor_words():
    got = smgp_report(NOMINAL.replace(b"DELIVRD", b"RT:0148").replace(b"003abc", b"004" + "中文".encode("gb18030")))
    assert (got.stat, got.state) == ("RT:0148", ReportState.UNDELIVERABLE)
    assert "中文" in got.text
    bare = smgp_report(b"id:" + ID)
    assert (bare.message_id, bare.state, bare.text) == (ID.hex(), ReportState.UNKNOWN, "")
    assert smgp_report(b"no id").message_id == ""


def test_an_smgp_report_we_write_is_122_octets():
    made = dialect("smgp30")
    report = Report(
        ID.hex(), ReportState.EXPIRED, True, error="1", recipient="138", sender="118", done="2601010102", text="hello"
    )
    frame = made.deliver(report, 1)
    fields = made.decode(frame)
    assert (fields["MsgLength"], fields["RecvTime"]) == (122, "20260101010200")
    got = made.read_deliver(frame)
    assert (got.error, got.stat, got.text.strip()) == ("001", "EXPIRED", "005hello")


# The layouts' own ways --------------------------------------------------------------------------------------------------


def test_the_cmpp_link_id_travels_in_3_0_only():
    mo = Mo("138", "1065", b"x", message_id="00000000000000ff", link_id="L1", service_type="S")
    for name, wanted in (("cmpp30", "L1"), ("cmpp20", "")):
        got = dialect(name).read_deliver(dialect(name).deliver(mo, 1))
        assert (got.link_id, got.message_id, got.service_type) == (wanted, "00000000000000ff", "S")


def test_links_settings_are_on_the_wire():
    cmpp = dialect(
        "cmpp20",
        {"service_id": "HELP", "fee_type": "02", "fee_code": "10", "fee_user_type": 3, "fee_terminal_id": "138"},
    )
    fields = cmpp.decode(cmpp.for_account("901234").submit(Submit("1065", "138", b"x"), 1))
    assert [fields[n] for n in ("Service_Id", "FeeType", "FeeCode", "Fee_UserType", "Fee_terminal_Id", "Msg_src")] == [
        "HELP",
        "02",
        "10",
        3,
        "138",
        "901234",
    ]
    sgip = dialect("sgip12", {"corp_id": "92008", "service_type": "S", "fee_type": 2, "fee_value": "10"})
    fields = sgip.decode(sgip.submit(Submit("1065", "13800000001", b"x", link_id="L"), 1))
    assert [fields[n] for n in ("CorpId", "ServiceType", "FeeType", "FeeValue", "MorelatetoMTFlag", "Reserve")] == [
        "92008",
        "S",
        2,
        "10",
        0,
        "L",
    ]
    assert (fields["ChargeNumber"], fields["UserNumber"], fields["ReportFlag"]) == ("0" * 21, ["8613800000001"], 1)
    smgp = dialect("smgp30", {"service_id": "S", "msg_src": "901234", "m_service_id": "product", "fee_type": "01"})
    fields = smgp.decode(
        smgp.submit(Submit("118", "138", b"x", link_id="L", part_total=2, part_number=1, udhi=True, protocol_id=1), 1)
    )
    assert [
        fields[n]
        for n in ("ServiceID", "MsgSrc", "MServiceID", "FeeType", "LinkID", "PkTotal", "PkNumber", "TP_udhi", "TP_pid")
    ] == [
        "S",
        "901234",
        "product",
        "01",
        "L",
        2,
        1,
        1,
        1,
    ]


def test_smgp_1_3_has_no_fixed_fee():
    old = dialect("smgp30", {"version": 0x13})
    frame = old.submit(Submit("118", "138", b"hello"), 1)
    assert len(frame) == 126 - 6 + 21 + 5
    assert old.read_submit(frame).content == b"hello"
    server = dialect("smgp30").negotiated(Role.SERVER, 0x13)
    assert server.read_submit(frame).content == b"hello"
    assert server.negotiated(Role.SERVER, 0x13) is server
    assert dialect("smgp30").negotiated(Role.CLIENT, 0x13).settings.version == 0x30
    request = old.read_bind(dialect("smgp30").bind(Credentials("a", "b"), 1, WALL))
    assert old.check_bind(request, "b", WALL) is Refusal.VERSION


def test_stray_octets_at_the_end_of_an_smgp_message_are_a_setting():
    strict, lenient = dialect("smgp30"), dialect("smgp30", {"lenient_tail": True})
    for frame, read in (
        (strict.deliver(Mo("138", "118", b"TD"), 1), "read_deliver"),
        (strict.submit(Submit("118", "138", b"TD"), 1), "read_submit"),
    ):
        longer = frame + b"\0\0"
        longer = len(longer).to_bytes(4, "big") + longer[4:]
        with pytest.raises(CarrierError):
            getattr(strict, read)(longer)
        assert getattr(lenient, read)(longer).content == b"TD"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "bad",
    [
        Submit("1", "2", b"x" * 160),
        Submit("1", "2", b"x" * 141, data_coding=8),
        Submit("1", "2", b"x", data_coding=256),
        Submit("1", "2", b"x", priority=-1),
        Submit("1", "2", b"x", protocol_id=256),
        Submit("1" * 22, "2", b"x"),
        Submit("1", "2", b"x", more_destinations=("3",) * 100),
        Submit("1", "2", b"x", link_id="L" * 40),
    ],
)
def test_what_cannot_be_said_is_refused(name, bad):
    with pytest.raises(CarrierError):
        dialect(name).submit(bad, 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "bad",
    [
        Mo("1", "2", b"x" * 3000),
        Mo("1", "2", b"", data_coding=300),
        Mo("1", "2", b"", protocol_id=300),
        Mo("1", "2" * 30, b""),
    ],
)
def test_what_a_phone_cannot_have_sent_is_refused(name, bad):
    with pytest.raises(CarrierError):
        dialect(name).deliver(bad, 1)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_group_and_a_cut_login_are_malformed(name):
    made = dialect(name)
    frame = bytearray(made.submit(Submit("1", "2", b"x"), 1))
    at = {"cmpp20": 128, "cmpp30": 140, "sgip12": 62, "smgp30": 116}[name]
    assert frame[at] == 1
    frame[at] = 0
    with pytest.raises(CarrierError):
        made.read_submit(bytes(frame))
    login = made.bind(Credentials("a", "b"), 1, WALL)
    for cut in (login[:-1], login + b"\0"):
        with pytest.raises(CarrierError):
            made.read_bind(cut)
    with pytest.raises(CarrierError):
        made.read_bind_answer(login[:-1])
    with pytest.raises(CarrierError):
        made.read_answer(login[:-1])


def test_an_smgp_login_mode_that_is_none():
    made = dialect("smgp30")
    with pytest.raises(CarrierError):
        made.read_bind(made.encode({"command": "Login", "LoginMode": 3}))


def test_a_report_of_the_wrong_size_is_malformed():
    made = dialect("sgip12")
    frame = made.encode({"command": "SGIP_REPORT"})
    with pytest.raises(CarrierError):
        made.read_deliver(frame[:-1])


RESULTS = [
    ("cmpp20", 8, "throttled"), ("cmpp20", 0, "ok"), ("cmpp20", 9, "permanent"), ("cmpp20", 3, "temporary"),
    ("cmpp30", 150, "temporary"), ("cmpp30", 13, "permanent"), ("cmpp30", 250, "permanent"),
    ("sgip12", 88, "throttled"), ("sgip12", 33, "throttled"), ("sgip12", 11, "temporary"), ("sgip12", 6, "permanent"),
    ("sgip12", 4, "session"), ("sgip12", 101, "permanent"),
    ("smgp30", 75, "throttled"), ("smgp30", 1, "temporary"), ("smgp30", 47, "permanent"), ("smgp30", 200, "permanent"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "status", "outcome"), RESULTS)
def test_results_mean_what_the_tables_say(name, status, outcome):
    made = dialect(name)
    assert made.outcome(status) == outcome
    assert made.status_name(status)


@pytest.mark.parametrize("name", NAMES)
def test_a_link_may_give_results_another_meaning(name):
    made = dialect(name, {"throttle_statuses": [101], "temporary_statuses": [102], "permanent_statuses": [8, 11]})
    assert [made.outcome(s) for s in (101, 102, 8, 11)] == [
        Outcome.THROTTLED, Outcome.TEMPORARY, Outcome.PERMANENT, Outcome.PERMANENT,
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_only_what_has_a_result_can_be_refused(name):
    made = dialect(name)
    silent = {"cmpp20": 6, "cmpp30": 7, "sgip12": 0x1000, "smgp30": 7}[name]
    assert made.refuse(silent, 1, 1) == b""
    with pytest.raises(CarrierError):
        made.read_nack(b"")
    with pytest.raises(CarrierError):
        made.read_invitation(b"")
    assert made.nack(1, 1) == b""


@pytest.mark.parametrize("name", ["cmpp20", "sgip12"])
def test_a_status_too_large_for_its_octet_is_the_callers_fault(name):
    made = dialect(name)
    with pytest.raises(CarrierError):
        made.answer(made.submit(Submit("1", "2", b"x"), 1), 256, "")


def test_sgip_has_no_keep_alive():
    with pytest.raises(CarrierError):
        dialect("sgip12").keepalive(1)


@pytest.mark.parametrize(
    ("name", "at", "size"), [("cmpp20", 128, 21), ("cmpp30", 140, 32), ("sgip12", 62, 21), ("smgp30", 115 + 1, 21)]
)
def test_a_message_to_nobody_is_malformed(name, at, size):
    made = dialect(name)
    frame = made.submit(Submit("1", "13800000001", b"x"), 1)
    assert frame[at] == 1
    nobody = frame[:at] + b"\0" + frame[at + 1 + size :]
    with pytest.raises(CarrierError, match="nobody"):
        made.read_submit(len(nobody).to_bytes(4, "big") + nobody[4:])


@pytest.mark.parametrize(
    ("name", "first", "index", "wanted"),
    [
        ("cmpp20", "7d36dec027750102", 0, "7d36dec027750102"),
        ("cmpp30", "7d36dec02775ffff", 1, "7d36dec027750000"),
        ("smgp30", "01006101161700012345", 2, "01006101161700012347"),
        ("smgp30", "01006101161700999999", 1, "01006101161700000000"),
        ("smgp30", "0100610116170000abcd", 1, "0100610116170000abcd"),
        ("sgip12", "b36a5be806dd33c000000001", 5, "b36a5be806dd33c000000001"),
        ("smpp34", "abc", 5, "abc"),
    ],
)
def test_ids_of_a_group_count_on(name, first, index, wanted):
    assert dialect(name).group_id(first, index) == wanted


def test_a_report_decodes_to_its_own_fields_and_back():
    cmpp = dialect("cmpp20")
    shown = cmpp.decode(cmpp.deliver(Report("7d36dec027750102", ReportState.DELIVERED, True, recipient="138"), 1))
    assert shown["Msg_Content"] == {
        "Msg_Id": 0x7D36DEC027750102,
        "Stat": "DELIVRD",
        "Submit_time": "",
        "Done_time": "",
        "Dest_terminal_Id": "138",
        "SMSC_sequence": 0,
    }
    del shown["Total_Length"], shown["Msg_Length"]
    assert cmpp.decode(cmpp.encode(shown))["Msg_Length"] == 60
    with pytest.raises(CarrierError, match="extra"):
        cmpp.encode(shown | {"Msg_Content": {"extra": 1}})
    smgp = dialect("smgp30")
    fields = smgp.decode(smgp.deliver(Report(ID.hex(), ReportState.DELIVERED, True, done="2601010102"), 1))
    assert (fields["MsgContent"]["id"], fields["MsgContent"]["done date"]) == (ID.hex(), "2601010102")


@pytest.mark.parametrize(
    "content", [NOMINAL.replace(b" stat:", b" STAT:"), NOMINAL.replace(b"sub:001", b"sub:0\x001"), b"x" * 122]
)
def test_a_report_of_another_form_stays_content(content):
    made = dialect("smgp30")
    frame = made.encode({"command": "Deliver", "IsReport": 1, "MsgContent": content[:122].hex()})
    assert made.decode(frame)["MsgContent"] == content[:122].hex()
    assert made.encode(made.decode(frame)) == frame
