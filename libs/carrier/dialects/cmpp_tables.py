"""CMPP 2.0 (April 2002) and 3.0 (QB-GF-028-2003) as tables; one builder, because 3.0 changed widths and added four
fields.

Field names are the specification's. Clause references are those of the wire reference (2.4 to 2.20).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from carrier.codec import Codec, Header, Pdu
from carrier.dialect import ANSWER, MO, MT, Dialect, Kind, Limits, Rights
from carrier.layout import Counted, Field, Layout, Raw, Repeated, Structured, Text, UInt
from carrier.model import BindMode, Outcome, Refusal, ReportState, Role

LARGEST_FRAME = 4096
"""Octets: a full SUBMIT (99 destinations, 159 octets) is 2,376 in 2.0 and 3,490 in 3.0; the reference advises 4096."""

CONNECT, TERMINATE, SUBMIT, DELIVER, QUERY, CANCEL, ACTIVE_TEST, FWD = 1, 2, 4, 5, 6, 7, 8, 9


def u8(name: str) -> UInt:
    """One octet."""
    return UInt(name, 1)


def u32(name: str) -> UInt:
    """Four octets."""
    return UInt(name, 4)


def u64(name: str) -> UInt:
    """Eight octets."""
    return UInt(name, 8)


_ROUTE: tuple[Field, ...] = (
    u32("Route_Id"),
    Text("Destination_Id", 6),
    Text("Gateway_IP", 15),
    UInt("Gateway_port", 2),
)
_TIME = Text("time", 14)
_MT_RANGE = (Text("Start_Id", 9), Text("End_Id", 9), Text("Area_code", 4))
_MO_CODE = (Text("SP_Id", 6), Text("SP_Code", 21), u8("SP_AccessType"))
_CODES = (u32("Start_code"), u32("End_code"))
_PAGE = (u32("Route_total"), u32("Route_number"))
_STATISTICS = tuple(
    u32(name) for name in ("MT_TLMsg", "MT_Tlusr", "MT_Scs", "MT_WT", "MT_FL", "MO_Scs", "MO_WT", "MO_FL")
)
_QUERY = (Text("Time", 8), u8("Query_Type"), Text("Query_Code", 10))
_GET = Layout(Text("Source_Id", 6), Text("Route_type", 4), UInt("Last_route_Id", 4, signed=True))
_UPDATED = Layout(u8("Result"), u32("Route_Id"), _TIME)
_MT_UPDATE = (u8("Update_type"), *_ROUTE, *_MT_RANGE, u8("User_type"))
_MO_UPDATE = (u8("Update_type"), *_ROUTE, *_MO_CODE, Text("Service_Id", 10), *_CODES)

# Messages between a gateway and the name server (2.20): the same in both versions.
_ROUTES: dict[int, tuple[str, Layout, Layout]] = {
    0x10: (
        "CMPP_MT_ROUTE",
        Layout(Text("Source_Id", 6), Text("Terminal_Id", 21)),
        Layout(*_ROUTE, *_MT_RANGE, u8("Result"), u8("User_type"), _TIME),
    ),
    0x11: (
        "CMPP_MO_ROUTE",
        Layout(Text("Source_Id", 6), Text("SP_Code", 21), Text("Service_Id", 10), u32("Service_Code")),
        Layout(*_ROUTE, *_MO_CODE, *_CODES, u8("Result"), _TIME),
    ),
    0x12: (
        "CMPP_GET_MT_ROUTE",
        _GET,
        Layout(*_ROUTE, *_MT_RANGE, u8("Result"), u8("User_type"), *_PAGE, _TIME),
    ),
    0x13: ("CMPP_MT_ROUTE_UPDATE", Layout(*_MT_UPDATE), _UPDATED),
    0x14: ("CMPP_MO_ROUTE_UPDATE", Layout(*_MO_UPDATE), _UPDATED),
    0x15: ("CMPP_PUSH_MT_ROUTE_UPDATE", Layout(*_MT_UPDATE, _TIME), Layout(u8("Result"))),
    0x16: ("CMPP_PUSH_MO_ROUTE_UPDATE", Layout(*_MO_UPDATE, _TIME), Layout(u8("Result"))),
    0x17: (
        "CMPP_GET_MO_ROUTE",
        _GET,
        Layout(*_ROUTE, *_MO_CODE, Text("Service_Id", 10), *_CODES, u8("Result"), *_PAGE, _TIME),
    ),
}


def codec(*, v3: bool) -> Codec:
    """Every PDU of 2.0, or of 3.0."""
    number_size = 32 if v3 else 21
    tail = Text("LinkID", 20) if v3 else Text("Reserve", 8)

    def only(*fields: Field) -> tuple[Field, ...]:
        return fields if v3 else ()

    def answer(name: str, before: tuple[Field, ...], result: str, after: tuple[Field, ...], total: int) -> Pdu:
        """An answer whose result is one octet or four: its total length says which, whatever was negotiated (2.5,
        2.12).
        """
        narrow, wide = (Layout(*before, UInt(result, size), *after) for size in (1, 4))
        return Pdu(name, wide if v3 else narrow, {total: narrow, total + 3: wide})

    submit = Layout(
        u64("Msg_Id"),
        UInt("Pk_total", 1, default=1),
        UInt("Pk_number", 1, default=1),
        u8("Registered_Delivery"),
        u8("Msg_level"),
        Text("Service_Id", 10),
        u8("Fee_UserType"),
        Text("Fee_terminal_Id", number_size),
        *only(u8("Fee_terminal_type")),
        u8("TP_pId"),
        u8("TP_udhi"),
        u8("Msg_Fmt"),
        Text("Msg_src", 6),
        Text("FeeType", 2),
        Text("FeeCode", 6),
        Text("ValId_Time", 17),
        Text("At_Time", 17),
        Text("Src_Id", 21),
        Repeated("DestUsr_tl", "Dest_terminal_Id", (Text("Dest_terminal_Id", number_size),), least=1, most=99),
        *only(u8("Dest_terminal_type")),
        Counted("Msg_Length", "Msg_Content"),
        tail,
    )

    def report(size: int) -> Layout:
        """Msg_Content of a status report (2.15)."""
        return Layout(
            u64("Msg_Id"),
            Text("Stat", 7),
            Text("Submit_time", 10),
            Text("Done_time", 10),
            Text("Dest_terminal_Id", size),
            u32("SMSC_sequence"),
        )

    reports = {71: report(32), 60: report(21)} if v3 else {60: report(21), 71: report(32)}
    deliver = Layout(
        u64("Msg_Id"),
        Text("Dest_Id", 21),
        Text("Service_Id", 10),
        u8("TP_pid"),
        u8("TP_udhi"),
        u8("Msg_Fmt"),
        Text("Src_terminal_Id", number_size),
        *only(u8("Src_terminal_type")),
        u8("Registered_Delivery"),
        Structured("Msg_Length", "Msg_Content", "Registered_Delivery", 1, reports),
        Text("LinkID", 20) if v3 else Text("Reserved", 8),
    )
    forward = Layout(
        Text("Source_Id", 6),
        Text("Destination_Id", 6),
        u8("NodesCount"),
        u8("Msg_Fwd_Type"),
        u64("Msg_Id"),
        u8("Pk_total"),
        u8("Pk_number"),
        u8("Registered_Delivery"),
        u8("Msg_level"),
        Text("Service_Id", 10),
        u8("Fee_UserType"),
        Text("Fee_terminal_Id", 21),
        *only(Text("Fee_terminal_Pseudo", 32), u8("Fee_terminal_UserType")),
        u8("TP_pid"),
        u8("TP_udhi"),
        u8("Msg_Fmt"),
        Text("Msg_src", 6),
        Text("FeeType", 2),
        Text("FeeCode", 6),
        Text("Valid_Time", 17),
        Text("At_Time", 17),
        Text("Src_Id", 21),
        *only(Text("Src_Pseudo", 32), u8("Src_UserType"), u8("Src_type")),
        Repeated("DestUsr_tl", "Dest_Id", (Text("Dest_Id", 21),), least=1, most=1),
        *only(Text("Dest_Pseudo", 32), u8("Dest_UserType")),
        Counted("Msg_Length", "Msg_Content"),
        tail,
    )
    nothing = Layout()
    pdus = {
        CONNECT: Pdu(
            "CMPP_CONNECT",
            Layout(
                Text("Source_Addr", 6),
                Raw("AuthenticatorSource", 16),
                UInt("Version", 1, default=0x30 if v3 else 0x20),
                u32("Timestamp"),
            ),
        ),
        CONNECT | ANSWER: answer("CMPP_CONNECT_RESP", (), "Status", (Raw("AuthenticatorISMG", 16), u8("Version")), 30),
        TERMINATE: Pdu("CMPP_TERMINATE", nothing),
        TERMINATE | ANSWER: Pdu("CMPP_TERMINATE_RESP", nothing),
        SUBMIT: Pdu("CMPP_SUBMIT", submit),
        SUBMIT | ANSWER: answer("CMPP_SUBMIT_RESP", (u64("Msg_Id"),), "Result", (), 21),
        DELIVER: Pdu("CMPP_DELIVER", deliver),
        DELIVER | ANSWER: answer("CMPP_DELIVER_RESP", (u64("Msg_Id"),), "Result", (), 21),
        QUERY: Pdu("CMPP_QUERY", Layout(*_QUERY, Text("Reserve", 8))),
        QUERY | ANSWER: Pdu("CMPP_QUERY_RESP", Layout(*_QUERY, *_STATISTICS)),
        CANCEL: Pdu("CMPP_CANCEL", Layout(u64("Msg_Id"))),
        CANCEL | ANSWER: answer("CMPP_CANCEL_RESP", (), "Success_Id", (), 13),
        ACTIVE_TEST: Pdu("CMPP_ACTIVE_TEST", nothing),
        ACTIVE_TEST | ANSWER: Pdu("CMPP_ACTIVE_TEST_RESP", Layout(u8("Reserved")), {12: nothing}),
        FWD: Pdu("CMPP_FWD", forward),
        FWD | ANSWER: answer("CMPP_FWD_RESP", (u64("Msg_Id"), u8("Pk_total"), u8("Pk_number")), "Result", (), 23),
    }
    for command, (name, request, reply) in _ROUTES.items():
        if command == 0x17 and not v3:
            continue
        shown = "CMPP_GET_ROUTE" if command == 0x12 and not v3 else name
        pdus[command] = Pdu(shown, request)
        pdus[command | ANSWER] = Pdu(f"{shown}_RESP", reply)
    header = Header("Total_Length", "Command_Id", (u32("Sequence_Id"),))
    return Codec(header, pdus, limit=LARGEST_FRAME)


REPORT_WORDS = {
    "MA": ReportState.UNDELIVERABLE,
    "MB": ReportState.UNDELIVERABLE,
    "MC": ReportState.EXPIRED,
    "CA": ReportState.REJECTED,
    "CB": ReportState.REJECTED,
    "DA": ReportState.REJECTED,
    "DB": ReportState.REJECTED,
    "IA": ReportState.UNDELIVERABLE,
    "IB": ReportState.UNDELIVERABLE,
    "IC": ReportState.EXPIRED,
}
"""Stat ``XX:nnnn`` of 3.0 (2.15): who failed, and as what it counts; any other vendor word is a failure too."""

STATUSES: dict[int, tuple[str, Outcome]] = {
    0: ("ok", Outcome.OK),
    1: ("message structure error", Outcome.PERMANENT),
    2: ("command word error", Outcome.PERMANENT),
    3: ("sequence number repeated", Outcome.TEMPORARY),
    4: ("message length error", Outcome.PERMANENT),
    5: ("fee code error", Outcome.PERMANENT),
    6: ("longer than maximum message length", Outcome.PERMANENT),
    7: ("service code error", Outcome.PERMANENT),
    8: ("flow control", Outcome.THROTTLED),
    9: ("payer not served here (2.0: other)", Outcome.PERMANENT),
    10: ("Src_Id wrong (2.0: other)", Outcome.PERMANENT),
    11: ("Msg_src wrong (2.0: other)", Outcome.PERMANENT),
    12: ("Fee_terminal_Id wrong (2.0: other)", Outcome.PERMANENT),
    13: ("Dest_terminal_Id wrong (2.0: other)", Outcome.PERMANENT),
}
"""2.12. A repeated sequence gets a new one when sent again. 100-199 are the vendor's and temporary (1.5), the rest
permanent.
"""

BIND_REFUSALS = {
    1: Refusal.VERSION,
    2: Refusal.CREDENTIALS,
    3: Refusal.CREDENTIALS,
    4: Refusal.VERSION,
    5: Refusal.LIMIT,
}
"""2.5. 5 and above are the vendor's: 5 usually a connection limit."""

