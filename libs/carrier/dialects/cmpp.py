"""CMPP 2.0 and 3.0: the session side. The tables are in ``cmpp_tables``; figures in brackets are the wire reference's
clauses.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

from carrier.codec import Codec
from carrier.dialect import (
    ANSWER,
    BindAnswer,
    BindRequest,
    Credentials,
    Dialect,
    LinkStatuses,
)
from carrier.dialects import cmpp_tables as tables
from carrier.dialects.cmpp_tables import ACTIVE_TEST, CONNECT, DELIVER, SUBMIT
from carrier.digest import check_login, client_digest, proves, server_digest
from carrier.errors import CarrierError
from carrier.model import BindMode, Mo, Outcome, Refusal, Report, ReportState, Role, Submit
from carrier.receipt import STATES, WORDS
from carrier.timetext import login_stamp
from carrier.wiretext import cut, number, octets

_HEADER = struct.Struct(">III")
_ANSWER_NARROW, _ANSWER_WIDE = struct.Struct(">IIIQB"), struct.Struct(">IIIQI")
_CONNECT = struct.Struct(">III6s16sBI")
_CONNECT_ANSWER_NARROW, _CONNECT_ANSWER_WIDE = struct.Struct(">IIIB16sB"), struct.Struct(">IIII16sB")
_REPORT_HEAD = struct.Struct(">Q7s10s10s")


@dataclass(frozen=True)
class CmppSettings(LinkStatuses):
    """What differs between two CMPP links. The fee fields say "free" unless set (2.10)."""

    service_id: str = ""
    """Service_Id of submits that name no service type."""
    fee_user_type: int = 2
    fee_terminal_id: str = ""
    fee_type: str = "01"
    fee_code: str = "000000"
    ascii_octets: int = 159
    """Longest content in format 0: gateways differ between 140, 159 and 160 (1.3)."""
    short_reports: bool = False
    """A 3.0 server sends reports in the 60-octet form of 2.0, as some in the field do."""
    clock_tolerance: float = 0.0
    """Seconds a login's time may differ from ours; 0 does not look (2.6)."""
    gateway: int = 10101
    """The gateway code in message ids a server makes (2.14)."""


