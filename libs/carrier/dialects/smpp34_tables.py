"""SMPP 3.4 Issue 1.2 as tables: every PDU, every optional parameter, every status (clauses 4 and 5 of the
specification).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from carrier.codec import Codec, Header, Pdu
from carrier.dialect import ANSWER, Dialect, Kind, Limits
from carrier.ids import IdMode
from carrier.layout import Choice, Counted, CStr, Field, Layout, Repeated, UInt
from carrier.model import BindMode, Outcome, Refusal, Role
from carrier.tlv import Tag, Tlvs

LARGEST_FRAME = 70_000
"""Octets: a message_payload of 65,535 and every other field at its longest (largest known sum 68,4xx)."""

TLVS = Tlvs(
    (
        Tag(0x0005, "dest_addr_subunit", "int", 1, 1),
        Tag(0x0006, "dest_network_type", "int", 1, 1),
        Tag(0x0007, "dest_bearer_type", "int", 1, 1),
        Tag(0x0008, "dest_telematics_id", "int", 2, 2),
        Tag(0x000D, "source_addr_subunit", "int", 1, 1),
        Tag(0x000E, "source_network_type", "int", 1, 1),
        Tag(0x000F, "source_bearer_type", "int", 1, 1),
        Tag(0x0010, "source_telematics_id", "int", 1, 1),
        Tag(0x0017, "qos_time_to_live", "int", 4, 4),
        Tag(0x0019, "payload_type", "int", 1, 1),
        Tag(0x001D, "additional_status_info_text", "cstr", 1, 256),
        Tag(0x001E, "receipted_message_id", "cstr", 1, 65),
        Tag(0x0030, "ms_msg_wait_facilities", "int", 1, 1),
        Tag(0x0201, "privacy_indicator", "int", 1, 1),
        Tag(0x0202, "source_subaddress", "raw", 2, 23),
        Tag(0x0203, "dest_subaddress", "raw", 2, 23),
        Tag(0x0204, "user_message_reference", "int", 2, 2),
        Tag(0x0205, "user_response_code", "int", 1, 1),
        Tag(0x020A, "source_port", "int", 2, 2),
        Tag(0x020B, "destination_port", "int", 2, 2),
        Tag(0x020C, "sar_msg_ref_num", "int", 2, 2),
        Tag(0x020D, "language_indicator", "int", 1, 1),
        Tag(0x020E, "sar_total_segments", "int", 1, 1),
        Tag(0x020F, "sar_segment_seqnum", "int", 1, 1),
        Tag(0x0210, "sc_interface_version", "int", 1, 1),
        Tag(0x0302, "callback_num_pres_ind", "int", 1, 1),
        Tag(0x0303, "callback_num_atag", "raw", 0, 65),
        Tag(0x0304, "number_of_messages", "int", 1, 1),
        Tag(0x0381, "callback_num", "raw", 4, 19),
        Tag(0x0420, "dpf_result", "int", 1, 1),
        Tag(0x0421, "set_dpf", "int", 1, 1),
        Tag(0x0422, "ms_availability_status", "int", 1, 1),
        Tag(0x0423, "network_error_code", "raw", 3, 3),
        Tag(0x0424, "message_payload", "raw", 0, 65535),
        Tag(0x0425, "delivery_failure_reason", "int", 1, 1),
        Tag(0x0426, "more_messages_to_send", "int", 1, 1),
        Tag(0x0427, "message_state", "int", 1, 1),
        Tag(0x0501, "ussd_service_op", "int", 1, 1),
        Tag(0x1201, "display_time", "int", 1, 1),
        Tag(0x1203, "sms_signal", "int", 2, 2),
        Tag(0x1204, "ms_validity", "int", 1, 1),
        Tag(0x130C, "alert_on_message_delivery", "raw", 0, 0),
        Tag(0x1380, "its_reply_type", "int", 1, 1),
        Tag(0x1383, "its_session_info", "int", 2, 2),
    )
)


def _address(prefix: str, name: str, limit: int = 21) -> tuple[Field, ...]:
    return UInt(f"{prefix}_ton", 1), UInt(f"{prefix}_npi", 1), CStr(name, limit)


def _time(name: str) -> CStr:
    return CStr(name, 17, lengths=(0, 16))


_SOURCE = _address("source_addr", "source_addr")
_DESTINATION = _address("dest_addr", "destination_addr")
_MESSAGE_ID = CStr("message_id", 65)
_FROM_ESM_CLASS = (
    UInt("esm_class", 1),
    UInt("protocol_id", 1),
    UInt("priority_flag", 1),
    _time("schedule_delivery_time"),
    _time("validity_period"),
    UInt("registered_delivery", 1),
    UInt("replace_if_present_flag", 1),
    UInt("data_coding", 1),
    UInt("sm_default_msg_id", 1),
    Counted("sm_length", "short_message", limit=254),
    TLVS,
)
_BIND = Layout(
    CStr("system_id", 16),
    CStr("password", 9),
    CStr("system_type", 13),
    UInt("interface_version", 1, default=0x34),
    UInt("addr_ton", 1),
    UInt("addr_npi", 1),
    CStr("address_range", 41),
)
_BIND_ANSWER = Layout(CStr("system_id", 16), TLVS)
_MESSAGE = Layout(CStr("service_type", 6), *_SOURCE, *_DESTINATION, *_FROM_ESM_CLASS)
_MESSAGE_ANSWER = Layout(_MESSAGE_ID, TLVS)
_NOTHING = Layout()
_MULTI_DESTINATION = Choice("dest_flag", {1: _address("dest_addr", "destination_addr"), 2: (CStr("dl_name", 21),)})

_REQUESTS: dict[int, tuple[str, Layout, Layout | None]] = {
    0x01: ("bind_receiver", _BIND, _BIND_ANSWER),
    0x02: ("bind_transmitter", _BIND, _BIND_ANSWER),
    0x03: (
        "query_sm",
        Layout(_MESSAGE_ID, *_SOURCE),
        Layout(_MESSAGE_ID, CStr("final_date", 17), UInt("message_state", 1), UInt("error_code", 1)),
    ),
    0x04: ("submit_sm", _MESSAGE, _MESSAGE_ANSWER),
    0x05: ("deliver_sm", _MESSAGE, _MESSAGE_ANSWER),
    0x06: ("unbind", _NOTHING, _NOTHING),
    0x07: (
        "replace_sm",
        Layout(
            _MESSAGE_ID,
            *_SOURCE,
            _time("schedule_delivery_time"),
            _time("validity_period"),
            UInt("registered_delivery", 1),
            UInt("sm_default_msg_id", 1),
            Counted("sm_length", "short_message", limit=254),
        ),
        _NOTHING,
    ),
    0x08: ("cancel_sm", Layout(CStr("service_type", 6), _MESSAGE_ID, *_SOURCE, *_DESTINATION), _NOTHING),
    0x09: ("bind_transceiver", _BIND, _BIND_ANSWER),
    0x0B: ("outbind", Layout(CStr("system_id", 16), CStr("password", 9)), None),
    0x15: ("enquire_link", _NOTHING, _NOTHING),
    0x21: (
        "submit_multi",
        Layout(
            CStr("service_type", 6),
            *_SOURCE,
            Repeated("number_of_dests", "dest_address", (_MULTI_DESTINATION,), most=254, objects=True),
            *_FROM_ESM_CLASS,
        ),
        Layout(
            _MESSAGE_ID,
            Repeated("no_unsuccess", "unsuccess_sme", (*_DESTINATION, UInt("error_status_code", 4))),
            TLVS,
        ),
    ),
    0x102: (
        "alert_notification",
        Layout(*_address("source_addr", "source_addr", 65), *_address("esme_addr", "esme_addr", 65), TLVS),
        None,
    ),
    0x103: (
        "data_sm",
        Layout(
            CStr("service_type", 6),
            *_address("source_addr", "source_addr", 65),
            *_address("dest_addr", "destination_addr", 65),
            UInt("esm_class", 1),
            UInt("registered_delivery", 1),
            UInt("data_coding", 1),
            TLVS,
        ),
        _MESSAGE_ANSWER,
    ),
}

PDUS: dict[int, Pdu] = {0x80000000: Pdu("generic_nack", _NOTHING)}
for _number, (_name, _request, _answer) in _REQUESTS.items():
    PDUS[_number] = Pdu(_name, _request)
    if _answer is not None:
        PDUS[_number | ANSWER] = Pdu(f"{_name}_resp", _answer, may_lack_body=True)

HEADER = Header(
    "command_length", "command_id", (UInt("command_status", 4), UInt("sequence_number", 4)), "command_status"
)
CODEC = Codec(HEADER, PDUS, limit=LARGEST_FRAME)

_OK, _SLOW, _LATER, _NEVER, _REBIND = (
    Outcome.OK,
    Outcome.THROTTLED,
    Outcome.TEMPORARY,
    Outcome.PERMANENT,
    Outcome.SESSION,
)
STATUSES: dict[int, tuple[str, Outcome]] = {
    0x00: ("ESME_ROK", _OK),
    0x01: ("ESME_RINVMSGLEN", _NEVER),
    0x02: ("ESME_RINVCMDLEN", _NEVER),
    0x03: ("ESME_RINVCMDID", _NEVER),
    0x04: ("ESME_RINVBNDSTS", _REBIND),
    0x05: ("ESME_RALYBND", _REBIND),
    0x06: ("ESME_RINVPRTFLG", _NEVER),
    0x07: ("ESME_RINVREGDLVFLG", _NEVER),
    0x08: ("ESME_RSYSERR", _LATER),
    0x0A: ("ESME_RINVSRCADR", _NEVER),
    0x0B: ("ESME_RINVDSTADR", _NEVER),
    0x0C: ("ESME_RINVMSGID", _NEVER),
    0x0D: ("ESME_RBINDFAIL", _REBIND),
    0x0E: ("ESME_RINVPASWD", _REBIND),
    0x0F: ("ESME_RINVSYSID", _REBIND),
    0x11: ("ESME_RCANCELFAIL", _NEVER),
    0x13: ("ESME_RREPLACEFAIL", _NEVER),
    0x14: ("ESME_RMSGQFUL", _SLOW),
    0x15: ("ESME_RINVSERTYP", _NEVER),
    0x33: ("ESME_RINVNUMDESTS", _NEVER),
    0x34: ("ESME_RINVDLNAME", _NEVER),
    0x40: ("ESME_RINVDESTFLAG", _NEVER),
    0x42: ("ESME_RINVSUBREP", _NEVER),
    0x43: ("ESME_RINVESMCLASS", _NEVER),
    0x44: ("ESME_RCNTSUBDL", _NEVER),
    0x45: ("ESME_RSUBMITFAIL", _NEVER),
    0x48: ("ESME_RINVSRCTON", _NEVER),
    0x49: ("ESME_RINVSRCNPI", _NEVER),
    0x50: ("ESME_RINVDSTTON", _NEVER),
    0x51: ("ESME_RINVDSTNPI", _NEVER),
    0x53: ("ESME_RINVSYSTYP", _REBIND),
    0x54: ("ESME_RINVREPFLAG", _NEVER),
    0x55: ("ESME_RINVNUMMSGS", _NEVER),
    0x58: ("ESME_RTHROTTLED", _SLOW),
    0x61: ("ESME_RINVSCHED", _NEVER),
    0x62: ("ESME_RINVEXPIRY", _NEVER),
    0x63: ("ESME_RINVDFTMSGID", _NEVER),
    0x64: ("ESME_RX_T_APPN", _LATER),
    0x65: ("ESME_RX_P_APPN", _NEVER),
    0x66: ("ESME_RX_R_APPN", _NEVER),
    0x67: ("ESME_RQUERYFAIL", _NEVER),
    0xC0: ("ESME_RINVOPTPARSTREAM", _NEVER),
    0xC1: ("ESME_ROPTPARNOTALLWD", _NEVER),
    0xC2: ("ESME_RINVPARLEN", _NEVER),
    0xC3: ("ESME_RMISSINGOPTPARAM", _NEVER),
    0xC4: ("ESME_RINVOPTPARAMVAL", _NEVER),
    0xFE: ("ESME_RDELIVERYFAILURE", _NEVER),
    0xFF: ("ESME_RUNKNOWNERR", _LATER),
}
"""Reference 5.15, class column. A status that is not here is permanent unless the link's settings say otherwise."""

