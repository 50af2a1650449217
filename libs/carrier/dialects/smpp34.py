"""SMPP 3.4: the session side. The tables are in ``smpp34_tables``; clause numbers are those of Issue 1.2."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct
from typing import ClassVar

from carrier.dialect import ANSWER, BindAnswer, BindRequest, Credentials, Dialect, Kind, Limits, LinkStatuses, Rights
from carrier.dialects.smpp34_tables import BIND_REFUSALS, CODEC, LARGEST_FRAME, STATUSES
from carrier.errors import CarrierError
from carrier.layout import Fields
from carrier.model import BindMode, Mo, Outcome, Refusal, Report, ReportState, Role, Submit
from carrier.receipt import WORDS, Receipt, parse, state_of
from carrier.tlv import scan

BIND_RECEIVER, BIND_TRANSMITTER, BIND_TRANSCEIVER = 0x01, 0x02, 0x09
SUBMIT_SM, DELIVER_SM, UNBIND, OUTBIND, ENQUIRE_LINK, SUBMIT_MULTI, DATA_SM = 0x04, 0x05, 0x06, 0x0B, 0x15, 0x21, 0x103
ALERT_NOTIFICATION, QUERY_SM, REPLACE_SM, CANCEL_SM = 0x102, 0x03, 0x07, 0x08
GENERIC_NACK = 0x80000000
VERSION = 0x34

_HEADER = Struct(">IIII")
_LENGTH_COMMAND_SEQUENCE = Struct(">II4xI")
_STATUS = Struct(">8xI")
_TLV_U8, _TLV_U16 = Struct(">HHB"), Struct(">HHH")

_MODES = {
    BIND_RECEIVER: BindMode.RECEIVER,
    BIND_TRANSMITTER: BindMode.TRANSMITTER,
    BIND_TRANSCEIVER: BindMode.TRANSCEIVER,
}
_BINDS = {mode: command for command, mode in _MODES.items()}

_COMMON: dict[int, Kind] = {
    UNBIND: Kind.UNBIND,
    UNBIND | ANSWER: Kind.UNBIND_ANSWER,
    ENQUIRE_LINK: Kind.KEEPALIVE,
    ENQUIRE_LINK | ANSWER: Kind.KEEPALIVE_ANSWER,
    GENERIC_NACK: Kind.NACK,
}
_KINDS: dict[Role, dict[int, Kind]] = {
    Role.CLIENT: _COMMON
    | dict.fromkeys([command | ANSWER for command in _MODES], Kind.BIND_ANSWER)
    | dict.fromkeys([SUBMIT_SM | ANSWER, SUBMIT_MULTI | ANSWER, DATA_SM | ANSWER], Kind.SUBMIT_ANSWER)
    | dict.fromkeys([DELIVER_SM, DATA_SM], Kind.DELIVER)
    | dict.fromkeys([command | ANSWER for command in (QUERY_SM, REPLACE_SM, CANCEL_SM)], Kind.REQUEST_ANSWER)
    | {OUTBIND: Kind.INVITATION, ALERT_NOTIFICATION: Kind.NOTICE},
    Role.SERVER: _COMMON
    | dict.fromkeys(_MODES, Kind.BIND)
    | dict.fromkeys([SUBMIT_SM, SUBMIT_MULTI, DATA_SM], Kind.SUBMIT)
    | dict.fromkeys([DELIVER_SM | ANSWER, DATA_SM | ANSWER], Kind.DELIVER_ANSWER)
    | dict.fromkeys([QUERY_SM, REPLACE_SM, CANCEL_SM], Kind.REQUEST),
}
_NONE: frozenset[Kind] = frozenset()
_MT, _MO = frozenset({Kind.SUBMIT}), frozenset({Kind.DELIVER})
_RIGHTS = {
    (Role.CLIENT, BindMode.TRANSMITTER): Rights(_MT, _NONE),
    (Role.CLIENT, BindMode.RECEIVER): Rights(_NONE, _MO),
    (Role.CLIENT, BindMode.TRANSCEIVER): Rights(_MT, _MO),
    (Role.SERVER, BindMode.TRANSMITTER): Rights(_NONE, _MT),
    (Role.SERVER, BindMode.RECEIVER): Rights(_MO, _NONE),
    (Role.SERVER, BindMode.TRANSCEIVER): Rights(_MO, _MT),
}

_RECEIPT, _INTERMEDIATE, _UDHI = 0x04, 0x20, 0x40
_TYPE = 0x3C
_MESSAGE_PAYLOAD, _RECEIPTED_ID, _MESSAGE_STATE = 0x0424, 0x001E, 0x0427
_SAR_REFERENCE, _SAR_TOTAL, _SAR_NUMBER = 0x020C, 0x020E, 0x020F
_INTERFACE_VERSION = 0x0210
_STATE_NUMBERS = {
    1: ReportState.ENROUTE,
    2: ReportState.DELIVERED,
    3: ReportState.EXPIRED,
    4: ReportState.DELETED,
    5: ReportState.UNDELIVERABLE,
    6: ReportState.ACCEPTED,
    7: ReportState.UNKNOWN,
    8: ReportState.REJECTED,
}
_NUMBERS = {state: number for number, state in _STATE_NUMBERS.items()}

_Split = tuple[str, str, str, int, int, int, str, str, int, int, bytes, Mapping[int, bytes]]
_NO_TLVS: Mapping[int, bytes] = {}


@dataclass(frozen=True)
class Smpp34Settings(LinkStatuses):
    """What differs between two SMPP links."""

    system_id: str = "guanxin"
    """What a server calls itself in its bind answer."""
    system_type: str = ""
    address_range: str = ""
    addr_ton: int = 0
    addr_npi: int = 0
    source_ton: int = 0
    source_npi: int = 0
    """For numeric senders; one with letters goes out as alphanumeric (TON 5, NPI 0, clause 5.2.5)."""
    dest_ton: int = 1
    dest_npi: int = 1
    esm_mode: int = 0
    password_octets: int = 8
    system_id_octets: int = 15
    """The specification's limits; some gateways hand out longer ones (reference 5.3)."""
    receipts_unmarked: bool = False
    """Take a deliver_sm whose text reads like a receipt for one, although esm_class does not say so."""