_COMMON: dict[int, Kind] = {
    TERMINATE: Kind.UNBIND,
    TERMINATE | ANSWER: Kind.UNBIND_ANSWER,
    ACTIVE_TEST: Kind.KEEPALIVE,
    ACTIVE_TEST | ANSWER: Kind.KEEPALIVE_ANSWER,
}
for _command in (QUERY, CANCEL, FWD, *range(0x10, 0x18)):
    _COMMON[_command] = Kind.REQUEST
    _COMMON[_command | ANSWER] = Kind.REQUEST_ANSWER
_KINDS: dict[Role, dict[int, Kind]] = {
    Role.CLIENT: _COMMON
    | {CONNECT | ANSWER: Kind.BIND_ANSWER, SUBMIT | ANSWER: Kind.SUBMIT_ANSWER, DELIVER: Kind.DELIVER},
    Role.SERVER: _COMMON | {CONNECT: Kind.BIND, SUBMIT: Kind.SUBMIT, DELIVER | ANSWER: Kind.DELIVER_ANSWER},
}
_RIGHTS = {(Role.CLIENT, mode): Rights(MT, MO) for mode in BindMode} | {
    (Role.SERVER, mode): Rights(MO, MT) for mode in BindMode
}
"""A session carries both ways, whatever it is called."""