BIND_REFUSALS: dict[int, Refusal] = {
    0x0E: Refusal.CREDENTIALS,
    0x0F: Refusal.CREDENTIALS,
    0x53: Refusal.CREDENTIALS,
    0x05: Refusal.LIMIT,
    0x04: Refusal.VERSION,
    0x03: Refusal.VERSION,
}
"""Of a bind answer. ESME_RBINDFAIL (0x0D) is what gateways say both to a wrong account and to one session too many:
back off.
"""

BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER = 0x01, 0x02, 0x09
SUBMIT_SM, DELIVER_SM, UNBIND, OUTBIND, ENQUIRE_LINK, SUBMIT_MULTI, DATA_SM = 0x04, 0x05, 0x06, 0x0B, 0x15, 0x21, 0x103
ALERT_NOTIFICATION, QUERY_SM, REPLACE_SM, CANCEL_SM = 0x102, 0x03, 0x07, 0x08
GENERIC_NACK = 0x80000000

MODES = {
    BIND_RECEIVER: BindMode.RECEIVER,
    BIND_TRANSMITTER: BindMode.TRANSMITTER,
    BIND_TRANSCEIVER: BindMode.TRANSCEIVER,
}

_COMMON: dict[int, Kind] = {
    UNBIND: Kind.UNBIND,
    UNBIND | ANSWER: Kind.UNBIND_ANSWER,
    ENQUIRE_LINK: Kind.KEEPALIVE,
    ENQUIRE_LINK | ANSWER: Kind.KEEPALIVE_ANSWER,
    GENERIC_NACK: Kind.NACK,
}
_KINDS: dict[Role, dict[int, Kind]] = {
    Role.CLIENT: _COMMON
    | dict.fromkeys([command | ANSWER for command in MODES], Kind.BIND_ANSWER)
    | dict.fromkeys([SUBMIT_SM | ANSWER, SUBMIT_MULTI | ANSWER, DATA_SM | ANSWER], Kind.SUBMIT_ANSWER)
    | dict.fromkeys([DELIVER_SM, DATA_SM], Kind.DELIVER)
    | dict.fromkeys([command | ANSWER for command in (QUERY_SM, REPLACE_SM, CANCEL_SM)], Kind.REQUEST_ANSWER)
    | {OUTBIND: Kind.INVITATION, ALERT_NOTIFICATION: Kind.NOTICE},
    Role.SERVER: _COMMON
    | dict.fromkeys(MODES, Kind.BIND)
    | dict.fromkeys([SUBMIT_SM, SUBMIT_MULTI, DATA_SM], Kind.SUBMIT)
    | dict.fromkeys([DELIVER_SM | ANSWER, DATA_SM | ANSWER], Kind.DELIVER_ANSWER)
    | dict.fromkeys([QUERY_SM, REPLACE_SM, CANCEL_SM], Kind.REQUEST),
}