class Smpp34(Dialect):
    """The international protocol; ESME is our client role, SMSC the server role."""

    name = "smpp34"
    settings_type = Smpp34Settings
    codec = CODEC
    limits = Limits()
    header_size = 16
    largest_frame = LARGEST_FRAME
    last_sequence = 0x7FFFFFFF
    codings: ClassVar[Mapping[str, int]] = {"gsm7": 0, "ascii": 1, "latin1": 3, "octets": 4, "ucs2": 8}
    statuses = STATUSES
    remembers_answers = False
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

    def __init__(self, settings: Smpp34Settings | None = None, *, tlvs: bool = True) -> None:
        self.settings = settings or Smpp34Settings()
        super().__init__(self.settings)
        self._tlvs = tlvs
        self._source_kind = bytes((self.settings.source_ton, self.settings.source_npi))
        self._destination_kind = bytes((self.settings.dest_ton, self.settings.dest_npi))

    # Exact path and frames --------------------------------------------------------------------------------------------

    def with_sequence(self, fields: Mapping[str, object], sequence: int) -> Mapping[str, object]:
        return {**fields, "sequence_number": sequence}

    def status_of(self, fields: Mapping[str, object]) -> int:
        status = fields["command_status"]
        assert isinstance(status, int)
        return status

    def kinds(self, role: Role) -> Mapping[int, Kind]:
        return _KINDS[role]

    def read_header(self, data: bytes, offset: int) -> tuple[int, int, int]:
        return _LENGTH_COMMAND_SEQUENCE.unpack_from(data, offset)

    # Login ------------------------------------------------------------------------------------------------------------

    def rights(self, role: Role, mode: BindMode) -> Rights:
        return _RIGHTS[role, mode]

    def bind(self, credentials: Credentials, sequence: int, wall: float) -> bytes:
        own = self.settings
        body = b"".join(
            (
                _cstr(credentials.account, own.system_id_octets, "system_id"),
                _cstr(credentials.secret, own.password_octets, "password"),
                _cstr(own.system_type, 12, "system_type"),
                bytes((VERSION, own.addr_ton, own.addr_npi)),
                _cstr(own.address_range, 40, "address_range"),
            )
        )
        return _HEADER.pack(16 + len(body), _BINDS[credentials.mode], 0, sequence) + body

    def read_bind(self, frame: bytes) -> BindRequest:
        fields = self.codec.decode(frame)
        command = fields["command_id"]
        return BindRequest(
            account=fields["system_id"],
            mode=_MODES[command],
            version=fields["interface_version"],
            proof=fields["password"].encode("latin-1"),
            stamp=0,
            command=command,
            sequence=fields["sequence_number"],
        )

    def check_bind(self, request: BindRequest, secret: str, wall: float) -> Refusal | None:
        same = hmac.compare_digest(request.proof, secret.encode("utf-8"))
        return None if same else Refusal.CREDENTIALS

    def bind_answer(self, request: BindRequest, status: int, secret: str) -> bytes:
        body = b""
        if status == 0:
            body = _cstr(self.settings.system_id, 15, "system_id")
            if request.version >= VERSION:
                body += _TLV_U8.pack(_INTERFACE_VERSION, 1, VERSION)
        return _HEADER.pack(16 + len(body), request.command | ANSWER, status, request.sequence) + body

    def read_bind_answer(self, frame: bytes) -> BindAnswer:
        """A server that does not name its version is taken to be 3.4: most leave the parameter out."""
        (status,) = _STATUS.unpack_from(frame)
        stop = frame.find(b"\0", 16)
        if status or stop < 0:
            return BindAnswer(status, VERSION)
        version = scan(frame, stop + 1).get(_INTERFACE_VERSION)
        return BindAnswer(status, version[0] if version else VERSION)

    def refusal(self, status: int) -> Refusal:
        return BIND_REFUSALS.get(status, Refusal.TEMPORARY)

    def negotiated(self, role: Role, version: int) -> Dialect:
        """To a peer of 3.3 or older no optional parameter is sent (clause 3.4)."""
        return self if version >= VERSION or not self._tlvs else Smpp34(self.settings, tlvs=False)

    def read_invitation(self, frame: bytes) -> tuple[str, str]:
        fields = self.codec.decode(frame)
        return fields["system_id"], fields["password"]

    # Submit -----------------------------------------------------------------------------------------------------------

    def submit(self, submit: Submit, sequence: int) -> bytes:
        """One join of two cached parts, the number and the content: few senders and few flags pass over a link."""
        if submit.more_destinations:
            return self._submit_multi(submit, sequence)
        prefix = _prefix(submit.service_type, submit.source, self._source_kind, self._destination_kind)
        return self._message(SUBMIT_SM, submit, prefix + _number(submit.destination, "destination_addr"), sequence)

    def _submit_multi(self, submit: Submit, sequence: int) -> bytes:
        numbers = (submit.destination, *submit.more_destinations)
        if len(numbers) > 254:
            raise CarrierError("number_of_dests: at most 254", 16)
        prefix = _prefix(submit.service_type, submit.source, self._source_kind, bytes((len(numbers),)))
        each = b"\x01" + self._destination_kind
        listed = b"\0".join(each + _number(number, "destination_addr") for number in numbers)
        return self._message(SUBMIT_MULTI, submit, prefix + listed, sequence)

    def _message(self, command: int, submit: Submit, addresses: bytes, sequence: int) -> bytes:
        """``addresses`` is everything before the NUL that ends the last address."""
        content = submit.content
        length = len(content)
        tail = b""
        if length > 254 or (submit.part_total > 1 and not submit.udhi):
            content, tail = self._optional(submit)
            length = len(content)
        flags = _flags(
            (_UDHI if submit.udhi else 0) | self.settings.esm_mode,
            submit.protocol_id,
            submit.priority,
            submit.schedule,
            submit.validity,
            1 if submit.wants_report else 0,
            submit.data_coding,
            length,
        )
        total = 16 + len(addresses) + len(flags) + length + len(tail)
        return b"".join((_HEADER.pack(total, command, 0, sequence), addresses, flags, content, tail))

    def _optional(self, message: Submit | Mo) -> tuple[bytes, bytes]:
        """Content beyond 254 octets travels as message_payload; parts without a header in the content as sar_*
        (clause 5.3.2.22).
        """
        content, tail = message.content, b""
        if not self._tlvs:
            raise CarrierError("the peer's version has no optional parameters: content too long or in parts", 16)
        if message.part_total > 1 and not message.udhi:
            tail = (
                _TLV_U16.pack(_SAR_REFERENCE, 2, message.part_reference & 0xFFFF)
                + _TLV_U8.pack(_SAR_TOTAL, 1, message.part_total)
                + _TLV_U8.pack(_SAR_NUMBER, 1, message.part_number)
            )
        if len(content) > 254:
            if len(content) > 0xFFFF:
                raise CarrierError("message_payload: at most 65535 octets", 16)
            tail += _tlv(_MESSAGE_PAYLOAD, content)
            content = b""
        return content, tail

    def read_submit(self, frame: bytes) -> Submit:
        command = int.from_bytes(frame[4:8], "big")
        if command != SUBMIT_SM:
            return self._read_rare_submit(frame)
        service, source, destination, esm, pid, priority, schedule, validity, reg, coding, content, tlvs = self._split(
            frame
        )
        total, number, reference = _sar(tlvs) if tlvs else (1, 1, 0)
        return Submit(
            source=source,
            destination=destination,
            content=content,
            data_coding=coding,
            udhi=esm & _UDHI != 0,
            wants_report=reg & 3 != 0,
            priority=priority,
            service_type=service,
            validity=validity,
            schedule=schedule,
            protocol_id=pid,
            part_total=total,
            part_number=number,
            part_reference=reference,
        )

    def _read_rare_submit(self, frame: bytes) -> Submit:
        """submit_multi and data_sm, by the exact path."""
        fields = self.codec.decode(frame)
        numbers = [fields["destination_addr"]] if "destination_addr" in fields else _listed(fields)
        return Submit(
            source=fields["source_addr"],
            destination=numbers[0],
            more_destinations=tuple(numbers[1:]),
            content=_content(fields),
            data_coding=fields["data_coding"],
            udhi=fields["esm_class"] & _UDHI != 0,
            wants_report=fields["registered_delivery"] & 3 != 0,
            service_type=fields["service_type"],
            priority=fields.get("priority_flag", 0),
            validity=fields.get("validity_period", ""),
            schedule=fields.get("schedule_delivery_time", ""),
            protocol_id=fields.get("protocol_id", 0),
        )

    # Deliver ----------------------------------------------------------------------------------------------------------

    def deliver(self, item: Report | Mo, sequence: int) -> bytes:
        if isinstance(item, Mo):
            esm, source, destination, coding = (
                (_UDHI if item.udhi else 0),
                item.source,
                item.destination,
                item.data_coding,
            )
            content, tail = item.content, b""
            if len(content) > 254 or (item.part_total > 1 and not item.udhi):
                content, tail = self._optional(item)
            pid, service = item.protocol_id, item.service_type
        else:
            esm = _INTERMEDIATE if item.state is ReportState.ENROUTE else _RECEIPT
            source, destination, coding, pid, service = item.recipient, item.sender, 0, 0, ""
            content, tail = self._receipt(item)
        body = b"".join(
            (
                _prefix(service, source, self._destination_kind, self._source_kind),
                _number(destination, "destination_addr"),
                _flags(esm, pid, 0, "", "", 0, coding, len(content)),
                content,
                tail,
            )
        )
        return _HEADER.pack(16 + len(body), DELIVER_SM, 0, sequence) + body

    def _receipt(self, report: Report) -> tuple[bytes, bytes]:
        word = report.stat or WORDS[report.state]
        delivered = "001" if report.state is ReportState.DELIVERED else "000"
        text = (
            f"id:{report.message_id} sub:001 dlvrd:{delivered} submit date:{report.submitted} done date:{report.done}"
            f" stat:{word} err:{report.error or '000'} text:{report.text[:20]}"
        )
        try:
            content = text.encode("latin-1")
        except UnicodeEncodeError:
            raise CarrierError("short_message: the receipt has characters the wire cannot carry", 16) from None
        if len(content) > 254:
            raise CarrierError("short_message: the receipt has more than 254 octets", 16)
        if not self._tlvs:
            return content, b""
        return content, (
            _tlv(_RECEIPTED_ID, _cstr(report.message_id, 64, "receipted_message_id"))
            + _TLV_U8.pack(_MESSAGE_STATE, 1, _NUMBERS[report.state])
        )

    def read_deliver(self, frame: bytes) -> Report | Mo:
        if int.from_bytes(frame[4:8], "big") == DELIVER_SM:
            service, source, destination, esm, pid, _, _, _, _, coding, content, tlvs = self._split(frame)
        else:
            fields = self.codec.decode(frame)
            service, source, destination = fields["service_type"], fields["source_addr"], fields["destination_addr"]
            esm, pid, coding, content, tlvs = (
                fields["esm_class"],
                0,
                fields["data_coding"],
                _content(fields),
                _tail(frame),
            )
        marked = esm & _TYPE in (_RECEIPT, _INTERMEDIATE)
        if marked or (self.settings.receipts_unmarked and content.startswith(b"id:")):
            receipt = parse(content.decode("latin-1"))
            if receipt is not None or marked:
                return _report(receipt or _NO_RECEIPT, tlvs, source, destination, frame)
        total, number, reference = _sar(tlvs) if tlvs else (1, 1, 0)
        return Mo(
            source=source,
            destination=destination,
            content=content,
            data_coding=coding,
            udhi=esm & _UDHI != 0,
            protocol_id=pid,
            service_type=service,
            part_total=total,
            part_number=number,
            part_reference=reference,
            raw=frame,
        )

    # Answers ----------------------------------------------------------------------------------------------------------

    def answer(self, request: bytes, status: int, message_id: str) -> bytes:
        _, command, sequence = _LENGTH_COMMAND_SEQUENCE.unpack_from(request)
        if command == DELIVER_SM:
            return _HEADER.pack(17, 0x80000005, status, sequence) + b"\0"
        if status:
            return _HEADER.pack(16, command | ANSWER, status, sequence)
        body = _cstr(message_id, 64, "message_id")
        if command == SUBMIT_MULTI:
            body += b"\0"
        return _HEADER.pack(16 + len(body), command | ANSWER, 0, sequence) + body

    def read_answer(self, frame: bytes) -> tuple[int, str]:
        (status,) = _STATUS.unpack_from(frame)
        if len(frame) == 16:
            return status, ""
        stop = frame.find(b"\0", 16)
        if stop < 0:
            raise CarrierError("message_id: no terminating NUL", 16)
        return status, frame[16:stop].decode("latin-1")

    # Control ----------------------------------------------------------------------------------------------------------

    def keepalive(self, sequence: int) -> bytes:
        return _HEADER.pack(16, ENQUIRE_LINK, 0, sequence)

    def unbind(self, sequence: int) -> bytes:
        return _HEADER.pack(16, UNBIND, 0, sequence)

    def plain_answer(self, command: int, sequence: int) -> bytes:
        return _HEADER.pack(16, command | ANSWER, 0, sequence)

    def refuse(self, command: int, sequence: int, status: int) -> bytes:
        return _HEADER.pack(16, command | ANSWER, status, sequence)

    def nack(self, sequence: int, status: int) -> bytes:
        return _HEADER.pack(16, GENERIC_NACK, status, sequence)

    def read_nack(self, frame: bytes) -> int:
        (status,) = _STATUS.unpack_from(frame)
        return int(status)

    # Parts of a frame ---------------------------------------------------------------------------------------------------

    def _split(self, frame: bytes) -> _Split:
        """submit_sm and deliver_sm in one pass. When it does not fit, the exact path says where and why."""
        text = frame.decode("latin-1")
        index = text.index
        try:
            service = index("\0", 16)
            source = index("\0", service + 3)
            destination = index("\0", source + 3)
            schedule = index("\0", destination + 4)
            validity = index("\0", schedule + 1)
            start = validity + 6
            stop = start + frame[start - 1]
        except (ValueError, IndexError):
            raise self.explained(frame) from None
        end = len(frame)
        if stop > end:
            raise self.explained(frame)
        content = frame[start:stop]
        tlvs = _NO_TLVS
        if stop < end:
            tlvs = scan(frame, stop)
            if not content:
                content = tlvs.get(_MESSAGE_PAYLOAD, b"")
        return (
            text[16:service],
            text[service + 3 : source],
            text[source + 3 : destination],
            frame[destination + 1],
            frame[destination + 2],
            frame[destination + 3],
            text[destination + 4 : schedule],
            text[schedule + 1 : validity],
            frame[start - 5],
            frame[start - 3],
            content,
            tlvs,
        )