class Cmpp(tables.CmppRules):
    """Both versions: 3.0 has wider numbers, four-octet results and a LinkID in place of the reserve."""

    settings_type = CmppSettings
    version: ClassVar[int]
    number_size: ClassVar[int]
    tail_size: ClassVar[int]
    _wide: ClassVar[bool]
    _submit_head: ClassVar[struct.Struct]
    _deliver_head: ClassVar[struct.Struct]

    def __init__(self, settings: CmppSettings | None = None, *, account: str = "") -> None:
        self.settings = settings or CmppSettings()
        super().__init__(self.settings)
        self._account = account
        self._head = lru_cache(maxsize=4096)(self._make_head)

    @property
    def longest_ascii(self) -> int:
        return self.settings.ascii_octets

    def for_account(self, account: str) -> Self:
        return type(self)(self.settings, account=account)

    def read_header(self, data: bytes, offset: int) -> tuple[int, int, int]:
        return _HEADER.unpack_from(data, offset)

    def message_id(self, serial: int, wall: float, request: bytes = b"") -> str:
        """Month, day, hour, minute, second, gateway code, serial in 64 bits (2.14)."""
        stamp = login_stamp(wall)
        parts = [stamp // 100**power % 100 for power in (4, 3, 2, 1, 0)]
        packed = 0
        for value, width in zip(parts, (4, 5, 5, 6, 6), strict=True):
            packed = packed << width | value
        return f"{packed << 38 | (self.settings.gateway & 0x3FFFFF) << 16 | serial & 0xFFFF:016x}"

    def group_id(self, message_id: str, index: int) -> str:
        """Counted on in the low 16 bits, which start again from 0 (2.12)."""
        first = number(message_id, 8, "Msg_Id")
        return f"{first & ~0xFFFF | (first + index) & 0xFFFF:016x}"

    # Login ------------------------------------------------------------------------------------------------------------

    def bind(self, credentials: Credentials, sequence: int, wall: float) -> bytes:
        account, stamp = octets(credentials.account, 6, "Source_Addr"), login_stamp(wall)
        digest = client_digest(account, 9, credentials.secret, stamp)
        return _CONNECT.pack(_CONNECT.size, CONNECT, sequence, account, digest, self.version, stamp)

    def read_bind(self, frame: bytes) -> BindRequest:
        if len(frame) != _CONNECT.size:
            raise CarrierError(f"CMPP_CONNECT has {_CONNECT.size} octets", min(len(frame), _CONNECT.size))
        _, _, sequence, account, digest, version, stamp = _CONNECT.unpack(frame)
        return BindRequest(cut(account), BindMode.TRANSCEIVER, version, digest, stamp, CONNECT, sequence)

    def check_bind(self, request: BindRequest, secret: str, wall: float) -> Refusal | None:
        refusal = check_login(request, 9, secret, self.settings.clock_tolerance, wall)
        version = Refusal.VERSION if request.version >= 0x30 and not self._wide else None
        return refusal or version

    def bind_answer(self, request: BindRequest, status: int, secret: str) -> bytes:
        layout = _CONNECT_ANSWER_WIDE if self._wide else _CONNECT_ANSWER_NARROW
        digest = bytes(16) if status else server_digest(status, 4 if self._wide else 1, request.proof, secret)
        return layout.pack(layout.size, CONNECT | ANSWER, request.sequence, status, digest, self.version)

    def read_bind_answer(self, frame: bytes) -> BindAnswer:
        """The length says which version's layout it is (2.5), whatever was asked for."""
        for layout in (_CONNECT_ANSWER_NARROW, _CONNECT_ANSWER_WIDE):
            if len(frame) == layout.size:
                _, _, _, status, digest, version = layout.unpack(frame)
                return BindAnswer(status, version, digest)
        raise CarrierError("CMPP_CONNECT_RESP has 30 or 33 octets", 0)

    def trusts(self, answer: BindAnswer, bind_frame: bytes, secret: str) -> bool | None:
        return proves(answer, bind_frame[18:34], secret)

    # Submit -----------------------------------------------------------------------------------------------------------

    def submit(self, submit: Submit, sequence: int) -> bytes:
        """One join of a cached head (everything but numbers and content) with what differs."""
        content = submit.content
        length = len(content)
        if length > (self.settings.ascii_octets if submit.data_coding == 0 else 140):
            raise CarrierError(
                f"Msg_Content: {length} octets are more than this format may have", self._submit_head.size
            )
        head = self._head(
            submit.part_total,
            submit.part_number,
            submit.wants_report,
            submit.priority,
            submit.service_type,
            submit.protocol_id,
            submit.udhi,
            submit.data_coding,
            submit.validity,
            submit.schedule,
            submit.source,
            1 + len(submit.more_destinations),
        )
        size = self.number_size
        numbers = octets(submit.destination, size, "Dest_terminal_Id").ljust(size, b"\0")
        if submit.more_destinations:
            more = (octets(one, size, "Dest_terminal_Id").ljust(size, b"\0") for one in submit.more_destinations)
            numbers += b"".join(more)
        link = octets(submit.link_id, self.tail_size, "LinkID").ljust(self.tail_size, b"\0")
        middle = bytes((0, length)) if self._wide else bytes((length,))
        total = 12 + len(head) + len(numbers) + len(middle) + length + len(link)
        return b"".join((_HEADER.pack(total, SUBMIT, sequence), head, numbers, middle, content, link))

    def _make_head(
        self,
        part_total: int,
        part_number: int,
        wants_report: bool,
        level: int,
        service: str,
        pid: int,
        udhi: bool,
        coding: int,
        validity: str,
        schedule: str,
        source: str,
        count: int,
    ) -> bytes:
        """Fields 1 to 19 of SUBMIT (2.9)."""
        own = self.settings
        if not 1 <= count <= 99:
            raise CarrierError("DestUsr_tl: 1 to 99", 12)
        fee: tuple[bytes | int, ...] = (octets(own.fee_terminal_id, self.number_size, "Fee_terminal_Id"),)
        try:
            return self._submit_head.pack(
                *(0, part_total, part_number, 1 if wants_report else 0, level),
                octets(service or own.service_id, 10, "Service_Id"),
                *(own.fee_user_type, *fee, *((0,) if self._wide else ()), pid, 1 if udhi else 0, coding),
                octets(self._account, 6, "Msg_src"),
                octets(own.fee_type, 2, "FeeType"),
                octets(own.fee_code, 6, "FeeCode"),
                octets(validity, 17, "ValId_Time"),
                octets(schedule, 17, "At_Time"),
                octets(source, 21, "Src_Id"),
                count,
            )
        except struct.error as error:
            raise CarrierError(f"CMPP_SUBMIT: {error}", 12) from None

    def read_submit(self, frame: bytes) -> Submit:
        head, size = self._submit_head, self.number_size
        start = 12 + head.size
        try:
            values = head.unpack_from(frame, 12)
            stop = start + values[-1] * size + (1 if self._wide else 0)
            length = frame[stop]
        except (struct.error, IndexError):
            raise self.explained(frame) from None
        if values[-1] == 0 or len(frame) != stop + 1 + length + self.tail_size:
            raise self.explained(frame)
        _, total, part, registered, level, service = values[:6]
        pid, udhi, coding = values[-10:-7]
        validity, schedule, source = values[-4:-1]
        numbers = [cut(frame[at : at + size]) for at in range(start, start + values[-1] * size, size)]
        return Submit(
            source=cut(source),
            destination=numbers[0],
            content=frame[stop + 1 : stop + 1 + length],
            data_coding=coding,
            udhi=udhi & 1 == 1,
            wants_report=registered == 1,
            priority=level,
            service_type=cut(service),
            validity=cut(validity),
            schedule=cut(schedule),
            protocol_id=pid,
            part_total=total,
            part_number=part,
            link_id=cut(frame[stop + 1 + length :]) if self._wide else "",
            more_destinations=tuple(numbers[1:]),
        )

    # Deliver ----------------------------------------------------------------------------------------------------------

    def deliver(self, item: Report | Mo, sequence: int) -> bytes:
        link = ""
        if isinstance(item, Report):
            own_id, destination, service, pid, udhi, coding = sequence, item.sender, "", 0, 0, 0
            source, registered, content = item.recipient, 1, self._report_content(item)
        else:
            own_id = number(item.message_id, 8, "Msg_Id") if item.message_id else sequence
            destination, service, pid, udhi, coding = (
                item.destination,
                item.service_type,
                item.protocol_id,
                0,
                item.data_coding,
            )
            source, registered, content, link = item.source, 0, item.content, item.link_id
            udhi = 1 if item.udhi else 0
        if len(content) > 255:
            raise CarrierError("Msg_Content: at most 255 octets", 12)
        try:
            head = self._deliver_head.pack(
                own_id,
                octets(destination, 21, "Dest_Id"),
                octets(service, 10, "Service_Id"),
                *(pid, udhi, coding),
                octets(source, self.number_size, "Src_terminal_Id"),
                *((0,) if self._wide else ()),
                *(registered, len(content)),
            )
        except struct.error as error:
            raise CarrierError(f"CMPP_DELIVER: {error}", 12) from None
        tail = octets(link, self.tail_size, "LinkID").ljust(self.tail_size, b"\0")
        total = 12 + len(head) + len(content) + len(tail)
        return b"".join((_HEADER.pack(total, DELIVER, sequence), head, content, tail))

    def _report_content(self, report: Report) -> bytes:
        size = 32 if self._wide and not self.settings.short_reports else 21
        return b"".join(
            (
                _REPORT_HEAD.pack(
                    number(report.message_id, 8, "Msg_Id"),
                    octets(report.stat or WORDS[report.state], 7, "Stat"),
                    octets(report.submitted, 10, "Submit_time"),
                    octets(report.done, 10, "Done_time"),
                ),
                octets(report.recipient, size, "Dest_terminal_Id").ljust(size, b"\0"),
                bytes(4),
            )
        )

    def read_deliver(self, frame: bytes) -> Report | Mo:
        head = self._deliver_head
        start = 12 + head.size
        try:
            values = head.unpack_from(frame, 12)
        except struct.error:
            raise self.explained(frame) from None
        stop = start + values[-1]
        if len(frame) != stop + self.tail_size:
            raise self.explained(frame)
        own_id, destination, service, pid, udhi, coding, source = values[:7]
        content = frame[start:stop]
        if values[-2]:
            return _report(content, cut(source), cut(destination), frame)
        return Mo(
            source=cut(source),
            destination=cut(destination),
            content=content,
            data_coding=coding,
            udhi=udhi & 1 == 1,
            message_id=f"{own_id:016x}",
            protocol_id=pid,
            service_type=cut(service),
            link_id=cut(frame[stop:]) if self._wide else "",
            raw=frame,
        )

    # Answers ----------------------------------------------------------------------------------------------------------

    def answer(self, request: bytes, status: int, message_id: str) -> bytes:
        _, command, sequence = _HEADER.unpack_from(request)
        if command == DELIVER:
            own_id = int.from_bytes(request[12:20], "big")
        elif command == SUBMIT:
            own_id = number(message_id, 8, "Msg_Id") if message_id else 0
        else:
            raise CarrierError("this request is answered by fields", 4)
        return self._result(command, sequence, own_id, status)

    def _result(self, command: int, sequence: int, own_id: int, status: int) -> bytes:
        layout = _ANSWER_WIDE if self._wide else _ANSWER_NARROW
        try:
            return layout.pack(layout.size, command | ANSWER, sequence, own_id, status)
        except struct.error:
            raise CarrierError(f"Result: {status} does not fit", 20) from None

    def read_answer(self, frame: bytes) -> tuple[int, str]:
        """The length says whether the result has one octet or four (2.12)."""
        for layout in (_ANSWER_NARROW, _ANSWER_WIDE):
            if len(frame) == layout.size:
                _, command, _, own_id, status = layout.unpack(frame)
                return status, f"{own_id:016x}" if command == SUBMIT | ANSWER and not status else ""
        raise CarrierError("an answer has 21 or 24 octets", 12)

    def unlisted_outcome(self, status: int) -> Outcome:
        """100 to 199 are the vendor's (2.12) and taken for temporary unless the link says otherwise (1.5)."""
        return Outcome.TEMPORARY if 100 <= status <= 199 else Outcome.PERMANENT

    # Control ----------------------------------------------------------------------------------------------------------

    def bare(self, command: int, sequence: int) -> bytes:
        return _HEADER.pack(12, command, sequence)

    def plain_answer(self, command: int, sequence: int) -> bytes:
        """The answer to a keep-alive has an octet of body (2.18)."""
        if command == ACTIVE_TEST:
            return _HEADER.pack(13, ACTIVE_TEST | ANSWER, sequence) + b"\0"
        return super().plain_answer(command, sequence)

    def refuse(self, command: int, sequence: int, status: int) -> bytes:
        """Only answers whose form carries a result; the others stay unanswered (2.1)."""
        if command in (SUBMIT, DELIVER):
            return self._result(command, sequence, 0, status)
        if command == CONNECT:
            layout = _CONNECT_ANSWER_WIDE if self._wide else _CONNECT_ANSWER_NARROW
            return layout.pack(layout.size, CONNECT | ANSWER, sequence, status, bytes(16), self.version)
        return b""


class Cmpp20(Cmpp):
    """Version 2.0; a client that announces 2.1 is served alike (same layouts)."""

    name = "cmpp20"
    codec: Codec = tables.codec(v3=False)
    version = 0x20
    number_size = 21
    tail_size = 8
    _wide = False
    _submit_head = struct.Struct(">QBBBB10sB21sBBB6s2s6s17s17s21sB")
    _deliver_head = struct.Struct(">Q21s10sBBB21sBB")


class Cmpp30(Cmpp):
    """Version 3.0; as a server it turns into 2.0 for a client that announces less (2.5)."""

    name = "cmpp30"
    codec: Codec = tables.codec(v3=True)
    version = 0x30
    number_size = 32
    tail_size = 20
    _wide = True
    _submit_head = struct.Struct(">QBBBB10sB32sBBBB6s2s6s17s17s21sB")
    _deliver_head = struct.Struct(">Q21s10sBBB32sBBB")

    def negotiated(self, role: Role, version: int) -> Dialect:
        if role is Role.SERVER and version < 0x30:
            return Cmpp20(self.settings, account=self._account)
        return self


def _report(content: bytes, recipient: str, sender: str, frame: bytes) -> Report:
    """60 octets in 2.0, 71 in 3.0, both in the field; otherwise the first 35 count (2.15). Shorter: an unreadable
    report.
    """
    if len(content) < _REPORT_HEAD.size:
        return Report("", ReportState.UNKNOWN, False, recipient=recipient, sender=sender, raw=frame)
    reported, stat_field, submitted, done = _REPORT_HEAD.unpack_from(content)
    stat = cut(stat_field).strip()
    state = STATES.get(stat.upper()) or tables.REPORT_WORDS.get(stat[:2], ReportState.UNDELIVERABLE)
    final = state not in (ReportState.ENROUTE, ReportState.ACCEPTED)
    error = "" if stat in STATES else stat
    return Report(
        f"{reported:016x}", state, final, stat, error, recipient, sender, cut(submitted), cut(done), "", frame
    )
