"""SMGP 3.0 (text 3.0.3) as tables. Field names are the specification's; brackets are reference clauses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from carrier.codec import Codec, Header, Pdu
from carrier.dialect import ANSWER, Dialect, Kind, Limits
from carrier.layout import Counted, Layout, Literal, Raw, Repeated, Structured, Text, UInt
from carrier.model import Outcome, Refusal, Role
from carrier.tlv import Tag, Tlvs

LARGEST_FRAME = 8192
"""Octets: 100 destinations, their pseudo numbers and a full text stay below 6,000; the limit is the reference's
advice.
"""

LOGIN, SUBMIT, DELIVER, ACTIVE_TEST, FORWARD, EXIT, QUERY = 0x1, 0x2, 0x3, 0x4, 0x5, 0x6, 0x7

TLVS = Tlvs(
    (
        Tag(0x0001, "TP_pid", "int", 1, 1),
        Tag(0x0002, "TP_udhi", "int", 1, 1),
        Tag(0x0003, "LinkID", "text", 0, 20),
        Tag(0x0004, "ChargeUserType", "int", 1, 1),
        Tag(0x0005, "ChargeTermType", "int", 1, 1),
        Tag(0x0006, "ChargeTermPseudo", "raw", 0, 0xFFFF),
        Tag(0x0007, "DestTermType", "int", 1, 1),
        Tag(0x0008, "DestTermPseudo", "raw", 0, 0xFFFF),
        Tag(0x0009, "PkTotal", "int", 1, 1),
        Tag(0x000A, "PkNumber", "int", 1, 1),
        Tag(0x000B, "SubmitMsgType", "int", 1, 1),
        Tag(0x000C, "SPDealResult", "int", 1, 1),
        Tag(0x000D, "SrcTermType", "int", 1, 1),
        Tag(0x000E, "SrcTermPseudo", "raw", 0, 0xFFFF),
        Tag(0x000F, "NodesCount", "int", 1, 1),
        Tag(0x0010, "MsgSrc", "text", 0, 8),
        Tag(0x0011, "SrcType", "int", 1, 1),
        Tag(0x0012, "MServiceID", "text", 0, 21),
    )
)
"""4.10. Strings are written unpadded and read with or without padding, as the field does both."""


REPORT = Layout(
    Literal(b"id:"),
    Raw("id", 10),
    Literal(b" sub:"),
    Text("sub", 3),
    Literal(b" dlvrd:"),
    Text("dlvrd", 3),
    Literal(b" Submit date:"),
    Text("Submit date", 10),
    Literal(b" done date:"),
    Text("done date", 10),
    Literal(b" stat:"),
    Text("stat", 7),
    Literal(b" err:"),
    Text("err", 3),
    Literal(b" Text:"),
    Text("Text", 20),
)
"""4.11, the nominal 122 octets; the field's variants decode as content and are read by the session side."""