class SmppRules(Dialect):
    """What the engine must know."""

    limits = Limits()
    header_size = 16
    largest_frame = LARGEST_FRAME
    last_sequence = 0x7FFFFFFF
    codings: ClassVar[Mapping[str, int]] = {"gsm7": 0, "ascii": 1, "latin1": 3, "octets": 4, "ucs2": 8}
    statuses = STATUSES
    remembers_answers = False
    id_mode = IdMode.AUTO
    malformed = 0x02
    wrong_state = 0x04
    already_bound = 0x05
    duplicate = 0x08
    unknown_command = 0x03
    bad_length = 0x02
    submit_statuses: ClassVar[Mapping[Outcome, int]] = {
        Outcome.OK: 0,
        Outcome.THROTTLED: 0x58,
        Outcome.TEMPORARY: 0x08,
        Outcome.PERMANENT: 0x45,
        Outcome.SESSION: 0x04,
        Outcome.UNCERTAIN: 0xFF,
    }
    deliver_statuses: ClassVar[Mapping[Outcome, int]] = {
        Outcome.OK: 0,
        Outcome.THROTTLED: 0x64,
        Outcome.TEMPORARY: 0x64,
        Outcome.PERMANENT: 0x65,
        Outcome.SESSION: 0x04,
        Outcome.UNCERTAIN: 0x64,
    }
    refusals: ClassVar[Mapping[Refusal, int]] = {
        Refusal.CREDENTIALS: 0x0E,
        Refusal.VERSION: 0x04,
        Refusal.LIMIT: 0x05,
        Refusal.TEMPORARY: 0x0D,
    }
    bind_refusals = BIND_REFUSALS
    commands = _KINDS
    sequence_name = "sequence_number"
    status_names = ("command_status",)
    keepalive_command = ENQUIRE_LINK
    unbind_command = UNBIND
