"""SGIP 1.2: the session side. The tables are in ``sgip12_tables``; figures in brackets are the wire reference's
clauses.

Who has something to send connects and binds: a provider to the gateway (login type 1) for messages, the gateway to the
provider's listener (login type 2) for reports and replies. The 12 octets of a submit's sequence are its message id.
"""

from __future__ import annotations

import hmac
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from carrier.dialect import (
    ANSWER,
    BindAnswer,
    BindRequest,
    Credentials,
    LinkStatuses,
)
from carrier.dialects.sgip12_tables import (
    BIND,
    CHECKUSER,
    CODEC,
    DELIVER,
    REPORT,
    SUBMIT,
    TRACE,
    SgipRules,
)
from carrier.errors import CarrierError
from carrier.model import BindMode, Mo, Refusal, Report, ReportState, Submit
from carrier.timetext import login_stamp, stamped_at
from carrier.wiretext import cut, number, octets

_HEADER = struct.Struct(">IIQI")
_ANSWER = struct.Struct(">IIQIB8x")
_BIND = struct.Struct(">B16s16s8x")
_SUBMIT_FRONT = struct.Struct(">21s21sB")
_SUBMIT_BACK = struct.Struct(">5s10sB6s6sBBB16s16sBBBBBI")
_DELIVER = struct.Struct(">21s21sBBBI")
_REPORT = struct.Struct(">12sB21sBB8s")
_WORD = 0xFFFFFFFF
_ID = re.compile("[0-9a-f]{24}")

_LOGIN_TYPES = {BindMode.TRANSMITTER: 1, BindMode.TRANSCEIVER: 1, BindMode.RECEIVER: 2}
_STATES = {0: ReportState.DELIVERED, 1: ReportState.ENROUTE, 2: ReportState.UNDELIVERABLE}


@dataclass(frozen=True)
class Sgip12Settings(LinkStatuses):
    """What differs between two SGIP links. The fee fields say "free" unless set (3.6)."""

    node_id: int = 0
    """Ours, in every sequence we start: ``3AAAAQQQQQ`` for a provider, as an unsigned number (3.3)."""
    corp_id: str = ""
    service_type: str = ""
    charge_number: str = "0" * 21
    fee_type: int = 1
    fee_value: str = "0"
    given_value: str = "0"
    agent_flag: int = 0
    country_prefix: str = "86"
    """Put before numbers of 11 digits that start with 1: without it a gateway answers 6 (3.4)."""
    ascii_octets: int = 159