def _codec(*, fixed_fee: bool) -> Codec:
    """3.0, or with no FixedFee the layout that version 1.3 has (register of disagreements, 17)."""
    fee = (Text("FeeType", 2), Text("FeeCode", 6), *((Text("FixedFee", 6),) if fixed_fee else ()))
    content = Counted("MsgLength", "MsgContent")
    reserve = Text("Reserve", 8)
    times = (Text("ValidTime", 17), Text("AtTime", 17))
    query = (Text("QueryTime", 8), UInt("QueryType", 1), Text("QueryCode", 10))
    counts = ("MT_TLMsg", "MT_Tlusr", "MT_Scs", "MT_WT", "MT_FL", "MO_Scs", "MO_WT", "MO_FL")
    message_answer = Layout(Raw("MsgID", 10), UInt("Status", 4))
    nothing = Layout()
    one_octet = Layout(UInt("Reserved", 1))
    pdus = {
        LOGIN: Pdu(
            "Login",
            Layout(
                Text("ClientID", 8),
                Raw("AuthenticatorClient", 16),
                UInt("LoginMode", 1, default=2),
                UInt("TimeStamp", 4),
                UInt("ClientVersion", 1, default=0x30 if fixed_fee else 0x13),
            ),
        ),
        LOGIN | ANSWER: Pdu(
            "Login_Resp", Layout(UInt("Status", 4), Raw("AuthenticatorServer", 16), UInt("ServerVersion", 1))
        ),
        SUBMIT: Pdu(
            "Submit",
            Layout(
                UInt("MsgType", 1, default=6),
                UInt("NeedReport", 1),
                UInt("Priority", 1),
                Text("ServiceID", 10),
                *fee,
                UInt("MsgFormat", 1),
                *times,
                Text("SrcTermID", 21),
                Text("ChargeTermID", 21),
                Repeated("DestTermIDCount", "DestTermID", (Text("DestTermID", 21),), least=1, most=100),
                content,
                reserve,
                TLVS,
            ),
        ),
        SUBMIT | ANSWER: Pdu("Submit_Resp", message_answer),
        DELIVER: Pdu(
            "Deliver",
            Layout(
                Raw("MsgID", 10),
                UInt("IsReport", 1),
                UInt("MsgFormat", 1),
                Text("RecvTime", 14),
                Text("SrcTermID", 21),
                Text("DestTermID", 21),
                Structured("MsgLength", "MsgContent", "IsReport", 1, {122: REPORT}),
                reserve,
                TLVS,
            ),
        ),
        DELIVER | ANSWER: Pdu("Deliver_Resp", message_answer),
        ACTIVE_TEST: Pdu("Active_Test", nothing),
        ACTIVE_TEST | ANSWER: Pdu("Active_Test_Resp", nothing, {13: one_octet}),
        EXIT: Pdu("Exit", nothing),
        EXIT | ANSWER: Pdu("Exit_Resp", nothing),
        QUERY: Pdu("Query", Layout(*query)),
        QUERY | ANSWER: Pdu("Query_Resp", Layout(*query, *(UInt(name, 4) for name in counts), reserve)),
        FORWARD: Pdu(
            "Forward",
            Layout(
                Raw("MsgID", 10),
                Text("DestSMGWNo", 6),
                Text("SrcSMGWNo", 6),
                Text("SMCNo", 6),
                UInt("MsgType", 1),
                UInt("ReportFlag", 1),
                UInt("Priority", 1),
                Text("ServiceID", 10),
                *fee,
                UInt("MsgFormat", 1),
                *times,
                Text("SrcTermID", 21),
                Text("DestTermID", 21),
                Text("ChargeTermID", 21),
                content,
                reserve,
                TLVS,
            ),
        ),
        FORWARD | ANSWER: Pdu("Forward_Resp", Layout(Raw("MsgID", 10), UInt("Status", 4), TLVS)),
    }
    return Codec(Header("PacketLength", "RequestID", (UInt("SequenceID", 4),)), pdus, limit=LARGEST_FRAME)


CODEC = _codec(fixed_fee=True)
CODEC_13 = _codec(fixed_fee=False)

_LATER, _SLOW, _NEVER, _REBIND = Outcome.TEMPORARY, Outcome.THROTTLED, Outcome.PERMANENT, Outcome.SESSION
STATUSES: dict[int, tuple[str, Outcome]] = {
    0: ("ok", Outcome.OK),
    1: ("system busy", _LATER),
    2: ("too many connections", _LATER),
    10: ("structure error", _NEVER),
    11: ("command error", _NEVER),
    12: ("sequence repeated", _LATER),
    20: ("IP address error", _REBIND),
    21: ("authentication error", _REBIND),
    22: ("version too high", _REBIND),
    30: ("illegal MsgType", _NEVER),
    31: ("illegal Priority", _NEVER),
    32: ("illegal FeeType", _NEVER),
    33: ("illegal FeeCode", _NEVER),
    34: ("illegal MsgFormat", _NEVER),
    35: ("illegal time format", _NEVER),
    36: ("illegal MsgLength", _NEVER),
    37: ("validity over", _NEVER),
    38: ("illegal QueryType", _NEVER),
    39: ("routing error", _NEVER),
    40: ("illegal FixedFee", _NEVER),
    41: ("illegal UpdateType", _NEVER),
    42: ("illegal RouteId", _NEVER),
    43: ("illegal ServiceID", _NEVER),
    44: ("illegal ValidTime", _NEVER),
    45: ("illegal AtTime", _NEVER),
    46: ("illegal SrcTermID", _NEVER),
    47: ("illegal DestTermID", _NEVER),
    48: ("illegal ChargeTermID", _NEVER),
    49: ("illegal SPCode", _NEVER),
    56: ("illegal source gateway id", _NEVER),
    57: ("illegal query number", _NEVER),
    58: ("no matching route", _NEVER),
    59: ("illegal SPType", _NEVER),
    60: ("illegal LastRouteID", _NEVER),
    61: ("illegal RouteType", _NEVER),
    62: ("illegal destination gateway id", _NEVER),
    63: ("illegal destination gateway IP", _NEVER),
    64: ("illegal destination gateway port", _NEVER),
    65: ("illegal number range", _NEVER),
    66: ("illegal province code", _NEVER),
    67: ("illegal UserType", _NEVER),
    68: ("node does not support route update", _NEVER),
    69: ("illegal SPID", _NEVER),
    70: ("illegal SPAccessType", _NEVER),
    71: ("route update failed", _NEVER),
    72: ("illegal Time", _NEVER),
    73: ("illegal MServiceID", _NEVER),
    74: ("SP in forbidden sending period", _NEVER),
    75: ("SP over daily flow", _SLOW),
    76: ("SP account expired", _NEVER),
}
"""4.12 and 1.5. The protocol has no throttling status: 75 is the nearest, vendors' own come from the link's
settings.
"""