class CmppRules(Dialect):
    """What the engine must know of both versions."""

    limits = Limits(window=16, response=60.0, attempts=3, keepalive_idle=180.0, keepalive_tries=3, bind=30.0)
    header_size = 12
    largest_frame = LARGEST_FRAME
    codings: ClassVar[Mapping[str, int]] = {"ascii": 0, "octets": 4, "ucs2": 8, "gb18030": 15}
    statuses = STATUSES
    remembers_answers = True
    national_numbers = True
    malformed = 1
    wrong_state = 2
    already_bound = 5
    duplicate = 3
    unknown_command = 2
    bad_length = 4
    submit_statuses: ClassVar[Mapping[Outcome, int]] = {
        Outcome.OK: 0,
        Outcome.THROTTLED: 8,
        Outcome.TEMPORARY: 100,
        Outcome.PERMANENT: 9,
        Outcome.SESSION: 2,
        Outcome.UNCERTAIN: 100,
    }
    deliver_statuses: ClassVar[Mapping[Outcome, int]] = {**submit_statuses, Outcome.TEMPORARY: 8, Outcome.UNCERTAIN: 8}
    refusals: ClassVar[Mapping[Refusal, int]] = {
        Refusal.CREDENTIALS: 3,
        Refusal.VERSION: 4,
        Refusal.LIMIT: 5,
        Refusal.TEMPORARY: 5,
    }
    bind_refusals = BIND_REFUSALS
    commands = _KINDS
    mode_rights = _RIGHTS
    sequence_name = "Sequence_Id"
    status_names = ("Result", "Success_Id")
    keepalive_command = ACTIVE_TEST
    unbind_command = TERMINATE
