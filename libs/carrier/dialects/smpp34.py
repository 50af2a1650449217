"""SMPP 3.4: the session side. The tables are in ``smpp34_tables``; clause numbers are those of Issue 1.2."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from struct import Struct

from carrier.dialect import (
    ANSWER,
    BindAnswer,
    BindRequest,
    Credentials,
    Dialect,
    LinkStatuses,
)
from carrier.dialects.smpp34_tables import (
    CANCEL_SM,
    CODEC,
    DELIVER_SM,
    GENERIC_NACK,
    MODES,
    QUERY_SM,
    REPLACE_SM,
    SUBMIT_MULTI,
    SUBMIT_SM,
    SmppRules,
)
from carrier.dialects.smpp34_wire import (
    INTERFACE_VERSION,
    INTERMEDIATE,
    MESSAGE_PAYLOAD,
    NO_RECEIPT,
    RECEIPT,
    SAR_NUMBER,
    SAR_REFERENCE,
    SAR_TOTAL,
    TLV_U8,
    TLV_U16,
    TYPE,
    UDHI,
    Split,
    content_of,
    cstr,
    data_sm_tlvs,
    flags,
    front,
    listed,
    prefix,
    read_report,
    receipted,
    sar,
    split,
    tlv,
)
from carrier.errors import CarrierError
from carrier.model import Mo, Refusal, Report, ReportState, Role, Submit
from carrier.receipt import WORDS, parse
from carrier.tlv import scan
from carrier.wiretext import octets

VERSION = 0x34

_HEADER = Struct(">IIII")
_LENGTH_COMMAND_SEQUENCE = Struct(">II4xI")
_STATUS = Struct(">8xI")
_NOTHING_KNOWN = b"\0\0\x07\0"
"""No id, no final date, state UNKNOWN, no error."""

_BINDS = {mode: command for command, mode in MODES.items()}


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


class Smpp34(SmppRules):
    """The international protocol; ESME is our client role, SMSC the server role."""

    name = "smpp34"
    settings_type = Smpp34Settings
    codec = CODEC

    def __init__(self, settings: Smpp34Settings | None = None, *, tlvs: bool = True) -> None:
        self.settings = settings or Smpp34Settings()
        super().__init__(self.settings)
        self._tlvs = tlvs
        self._source_kind = bytes((self.settings.source_ton, self.settings.source_npi))
        self._destination_kind = bytes((self.settings.dest_ton, self.settings.dest_npi))

    # Exact path and frames --------------------------------------------------------------------------------------------

    def read_header(self, data: bytes, offset: int) -> tuple[int, int, int]:
        return _LENGTH_COMMAND_SEQUENCE.unpack_from(data, offset)

    # Login ------------------------------------------------------------------------------------------------------------

    def bind(self, credentials: Credentials, sequence: int, wall: float) -> bytes:
        own = self.settings
        body = b"".join(
            (
                cstr(credentials.account, own.system_id_octets, "system_id"),
                cstr(credentials.secret, own.password_octets, "password"),
                cstr(own.system_type, 12, "system_type"),
                bytes((VERSION, own.addr_ton, own.addr_npi)),
                cstr(own.address_range, 40, "address_range"),
            )
        )
        return _HEADER.pack(16 + len(body), _BINDS[credentials.mode], 0, sequence) + body

    def read_bind(self, frame: bytes) -> BindRequest:
        fields = self.codec.decode(frame)
        command = fields["command_id"]
        return BindRequest(
            account=fields["system_id"],
            mode=MODES[command],
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
            body = cstr(self.settings.system_id, 15, "system_id")
            if request.version >= VERSION:
                body += TLV_U8.pack(INTERFACE_VERSION, 1, VERSION)
        return _HEADER.pack(16 + len(body), request.command | ANSWER, status, request.sequence) + body

    def read_bind_answer(self, frame: bytes) -> BindAnswer:
        """A server that does not name its version is taken to be 3.4: most leave the parameter out."""
        (status,) = _STATUS.unpack_from(frame)
        stop = frame.find(b"\0", 16)
        if status or stop < 0:
            return BindAnswer(status, VERSION)
        version = scan(frame, stop + 1).get(INTERFACE_VERSION)
        return BindAnswer(status, version[0] if version else VERSION)

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
        addresses = prefix(submit.service_type, submit.source, self._source_kind, self._destination_kind)
        addressee = octets(submit.destination, 20, "destination_addr")
        return self._message(SUBMIT_SM, submit, addresses + addressee, sequence)

    def _submit_multi(self, submit: Submit, sequence: int) -> bytes:
        numbers = (submit.destination, *submit.more_destinations)
        if len(numbers) > 254:
            raise CarrierError("number_of_dests: at most 254", 16)
        addresses = prefix(submit.service_type, submit.source, self._source_kind, bytes((len(numbers),)))
        each = b"\x01" + self._destination_kind
        numbered = b"\0".join(each + octets(number, 20, "destination_addr") for number in numbers)
        return self._message(SUBMIT_MULTI, submit, addresses + numbered, sequence)

    def _message(self, command: int, submit: Submit, addresses: bytes, sequence: int) -> bytes:
        """``addresses`` is everything before the NUL that ends the last address."""
        content = submit.content
        length = len(content)
        tail = b""
        if length > 254 or (submit.part_total > 1 and not submit.udhi):
            content, tail = self._optional(submit)
            length = len(content)
        middle = flags(
            (UDHI if submit.udhi else 0) | self.settings.esm_mode,
            submit.protocol_id,
            submit.priority,
            submit.schedule,
            submit.validity,
            1 if submit.wants_report else 0,
            submit.data_coding,
            length,
        )
        total = 16 + len(addresses) + len(middle) + length + len(tail)
        return b"".join((_HEADER.pack(total, command, 0, sequence), addresses, middle, content, tail))

    def _optional(self, message: Submit | Mo) -> tuple[bytes, bytes]:
        """Content beyond 254 octets travels as message_payload; parts without a header in the content as sar_*
        (clause 5.3.2.22).
        """
        content, tail = message.content, b""
        if not self._tlvs:
            raise CarrierError("the peer's version has no optional parameters: content too long or in parts", 16)
        if message.part_total > 1 and not message.udhi:
            tail = (
                TLV_U16.pack(SAR_REFERENCE, 2, message.part_reference & 0xFFFF)
                + TLV_U8.pack(SAR_TOTAL, 1, message.part_total)
                + TLV_U8.pack(SAR_NUMBER, 1, message.part_number)
            )
        if len(content) > 254:
            if len(content) > 0xFFFF:
                raise CarrierError("message_payload: at most 65535 octets", 16)
            tail += tlv(MESSAGE_PAYLOAD, content)
            content = b""
        return content, tail

    def read_submit(self, frame: bytes) -> Submit:
        command = int.from_bytes(frame[4:8], "big")
        if command != SUBMIT_SM:
            return self._read_rare_submit(frame)
        service, source, destination, esm, pid, priority, schedule, validity, reg, coding, content, tlvs = self._split(
            frame
        )
        total, number, reference = sar(tlvs) if tlvs else (1, 1, 0)
        return Submit(
            source=source,
            destination=destination,
            content=content,
            data_coding=coding,
            udhi=esm & UDHI != 0,
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
        numbers = [fields["destination_addr"]] if "destination_addr" in fields else listed(fields)
        return Submit(
            source=fields["source_addr"],
            destination=numbers[0],
            more_destinations=tuple(numbers[1:]),
            content=content_of(fields),
            data_coding=fields["data_coding"],
            udhi=fields["esm_class"] & UDHI != 0,
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
                (UDHI if item.udhi else 0),
                item.source,
                item.destination,
                item.data_coding,
            )
            content, tail = item.content, b""
            if len(content) > 254 or (item.part_total > 1 and not item.udhi):
                content, tail = self._optional(item)
            pid, service = item.protocol_id, item.service_type
        else:
            esm = INTERMEDIATE if item.state is ReportState.ENROUTE else RECEIPT
            source, destination, coding, pid, service = item.recipient, item.sender, 0, 0, ""
            content, tail = self._receipt(item)
        addresses = front(service, source, self._destination_kind, self._source_kind)
        addressee = octets(destination, 20, "destination_addr")
        middle = flags(esm, pid, 0, "", "", 0, coding, len(content))
        total = 16 + len(addresses) + len(addressee) + len(middle) + len(content) + len(tail)
        header = _HEADER.pack(total, DELIVER_SM, 0, sequence)
        return b"".join((header, addresses, addressee, middle, content, tail))

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
        return content, receipted(report.message_id, report.state)

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
                content_of(fields),
                data_sm_tlvs(frame),
            )
        marked = esm & TYPE in (RECEIPT, INTERMEDIATE)
        if marked or (self.settings.receipts_unmarked and content.startswith(b"id:")):
            receipt = parse(content.decode("latin-1"))
            if receipt is not None or marked:
                return read_report(receipt or NO_RECEIPT, tlvs, source, destination, frame)
        total, number, reference = sar(tlvs) if tlvs else (1, 1, 0)
        return Mo(
            source=source,
            destination=destination,
            content=content,
            data_coding=coding,
            udhi=esm & UDHI != 0,
            protocol_id=pid,
            service_type=service,
            part_total=total,
            part_number=number,
            part_reference=reference,
            raw=frame,
        )

    def _split(self, frame: bytes) -> Split:
        found = split(frame)
        if found is None:
            raise self.explained(frame)
        return found

    # Answers ----------------------------------------------------------------------------------------------------------

    def answer(self, request: bytes, status: int, message_id: str) -> bytes:
        _, command, sequence = _LENGTH_COMMAND_SEQUENCE.unpack_from(request)
        if command == DELIVER_SM:
            return _HEADER.pack(17, 0x80000005, status, sequence) + b"\0"
        if status:
            return self.refuse(command, sequence, status)
        if command in (CANCEL_SM, REPLACE_SM):
            return _HEADER.pack(16, command | ANSWER, 0, sequence)
        if command == QUERY_SM:
            raise CarrierError("this request is answered by fields", 4)
        body = cstr(message_id, 64, "message_id")
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

    def bare(self, command: int, sequence: int) -> bytes:
        return _HEADER.pack(16, command, 0, sequence)

    def refuse(self, command: int, sequence: int, status: int) -> bytes:
        """Only the answers to messages may lack their body (4.4.2); a query's says that nothing is known (4.8.2)."""
        body = _NOTHING_KNOWN if command == QUERY_SM else b""
        return _HEADER.pack(16 + len(body), command | ANSWER, status, sequence) + body

    def nack(self, sequence: int, status: int) -> bytes:
        return _HEADER.pack(16, GENERIC_NACK, status, sequence)

    def read_nack(self, frame: bytes) -> int:
        (status,) = _STATUS.unpack_from(frame)
        return int(status)
