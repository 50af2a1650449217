"""SMPP 3.4 octets of the fast paths: what a message is written from, and what it is read into.

No state and no session; ``smpp34`` decides, this file knows where the octets are (clauses 4.4, 5.2 and 5.3, appendix B).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from struct import Struct

from carrier.errors import CarrierError
from carrier.ids import LONGEST_ID
from carrier.layout import LONGEST_READ, Fields
from carrier.model import Report, ReportState
from carrier.receipt import Receipt, state_of
from carrier.tlv import scan
from carrier.wiretext import octets

RECEIPT, INTERMEDIATE, UDHI = 0x04, 0x20, 0x40
TYPE = 0x3C
MESSAGE_PAYLOAD, RECEIPTED_ID, MESSAGE_STATE = 0x0424, 0x001E, 0x0427
SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x020C, 0x020E, 0x020F
INTERFACE_VERSION = 0x0210
STATE_NUMBERS = {
    1: ReportState.ENROUTE,
    2: ReportState.DELIVERED,
    3: ReportState.EXPIRED,
    4: ReportState.DELETED,
    5: ReportState.UNDELIVERABLE,
    6: ReportState.ACCEPTED,
    7: ReportState.UNKNOWN,
    8: ReportState.REJECTED,
}
NUMBERS = {state: number for number, state in STATE_NUMBERS.items()}

Split = tuple[str, str, str, int, int, int, str, str, int, int, bytes, Mapping[int, bytes]]
NO_TLVS: Mapping[int, bytes] = {}
TLV_U8, TLV_U16 = Struct(">HHB"), Struct(">HHH")
_TLV_HEAD = Struct(">HH")
_STATE_TLVS = {state: b"\0" + TLV_U8.pack(MESSAGE_STATE, 1, number) for state, number in NUMBERS.items()}
"""What follows the id of a receipt: its NUL, and the state."""


def cstr(value: str, most: int, name: str) -> bytes:
    """A C-octet string of at most ``most`` octets before its NUL."""
    return octets(value, most, name) + b"\0"


def front(service_type: str, source: str, source_kind: bytes, destination_kind: bytes) -> bytes:
    """From the body's start to the destination's digits. A sender with letters has TON 5, NPI 0 (reference 5.9)."""
    kind = source_kind if source.isdecimal() or not source else b"\x05\x00"
    service = octets(service_type, 5, "service_type") if service_type else b""
    return b"%b\0%b%b\0%b" % (service, kind, octets(source, 20, "source_addr"), destination_kind)


prefix = lru_cache(maxsize=4096)(front)
"""`front`, remembered: for submits, whose senders are few."""


@lru_cache(maxsize=4096)
def flags(
    esm: int, pid: int, priority: int, schedule: str, validity: str, registered: int, coding: int, length: int
) -> bytes:
    """From the NUL of the destination to sm_length."""
    if not 0 <= priority <= 3:
        raise CarrierError("priority_flag: 0 to 3", 16)
    try:
        fixed = bytes((0, esm, pid, priority)), bytes((registered, 0, coding, 0, length))
    except ValueError:
        raise CarrierError("esm_class, protocol_id and data_coding: 0 to 255", 16) from None
    times = when(schedule, "schedule_delivery_time") + when(validity, "validity_period")
    return fixed[0] + times + fixed[1]


def when(value: str, name: str) -> bytes:
    """An absolute or relative time, or none (clause 7.1.1)."""
    if len(value) not in (0, 16):
        raise CarrierError(f"{name}: must have 16 characters", 16)
    return cstr(value, 16, name)


def tlv(tag: int, value: bytes) -> bytes:
    """One optional parameter."""
    return tag.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value


def receipted(message_id: str, state: ReportState) -> bytes:
    """The optional parameters of a receipt (clause 5.3.2.12 and 5.3.2.35)."""
    named = octets(message_id, 64, "receipted_message_id")
    return _TLV_HEAD.pack(RECEIPTED_ID, len(named) + 1) + named + _STATE_TLVS[state]


NO_RECEIPT = Receipt("", "", "", "", "", "")


def read_report(receipt: Receipt, tlvs: Mapping[int, bytes], source: str, destination: str, frame: bytes) -> Report:
    """The parameters receipted_message_id and message_state win over the text (reference 5.14)."""
    message_id, submitted, done, stat, error, text = receipt
    state = None
    if tlvs:
        named = tlvs.get(RECEIPTED_ID)
        if named:
            message_id = named.split(b"\0", 1)[0].decode("latin-1") or message_id
        number = tlvs.get(MESSAGE_STATE)
        if number:
            state = STATE_NUMBERS.get(number[0])
    if state is None:
        state = state_of(stat) if stat else ReportState.UNKNOWN
    final = state is not ReportState.ENROUTE
    if len(message_id) > LONGEST_ID:
        message_id = ""  # no answer ever gave such an id; the raw frame has it
    return Report(message_id, state, final, stat, error, source, destination, submitted, done, text, frame)


def sar(tlvs: Mapping[int, bytes]) -> tuple[int, int, int]:
    """Total, number, reference; all three parameters must be there, otherwise none counts (reference 5.13)."""
    reference, total, number = tlvs.get(SAR_REFERENCE), tlvs.get(SAR_TOTAL), tlvs.get(SAR_NUMBER)
    if not (reference and total and number):
        return 1, 1, 0
    return total[0], number[0], int.from_bytes(reference, "big")


def listed(fields: Fields) -> list[str]:
    """The numbers of a submit_multi; a distribution list is the carrier's own matter."""
    numbers = [one["destination_addr"] for one in fields["dest_address"] if one["dest_flag"] == 1]
    if not numbers:
        raise CarrierError("dest_address: no number, and distribution lists are not kept here", 16)
    return numbers


def content_of(fields: Fields) -> bytes:
    """Content of a decoded message, wherever it travels."""
    payload = fields.get("message_payload", "")
    return bytes.fromhex(fields.get("short_message") or (payload if isinstance(payload, str) else payload[-1]))


def data_sm_tlvs(frame: bytes) -> Mapping[int, bytes]:
    """Optional parameters of a data_sm: after three strings, their types and three octets."""
    service = frame.index(0, 16)
    source = frame.index(0, service + 3)
    destination = frame.index(0, source + 3)
    return scan(frame, destination + 4)


_LATEST_CONTENT = 16 + LONGEST_READ + 17
"""Where content starts at the latest: the five strings together are allowed what the exact path allows one (they need 169)."""


def split(frame: bytes) -> Split | None:
    """submit_sm and deliver_sm in one pass. None when it does not fit: the exact path says why."""
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
        return None
    end = len(frame)
    if stop > end or start > _LATEST_CONTENT:
        return None
    content = frame[start:stop]
    tlvs = NO_TLVS
    if stop < end:
        tlvs = scan(frame, stop)
        if not content:
            content = tlvs.get(MESSAGE_PAYLOAD, b"")
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