BIND_REFUSALS = {
    1: Refusal.TEMPORARY,
    2: Refusal.LIMIT,
    20: Refusal.CREDENTIALS,
    21: Refusal.CREDENTIALS,
    22: Refusal.VERSION,
    11: Refusal.VERSION,
}

_COMMON: dict[int, Kind] = {
    EXIT: Kind.UNBIND,
    EXIT | ANSWER: Kind.UNBIND_ANSWER,
    ACTIVE_TEST: Kind.KEEPALIVE,
    ACTIVE_TEST | ANSWER: Kind.KEEPALIVE_ANSWER,
    QUERY: Kind.REQUEST,
    QUERY | ANSWER: Kind.REQUEST_ANSWER,
    FORWARD: Kind.REQUEST,
    FORWARD | ANSWER: Kind.REQUEST_ANSWER,
}
_KINDS: dict[Role, dict[int, Kind]] = {
    Role.CLIENT: _COMMON
    | {LOGIN | ANSWER: Kind.BIND_ANSWER, SUBMIT | ANSWER: Kind.SUBMIT_ANSWER, DELIVER: Kind.DELIVER},
    Role.SERVER: _COMMON | {LOGIN: Kind.BIND, SUBMIT: Kind.SUBMIT, DELIVER | ANSWER: Kind.DELIVER_ANSWER},
}


class SmgpRules(Dialect):
    """What the engine must know."""

    limits = Limits(window=16, response=60.0, attempts=3, keepalive_idle=180.0, keepalive_tries=3, bind=30.0)
    header_size = 12
    largest_frame = LARGEST_FRAME
    codings: ClassVar[Mapping[str, int]] = {"ascii": 0, "octets": 4, "ucs2": 8, "gb18030": 15}
    statuses = STATUSES
    remembers_answers = True
    national_numbers = True
    malformed = 10
    wrong_state = 11
    already_bound = 11
    duplicate = 12
    unknown_command = 11
    bad_length = 10
    submit_statuses: ClassVar[Mapping[Outcome, int]] = {
        Outcome.OK: 0,
        Outcome.THROTTLED: 75,
        Outcome.TEMPORARY: 1,
        Outcome.PERMANENT: 39,
        Outcome.SESSION: 20,
        Outcome.UNCERTAIN: 1,
    }
    deliver_statuses: ClassVar[Mapping[Outcome, int]] = {**submit_statuses, Outcome.THROTTLED: 1}
    refusals: ClassVar[Mapping[Refusal, int]] = {
        Refusal.CREDENTIALS: 21,
        Refusal.VERSION: 22,
        Refusal.LIMIT: 2,
        Refusal.TEMPORARY: 1,
    }
    bind_refusals = BIND_REFUSALS
    commands = _KINDS
    sequence_name = "SequenceID"
    status_names = ("Status",)
    keepalive_command = ACTIVE_TEST
    unbind_command = EXIT