# Octets of one field
# ----------------------------------------------------------------------------------------------------


def _cstr(value: str, most: int, name: str) -> bytes:
    return _number(value, name, most) + b"\0"


def _number(value: str, name: str, most: int = 20) -> bytes:
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError:
        raise CarrierError(f"{name}: has characters the wire cannot carry", 16) from None
    if len(octets) > most or b"\0" in octets:
        raise CarrierError(f"{name}: at most {most} octets and no NUL", 16)
    return octets


@lru_cache(maxsize=4096)
def _prefix(service_type: str, source: str, source_kind: bytes, destination_kind: bytes) -> bytes:
    """From the body's start to the destination's digits. A sender with letters has TON 5, NPI 0 (reference 5.9)."""
    plain = source.isdecimal() or not source
    return b"".join(
        (
            _cstr(service_type, 5, "service_type"),
            source_kind if plain else b"\x05\x00",
            _cstr(source, 20, "source_addr"),
            destination_kind,
        )
    )


@lru_cache(maxsize=4096)
def _flags(
    esm: int, pid: int, priority: int, schedule: str, validity: str, registered: int, coding: int, length: int
) -> bytes:
    """From the NUL of the destination to sm_length."""
    if not 0 <= priority <= 3:
        raise CarrierError("priority_flag: 0 to 3", 16)
    try:
        fixed = bytes((0, esm, pid, priority)), bytes((registered, 0, coding, 0, length))
    except ValueError:
        raise CarrierError("esm_class, protocol_id and data_coding: 0 to 255", 16) from None
    times = _when(schedule, "schedule_delivery_time") + _when(validity, "validity_period")
    return fixed[0] + times + fixed[1]