class Sgip12(SgipRules):
    """Both directions. Roles are those of the bind: a gateway that brings reports is the client."""

    name = "sgip12"
    settings_type = Sgip12Settings
    codec = CODEC

    def __init__(self, settings: Sgip12Settings | None = None) -> None:
        self.settings = settings or Sgip12Settings()
        super().__init__(self.settings)
        self._back = lru_cache(maxsize=4096)(self._make_back)

    def with_sequence(self, fields: Mapping[str, object], sequence: int) -> Mapping[str, object]:
        words = {f"Sequence Number {place}": sequence >> shift & _WORD for place, shift in ((1, 64), (2, 32), (3, 0))}
        return {**fields, **words}

    def read_header(self, data: bytes, offset: int) -> tuple[int, int, int]:
        length, command, high, low = _HEADER.unpack_from(data, offset)
        return length, command, high << 32 | low

    def sequence_base(self, wall: float) -> int:
        return self.settings.node_id << 64 | login_stamp(wall) << 32

    def message_id(self, serial: int, wall: float, request: bytes = b"") -> str:
        """The request's own sequence (3.3); without one, a sequence no request has."""
        return request[8:20].hex() or f"{serial:024x}"

    @property
    def longest_ascii(self) -> int:
        return self.settings.ascii_octets

    def submitted_at(self, message_id: str, wall: float) -> float | None:
        """The second word of a sequence is MMDDhhmmss of the submit (3.3)."""
        return stamped_at(int(message_id[8:16], 16), wall) if _ID.fullmatch(message_id) else None

    # Login ------------------------------------------------------------------------------------------------------------

    def bind(self, credentials: Credentials, sequence: int, wall: float) -> bytes:
        body = _BIND.pack(
            _LOGIN_TYPES[credentials.mode],
            octets(credentials.account, 16, "Login Name"),
            octets(credentials.secret, 16, "Login Password"),
        )
        return _head(20 + len(body), BIND, sequence) + body

    def read_bind(self, frame: bytes) -> BindRequest:
        if len(frame) != 20 + _BIND.size:
            raise CarrierError("BIND has 61 octets", min(len(frame), 61))
        login_type, name, password = _BIND.unpack_from(frame, 20)
        mode = BindMode.RECEIVER if login_type == 2 else BindMode.TRANSMITTER
        _, _, sequence = self.read_header(frame, 0)
        return BindRequest(cut(name), mode, login_type, cut(password).encode("latin-1"), 0, BIND, sequence)

    def check_bind(self, request: BindRequest, secret: str, wall: float) -> Refusal | None:
        if not hmac.compare_digest(request.proof, secret.encode()):
            return Refusal.CREDENTIALS
        return None if request.version in (1, 2) else Refusal.VERSION

    def bind_answer(self, request: BindRequest, status: int, secret: str) -> bytes:
        return _result(BIND, request.sequence, status)

    def read_bind_answer(self, frame: bytes) -> BindAnswer:
        return BindAnswer(self.read_answer(frame)[0], 1)

    # Submit -----------------------------------------------------------------------------------------------------------

    def submit(self, submit: Submit, sequence: int) -> bytes:
        content, count = submit.content, 1 + len(submit.more_destinations)
        if len(content) > (self.settings.ascii_octets if submit.data_coding == 0 else 140):
            raise CarrierError(f"MessageContent: {len(content)} octets are more than this coding may have", 20)
        if count > 100:
            raise CarrierError("UserCount: 1 to 100", 62)
        front = _SUBMIT_FRONT.pack(
            octets(submit.source, 21, "SPNumber"), octets(self.settings.charge_number, 21, "ChargeNumber"), count
        )
        numbers = self._phone(submit.destination)
        if submit.more_destinations:
            numbers += b"".join(map(self._phone, submit.more_destinations))
        back = self._back(
            submit.service_type,
            bool(submit.link_id),
            submit.priority,
            submit.validity,
            submit.schedule,
            submit.wants_report,
            submit.protocol_id,
            submit.udhi,
            submit.data_coding,
            len(content),
        )
        link = octets(submit.link_id, 8, "Reserve").ljust(8, b"\0")
        total = 20 + len(front) + len(numbers) + len(back) + len(content) + 8
        return b"".join((_head(total, SUBMIT, sequence), front, numbers, back, content, link))

    def _make_back(
        self,
        service: str,
        answers: bool,
        priority: int,
        validity: str,
        schedule: str,
        wants_report: bool,
        pid: int,
        udhi: bool,
        coding: int,
        length: int,
    ) -> bytes:
        """Fields 5 to 20 of SUBMIT (3.6). ReportFlag 0 would mean reports of failures only: 1 or never."""
        own = self.settings
        if not 0 <= priority <= 9:
            raise CarrierError("Priority: 0 to 9", 20)
        try:
            return _SUBMIT_BACK.pack(
                octets(own.corp_id, 5, "CorpId"),
                octets(service or own.service_type, 10, "ServiceType"),
                own.fee_type,
                octets(own.fee_value, 6, "FeeValue"),
                octets(own.given_value, 6, "GivenValue"),
                *(own.agent_flag, 0 if answers else 2, priority),
                octets(validity, 16, "ExpireTime"),
                octets(schedule, 16, "ScheduleTime"),
                *(1 if wants_report else 2, pid, 1 if udhi else 0, coding, 0, length),
            )
        except struct.error as error:
            raise CarrierError(f"SUBMIT: {error}", 20) from None

    def _phone(self, value: str) -> bytes:
        if len(value) == 11 and value[0] == "1":
            value = self.settings.country_prefix + value
        return octets(value, 21, "UserNumber").ljust(21, b"\0")

    def read_submit(self, frame: bytes) -> Submit:
        try:
            source, _, count = _SUBMIT_FRONT.unpack_from(frame, 20)
            back = 63 + 21 * count
            values = _SUBMIT_BACK.unpack_from(frame, back)
        except struct.error:
            raise self.explained(frame) from None
        start = back + _SUBMIT_BACK.size
        stop = start + values[-1]
        if count == 0 or len(frame) != stop + 8:
            raise self.explained(frame)
        _, service, _, _, _, _, _, priority, validity, schedule, report_flag, pid, udhi, coding, _, _ = values
        numbers = [cut(frame[at : at + 21]) for at in range(63, back, 21)]
        return Submit(
            source=cut(source),
            destination=numbers[0],
            content=frame[start:stop],
            data_coding=coding,
            udhi=udhi & 1 == 1,
            wants_report=report_flag in (1, 3),
            priority=priority,
            service_type=cut(service),
            validity=cut(validity),
            schedule=cut(schedule),
            protocol_id=pid,
            link_id=cut(frame[stop:]),
            more_destinations=tuple(numbers[1:]),
        )

    # Deliver and report -----------------------------------------------------------------------------------------------

    def deliver(self, item: Report | Mo, sequence: int) -> bytes:
        if isinstance(item, Report):
            return self._write_report(item, sequence)
        if len(item.content) > 2048:
            raise CarrierError("MessageContent: at most 2048 octets", 20)
        try:
            head = _DELIVER.pack(
                self._phone(item.source),
                octets(item.destination, 21, "SPNumber"),
                *(item.protocol_id, 1 if item.udhi else 0, item.data_coding, len(item.content)),
            )
        except struct.error as error:
            raise CarrierError(f"DELIVER: {error}", 20) from None
        body = b"".join((head, item.content, octets(item.link_id, 8, "Reserve").ljust(8, b"\0")))
        return _head(20 + len(body), DELIVER, sequence) + body

    def _write_report(self, report: Report, sequence: int) -> bytes:
        state = {ReportState.DELIVERED: 0, ReportState.ENROUTE: 1, ReportState.ACCEPTED: 1}.get(report.state, 2)
        error = 0
        if state == 2 and report.error:
            if not (report.error.isascii() and report.error.isdecimal() and len(report.error) <= 3):
                raise CarrierError("ErrorCode: 0 to 255", 66)
            error = min(int(report.error), 255)
        reported = number(report.message_id, 12, "SubmitSequenceNumber").to_bytes(12, "big")
        body = _REPORT.pack(reported, 0, self._phone(report.recipient), state, error, b"")
        return _head(20 + len(body), REPORT, sequence) + body

    def read_deliver(self, frame: bytes) -> Report | Mo:
        if frame[7] == REPORT:
            if len(frame) != 20 + _REPORT.size:
                raise CarrierError("REPORT has 64 octets", min(len(frame), 64))
            reported, _, recipient, number_of_state, error, _ = _REPORT.unpack_from(frame, 20)
            state = _STATES.get(number_of_state, ReportState.UNKNOWN)
            final = state is not ReportState.ENROUTE
            stat, code = str(number_of_state), str(error) if error else ""
            return Report(reported.hex(), state, final, stat, code, cut(recipient), raw=frame)
        try:
            source, destination, pid, udhi, coding, length = _DELIVER.unpack_from(frame, 20)
        except struct.error:
            raise self.explained(frame) from None
        start = 20 + _DELIVER.size
        if len(frame) != start + length + 8:
            raise self.explained(frame)
        return Mo(
            source=cut(source),
            destination=cut(destination),
            content=frame[start : start + length],
            data_coding=coding,
            udhi=udhi & 1 == 1,
            message_id=frame[8:20].hex(),
            protocol_id=pid,
            link_id=cut(frame[start + length :]),
            raw=frame,
        )

    # Answers ----------------------------------------------------------------------------------------------------------

    def answer(self, request: bytes, status: int, message_id: str) -> bytes:
        """The request's own sequence is the id: ``message_id`` is not written."""
        _, command, sequence = self.read_header(request, 0)
        if command in (TRACE, CHECKUSER):
            raise CarrierError("this request is answered by fields", 4)
        return _result(command, sequence, status)

    def read_answer(self, frame: bytes) -> tuple[int, str]:
        if len(frame) != 29:
            raise CarrierError("an answer has 29 octets", min(len(frame), 29))
        status = frame[20]
        return status, frame[8:20].hex() if frame[7] == SUBMIT and not status else ""

    # Control ----------------------------------------------------------------------------------------------------------

    def bare(self, command: int, sequence: int) -> bytes:
        return _head(20, command, sequence)

    def refuse(self, command: int, sequence: int, status: int) -> bytes:
        return b"" if command in (TRACE, CHECKUSER) else _result(command, sequence, status)


def _head(length: int, command: int, sequence: int) -> bytes:
    return _HEADER.pack(length, command, sequence >> 32, sequence & _WORD)


def _result(command: int, sequence: int, status: int) -> bytes:
    if not 0 <= status <= 255:
        raise CarrierError(f"Result: {status} does not fit", 20)
    return _ANSWER.pack(29, command | ANSWER, sequence >> 32, sequence & _WORD, status)
