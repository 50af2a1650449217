"""SMGP 3.0: the session side. The tables are in ``smgp30_tables``; figures in brackets are the wire reference's
clauses.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from carrier.dialect import (
    ANSWER,
    BindAnswer,
    BindRequest,
    Credentials,
    Dialect,
    LinkStatuses,
)
from carrier.dialects.smgp30_report import read_report, write_report
from carrier.dialects.smgp30_tables import (
    CODEC,
    CODEC_13,
    DELIVER,
    FORWARD,
    LOGIN,
    SUBMIT,
    SmgpRules,
)
from carrier.digest import check_login, client_digest, proves, server_digest
from carrier.errors import CarrierError
from carrier.model import BindMode, Mo, Refusal, Report, Role, Submit
from carrier.timetext import login_stamp
from carrier.tlv import scan
from carrier.wiretext import cut, number, octets

_HEADER = struct.Struct(">III")
_ANSWER = struct.Struct(">III10sI")
_LOGIN = struct.Struct(">III8s16sBIB")
_LOGIN_ANSWER = struct.Struct(">IIII16sB")
_SUBMIT_30 = struct.Struct(">BBB10s2s6s6sB17s17s21s21sB")
_SUBMIT_13 = struct.Struct(">BBB10s2s6sB17s17s21s21sB")
_DELIVER = struct.Struct(">10sBB14s21s21sB")

_MODES = {0: BindMode.TRANSMITTER, 1: BindMode.RECEIVER, 2: BindMode.TRANSCEIVER}
_LOGIN_MODES = {mode: value for value, mode in _MODES.items()}

_TP_PID, _TP_UDHI, _LINK_ID, _PK_TOTAL, _PK_NUMBER, _MSG_SRC, _M_SERVICE_ID = 1, 2, 3, 9, 10, 0x10, 0x12


@dataclass(frozen=True)
class Smgp30Settings(LinkStatuses):
    """What differs between two SMGP links. The fee fields say "free" unless set (4.7)."""

    service_id: str = ""
    fee_type: str = "00"
    fee_code: str = "0"
    fixed_fee: str = "0"
    charge_term_id: str = ""
    msg_src: str = ""
    m_service_id: str = ""
    msg_type: int = 6
    version: int = 0x30
    """0x13 for gateways of 1.3, whose submit has no FixedFee."""
    lenient_tail: bool = False
    """Ignore what is wrong after the Reserve field (a field capture ends in two stray octets) instead of refusing the
    PDU.
    """
    clock_tolerance: float = 0.0
    gateway: str = "010061"
    """Six digits, the front of message ids a server makes (4.9)."""


class Smgp30(SmgpRules):
    """China Telecom's protocol: fixed fields like CMPP's, then optional parameters; reports are text around ten raw
    octets.
    """

    name = "smgp30"
    settings_type = Smgp30Settings

    def __init__(self, settings: Smgp30Settings | None = None) -> None:
        self.settings = settings or Smgp30Settings()
        super().__init__(self.settings)
        self._has_fixed_fee = self.settings.version >= 0x30
        self.codec = CODEC if self._has_fixed_fee else CODEC_13
        self._front = _SUBMIT_30 if self._has_fixed_fee else _SUBMIT_13
        self._head = lru_cache(maxsize=4096)(self._make_head)
        self._tail = lru_cache(maxsize=4096)(self._make_tail)

    def read_header(self, data: bytes, offset: int) -> tuple[int, int, int]:
        return _HEADER.unpack_from(data, offset)

    def message_id(self, serial: int, wall: float, request: bytes = b"") -> str:
        """Gateway, MMDDHHMM and serial as 20 decimal digits, which are the id's ten octets in BCD (4.9)."""
        return f"{self.settings.gateway}{login_stamp(wall) // 100:08d}{serial % 1_000_000:06d}"

    def group_id(self, message_id: str, index: int) -> str:
        """Counted on in the six decimal digits of the serial (4.8); an id of other digits has no such rule."""
        serial = message_id[14:]
        if not (len(message_id) == 20 and serial.isascii() and serial.isdecimal()):
            return message_id
        return f"{message_id[:14]}{(int(serial) + index) % 1_000_000:06d}"

    # Login ------------------------------------------------------------------------------------------------------------

    def bind(self, credentials: Credentials, sequence: int, wall: float) -> bytes:
        account, stamp = octets(credentials.account, 8, "ClientID"), login_stamp(wall)
        digest = client_digest(account, 7, credentials.secret, stamp)
        mode = _LOGIN_MODES[credentials.mode]
        return _LOGIN.pack(_LOGIN.size, LOGIN, sequence, account, digest, mode, stamp, self.settings.version)

    def read_bind(self, frame: bytes) -> BindRequest:
        if len(frame) != _LOGIN.size:
            raise CarrierError(f"Login has {_LOGIN.size} octets", min(len(frame), _LOGIN.size))
        _, _, sequence, account, digest, mode, stamp, version = _LOGIN.unpack(frame)
        if mode not in _MODES:
            raise CarrierError("LoginMode: 0 to 2", 36)
        return BindRequest(cut(account), _MODES[mode], version, digest, stamp, LOGIN, sequence)

    def check_bind(self, request: BindRequest, secret: str, wall: float) -> Refusal | None:
        refusal = check_login(request, 7, secret, self.settings.clock_tolerance, wall)
        version = Refusal.VERSION if request.version > self.settings.version else None
        return refusal or version

    def bind_answer(self, request: BindRequest, status: int, secret: str) -> bytes:
        digest = bytes(16) if status else server_digest(status, 4, request.proof, secret)
        version = self.settings.version
        return _LOGIN_ANSWER.pack(_LOGIN_ANSWER.size, LOGIN | ANSWER, request.sequence, status, digest, version)

    def read_bind_answer(self, frame: bytes) -> BindAnswer:
        if len(frame) != _LOGIN_ANSWER.size:
            raise CarrierError(f"Login_Resp has {_LOGIN_ANSWER.size} octets", min(len(frame), _LOGIN_ANSWER.size))
        _, _, _, status, digest, version = _LOGIN_ANSWER.unpack(frame)
        return BindAnswer(status, version, digest)

    def trusts(self, answer: BindAnswer, bind_frame: bytes, secret: str) -> bool | None:
        return proves(answer, bind_frame[20:36], secret)

    def negotiated(self, role: Role, version: int) -> Dialect:
        """A server takes the submit layout of the client's version; a client keeps its own."""
        if role is Role.SERVER and version < 0x30 and self._has_fixed_fee:
            return Smgp30(replace(self.settings, version=0x13))
        return self

    # Submit -----------------------------------------------------------------------------------------------------------

    def submit(self, submit: Submit, sequence: int) -> bytes:
        content = submit.content
        length = len(content)
        if length > 140:
            raise CarrierError(f"MsgContent: {length} octets are more than 140", 12 + self._front.size)
        head = self._head(
            submit.wants_report,
            submit.priority,
            submit.service_type,
            submit.data_coding,
            submit.validity,
            submit.schedule,
            submit.source,
            1 + len(submit.more_destinations),
        )
        numbers = octets(submit.destination, 21, "DestTermID").ljust(21, b"\0")
        if submit.more_destinations:
            more = (octets(one, 21, "DestTermID").ljust(21, b"\0") for one in submit.more_destinations)
            numbers += b"".join(more)
        tail = self._tail(submit.protocol_id, submit.udhi, submit.link_id, submit.part_total, submit.part_number, True)
        total = 12 + len(head) + len(numbers) + 1 + length + len(tail)
        return b"".join((_HEADER.pack(total, SUBMIT, sequence), head, numbers, bytes((length,)), content, tail))

    def _make_head(
        self,
        wants_report: bool,
        priority: int,
        service: str,
        coding: int,
        validity: str,
        schedule: str,
        source: str,
        count: int,
    ) -> bytes:
        """Fields 1 to 13 of Submit (4.7)."""
        own = self.settings
        if not 0 <= priority <= 3 or not 1 <= count <= 100:
            raise CarrierError("Priority: 0 to 3; DestTermIDCount: 1 to 100", 14)
        fixed_fee = (octets(own.fixed_fee, 6, "FixedFee"),) if self._has_fixed_fee else ()
        try:
            return self._front.pack(
                *(own.msg_type, 1 if wants_report else 0, priority),
                octets(service or own.service_id, 10, "ServiceID"),
                octets(own.fee_type, 2, "FeeType"),
                octets(own.fee_code, 6, "FeeCode"),
                *fixed_fee,
                coding,
                octets(validity, 17, "ValidTime"),
                octets(schedule, 17, "AtTime"),
                octets(source, 21, "SrcTermID"),
                octets(own.charge_term_id, 21, "ChargeTermID"),
                count,
            )
        except struct.error as error:
            raise CarrierError(f"Submit: {error}", 12) from None

    def _make_tail(self, pid: int, udhi: bool, link_id: str, total: int, part: int, is_submit: bool) -> bytes:
        """Reserve and the optional parameters (4.10); the part counters only where there are parts."""
        own = self.settings
        try:
            out = bytes(8)
            if pid:
                out += _tlv(_TP_PID, bytes((pid,)))
            if udhi:
                out += _tlv(_TP_UDHI, b"\x01")
            if link_id:
                out += _tlv(_LINK_ID, octets(link_id, 20, "LinkID"))
            if is_submit and total > 1:
                out += _tlv(_PK_TOTAL, bytes((total,))) + _tlv(_PK_NUMBER, bytes((part,)))
        except ValueError as error:
            raise CarrierError(f"TP_pid, PkTotal, PkNumber: 0 to 255 ({error})", 12) from None
        if is_submit and own.msg_src:
            out += _tlv(_MSG_SRC, octets(own.msg_src, 8, "MsgSrc"))
        if is_submit and own.m_service_id:
            out += _tlv(_M_SERVICE_ID, octets(own.m_service_id, 21, "MServiceID"))
        return out

    def read_submit(self, frame: bytes) -> Submit:
        front = self._front
        try:
            values = front.unpack_from(frame, 12)
            start = 12 + front.size + 21 * values[-1] + 1
            stop = start + frame[start - 1]
        except (struct.error, IndexError):
            raise self.explained(frame) from None
        if values[-1] == 0 or len(frame) < stop + 8:
            raise self.explained(frame)
        tlvs = self._scan(frame, stop + 8)
        _, need_report, priority, service = values[:4]
        coding, validity, schedule, source = values[-6:-2]
        numbers = [cut(frame[at : at + 21]) for at in range(12 + front.size, start - 1, 21)]
        return Submit(
            source=cut(source),
            destination=numbers[0],
            content=frame[start:stop],
            data_coding=coding,
            udhi=_octet(tlvs, _TP_UDHI) & 1 == 1,
            wants_report=need_report == 1,
            priority=priority,
            service_type=cut(service),
            validity=cut(validity),
            schedule=cut(schedule),
            protocol_id=_octet(tlvs, _TP_PID),
            part_total=_octet(tlvs, _PK_TOTAL) or 1,
            part_number=_octet(tlvs, _PK_NUMBER) or 1,
            link_id=cut(tlvs.get(_LINK_ID, b"")),
            more_destinations=tuple(numbers[1:]),
        )

    def _scan(self, frame: bytes, offset: int) -> Mapping[int, bytes]:
        try:
            return scan(frame, offset)
        except CarrierError:
            if self.settings.lenient_tail:
                return {}
            raise

    # Deliver ----------------------------------------------------------------------------------------------------------

    def deliver(self, item: Report | Mo, sequence: int) -> bytes:
        pid, udhi, link, coding, received = 0, False, "", 0, ""
        if isinstance(item, Report):
            own_id, is_report, source, destination = sequence.to_bytes(10, "big"), 1, item.recipient, item.sender
            content, received = write_report(item), f"20{item.done}00"[:14] if item.done else ""
        else:
            own_id = (number(item.message_id, 10, "MsgID") if item.message_id else sequence).to_bytes(10, "big")
            is_report, source, destination, content = 0, item.source, item.destination, item.content
            pid, udhi, link, coding = item.protocol_id, item.udhi, item.link_id, item.data_coding
        try:
            head = _DELIVER.pack(
                own_id,
                *(is_report, coding),
                octets(received, 14, "RecvTime"),
                octets(source, 21, "SrcTermID"),
                octets(destination, 21, "DestTermID"),
                len(content),
            )
        except struct.error as error:
            raise CarrierError(f"Deliver: {error}", 12) from None
        tail = self._tail(pid, udhi, link, 1, 1, False)
        total = 12 + len(head) + len(content) + len(tail)
        return b"".join((_HEADER.pack(total, DELIVER, sequence), head, content, tail))

    def read_deliver(self, frame: bytes) -> Report | Mo:
        try:
            own_id, is_report, coding, _, source, destination, length = _DELIVER.unpack_from(frame, 12)
        except struct.error:
            raise self.explained(frame) from None
        start = 12 + _DELIVER.size
        stop = start + length
        if len(frame) < stop + 8:
            raise self.explained(frame)
        tlvs = self._scan(frame, stop + 8) if len(frame) > stop + 8 else {}
        content = frame[start:stop]
        if is_report:
            return read_report(content, cut(source), cut(destination), frame)
        return Mo(
            source=cut(source),
            destination=cut(destination),
            content=content,
            data_coding=coding,
            udhi=_octet(tlvs, _TP_UDHI) & 1 == 1,
            message_id=own_id.hex(),
            protocol_id=_octet(tlvs, _TP_PID),
            link_id=cut(tlvs.get(_LINK_ID, b"")),
            raw=frame,
        )

    # Answers ----------------------------------------------------------------------------------------------------------

    def answer(self, request: bytes, status: int, message_id: str) -> bytes:
        _, command, sequence = _HEADER.unpack_from(request)
        if command == DELIVER:
            own_id = request[12:22]
        elif command == SUBMIT:
            own_id = number(message_id, 10, "MsgID").to_bytes(10, "big") if message_id else bytes(10)
        else:
            raise CarrierError("this request is answered by fields", 4)
        return _ANSWER.pack(_ANSWER.size, command | ANSWER, sequence, own_id, status & 0xFFFFFFFF)

    def read_answer(self, frame: bytes) -> tuple[int, str]:
        if len(frame) != _ANSWER.size:
            raise CarrierError(f"an answer has {_ANSWER.size} octets", min(len(frame), _ANSWER.size))
        _, command, _, own_id, status = _ANSWER.unpack(frame)
        return status, own_id.hex() if command == SUBMIT | ANSWER and not status else ""

    # Control ----------------------------------------------------------------------------------------------------------

    def bare(self, command: int, sequence: int) -> bytes:
        return _HEADER.pack(12, command, sequence)

    def refuse(self, command: int, sequence: int, status: int) -> bytes:
        """Only answers whose form carries a status."""
        if command in (SUBMIT, DELIVER, FORWARD):
            return _ANSWER.pack(_ANSWER.size, command | ANSWER, sequence, bytes(10), status)
        if command == LOGIN:
            version = self.settings.version
            return _LOGIN_ANSWER.pack(_LOGIN_ANSWER.size, LOGIN | ANSWER, sequence, status, bytes(16), version)
        return b""


def _tlv(tag: int, value: bytes) -> bytes:
    return tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def _octet(tlvs: Mapping[int, bytes], tag: int) -> int:
    value = tlvs.get(tag)
    return value[0] if value else 0