def _when(value: str, name: str) -> bytes:
    if len(value) not in (0, 16):
        raise CarrierError(f"{name}: must have 16 characters", 16)
    return _cstr(value, 16, name)


def _tlv(tag: int, value: bytes) -> bytes:
    return tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


# Parts of a frame
# -------------------------------------------------------------------------------------------------------

_NO_RECEIPT = Receipt("", "", "", "", "", "")


def _report(receipt: Receipt, tlvs: Mapping[int, bytes], source: str, destination: str, frame: bytes) -> Report:
    """The parameters receipted_message_id and message_state win over the text (reference 5.14)."""
    message_id, submitted, done, stat, error, text = receipt
    state = None
    if tlvs:
        named = tlvs.get(_RECEIPTED_ID)
        if named:
            message_id = named.split(b"\0", 1)[0].decode("latin-1") or message_id
        number = tlvs.get(_MESSAGE_STATE)
        if number:
            state = _STATE_NUMBERS.get(number[0])
    if state is None:
        state = state_of(stat) if stat else ReportState.UNKNOWN
    final = state is not ReportState.ENROUTE
    return Report(message_id, state, final, stat, error, source, destination, submitted, done, text, frame)


def _sar(tlvs: Mapping[int, bytes]) -> tuple[int, int, int]:
    """Total, number, reference; all three parameters must be there, otherwise none counts (reference 5.13)."""
    reference, total, number = tlvs.get(_SAR_REFERENCE), tlvs.get(_SAR_TOTAL), tlvs.get(_SAR_NUMBER)
    if not (reference and total and number):
        return 1, 1, 0
    return total[0], number[0], int.from_bytes(reference, "big")


def _listed(fields: Fields) -> list[str]:
    numbers = [one["destination_addr"] for one in fields["dest_address"] if one["dest_flag"] == 1]
    if not numbers:
        raise CarrierError("dest_address: no number, and distribution lists are not kept here", 16)
    return numbers


def _content(fields: Fields) -> bytes:
    payload = fields.get("message_payload", "")
    return bytes.fromhex(fields.get("short_message") or (payload if isinstance(payload, str) else payload[-1]))


def _tail(frame: bytes) -> Mapping[int, bytes]:
    """Optional parameters of a data_sm: after three strings, their types and three octets."""
    service = frame.index(0, 16)
    source = frame.index(0, service + 3)
    destination = frame.index(0, source + 3)
    return scan(frame, destination + 4)
