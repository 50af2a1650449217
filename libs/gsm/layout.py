"""Transfer PDUs to octets and back, by one table of parts a record: strict when writing, lenient when reading.

Reading raises `GsmError` only where octets are missing or the type is another; reserved values, odd digits and octets
after the end are taken as they come.
"""

from collections.abc import Callable
from typing import Any, Final

from gsm.address import Address, decode_address, encode_address
from gsm.faults import GsmError
from gsm.pdu import MTI, TO_CENTRE, TO_PHONE, Command, Deliver, DeliverReport, Pdu, StatusReport, Submit, SubmitReport
from gsm.reader import Reader
from gsm.times import Timestamp, decode_timestamp, encode_timestamp
from gsm.userdata import MOST_OCTETS, octets_of_length

# Bits of the first octet, after TP-MTI (clause 9.2.2; figure of each PDU).
FLAGS: Final[dict[type[Pdu], dict[str, int]]] = {
    Deliver: {"tp_mms": 2, "tp_lp": 3, "tp_sri": 5, "tp_udhi": 6, "tp_rp": 7},
    Submit: {"tp_rd": 2, "tp_srr": 5, "tp_udhi": 6, "tp_rp": 7},
    StatusReport: {"tp_mms": 2, "tp_lp": 3, "tp_srq": 5, "tp_udhi": 6},
    DeliverReport: {"tp_udhi": 6},
    SubmitReport: {"tp_udhi": 6},
    Command: {"tp_srr": 5, "tp_udhi": 6},
}

# What follows the first octet, in order.
PARTS: Final[dict[type[Pdu], tuple[str, ...]]] = {
    Deliver: ("tp_oa", "tp_pid", "tp_dcs", "tp_scts", "tp_ud"),
    Submit: ("tp_mr", "tp_da", "tp_pid", "tp_dcs", "tp_vp", "tp_ud"),
    StatusReport: ("tp_mr", "tp_ra", "tp_scts", "tp_dt", "tp_st", "tp_pi", "optional"),
    DeliverReport: ("tp_fcs", "tp_pi", "optional"),
    SubmitReport: ("tp_fcs", "tp_pi", "tp_scts", "optional"),
    Command: ("tp_mr", "tp_pid", "tp_ct", "tp_mn", "tp_da", "tp_cd"),
}

# TP-VPF (clause 9.2.3.3) and the octets of TP-VP each announces.
_NO_VP, _ENHANCED, _RELATIVE, _ABSOLUTE = 0, 1, 2, 3


def encode(pdu: Pdu) -> bytes:
    """The octets of a TPDU. Raises `GsmError` naming the field that is out of range or contradicts another."""
    kind = type(pdu)
    first = MTI[kind]
    for name, bit in FLAGS[kind].items():
        first |= _ranged(getattr(pdu, name), 1, name) << bit
    out = bytearray()
    for name in PARTS[kind]:
        out += _WRITERS.get(name, _write_octet)(pdu, name)
    if isinstance(pdu, Submit):
        first |= validity_format(pdu.tp_vp) << 3
    return bytes((first,)) + bytes(out)


def decode(octets: bytes, *, to_phone: bool, error: bool | None = None, at: int = 0) -> tuple[Pdu, bytes]:
    """(the TPDU, octets after its end). `to_phone` is its direction; `at` is added to the offsets of errors.

    `error` says whether a report travelled in an RP-ERROR and so has a TP-FCS; None guesses by its first octet, because
    a cause is 0x80 or above and parameter indicators with the extension bit are not in use.
    """
    reader = Reader(octets)
    try:
        return _decode(reader, to_phone, error), octets[reader.at :]
    except GsmError as fault:
        raise GsmError(fault.code, fault.at + at, fault.field) from None


def _decode(reader: Reader, to_phone: bool, error: bool | None) -> Pdu:
    first = reader.octet("TP-MTI")
    kind = (TO_PHONE if to_phone else TO_CENTRE).get(first & 3)
    if kind is None:
        raise GsmError("reserved_type", 0, "TP-MTI")
    fields: dict[str, Any] = {name: first >> bit & 1 for name, bit in FLAGS[kind].items()}
    if kind is Submit:
        fields["tp_vp"] = first >> 3 & 3
    if "tp_fcs" in PARTS[kind]:
        fields["tp_fcs"] = error
    for name in PARTS[kind]:
        _READERS.get(name, _read_octet)(reader, fields, name)
    return kind(**fields)


def validity_format(validity: int | Timestamp | bytes | None) -> int:
    """TP-VPF of a TP-VP."""
    if validity is None:
        return _NO_VP
    if isinstance(validity, int):
        return _RELATIVE
    return _ABSOLUTE if isinstance(validity, Timestamp) else _ENHANCED


def _ranged(value: int, most: int, name: str) -> int:
    if not 0 <= value <= most:
        raise GsmError("field_range", 0, wire_name(name))
    return value


def wire_name(name: str) -> str:
    """`tp_da` as the standard writes it: TP-DA."""
    return name.upper().replace("_", "-")


def _write_octet(pdu: Pdu, name: str) -> bytes:
    return bytes((_ranged(getattr(pdu, name), 0xFF, name),))


def _read_octet(reader: Reader, fields: dict[str, Any], name: str) -> None:
    fields[name] = reader.octet(wire_name(name))


def _write_address(pdu: Pdu, name: str) -> bytes:
    address: Address = getattr(pdu, name)
    return encode_address(address)


def _read_address(reader: Reader, fields: dict[str, Any], name: str) -> None:
    fields[name] = decode_address(reader, wire_name(name))


def _write_time(pdu: Pdu, name: str) -> bytes:
    time: Timestamp = getattr(pdu, name)
    return encode_timestamp(time)


def _read_time(reader: Reader, fields: dict[str, Any], name: str) -> None:
    fields[name] = decode_timestamp(reader.take(7, wire_name(name)))


def _write_validity(pdu: Pdu, name: str) -> bytes:
    validity: int | Timestamp | bytes | None = getattr(pdu, name)
    if validity is None:
        return b""
    if isinstance(validity, int):
        return bytes((_ranged(validity, 0xFF, name),))
    if isinstance(validity, Timestamp):
        return encode_timestamp(validity)
    if len(validity) != 7:
        raise GsmError("field_range", 0, wire_name(name))
    return validity


def _read_validity(reader: Reader, fields: dict[str, Any], name: str) -> None:
    form = fields[name]
    if form == _NO_VP:
        fields[name] = None
    elif form == _RELATIVE:
        fields[name] = reader.octet(wire_name(name))
    else:
        octets = reader.take(7, wire_name(name))
        fields[name] = decode_timestamp(octets) if form == _ABSOLUTE else octets


def _write_user_data(pdu: Pdu, name: str) -> bytes:
    length = _ranged(getattr(pdu, "tp_udl"), 0xFF, "tp_udl")  # noqa: B009 - not every record has it
    dcs: int = getattr(pdu, "tp_dcs", None) or 0
    octets: bytes = getattr(pdu, name)
    if len(octets) != octets_of_length(length, dcs):
        raise GsmError("length_mismatch", 0, "TP-UDL")
    if len(octets) > MOST_OCTETS:
        raise GsmError("user_data_too_long", MOST_OCTETS, "TP-UD")
    return bytes((length,)) + octets


def _read_user_data(reader: Reader, fields: dict[str, Any], name: str) -> None:
    fields["tp_udl"] = reader.octet("TP-UDL")
    fields[name] = reader.take(octets_of_length(fields["tp_udl"], fields.get("tp_dcs") or 0), "TP-UD")


def _write_command_data(pdu: Pdu, name: str) -> bytes:
    octets: bytes = getattr(pdu, name)
    if len(octets) != getattr(pdu, "tp_cdl", None) or len(octets) > 146:
        raise GsmError("length_mismatch", 0, "TP-CDL")
    return bytes((len(octets),)) + octets


def _read_command_data(reader: Reader, fields: dict[str, Any], name: str) -> None:
    fields["tp_cdl"] = reader.octet("TP-CDL")
    fields[name] = reader.take(fields["tp_cdl"], "TP-CD")


def _write_cause(pdu: Pdu, name: str) -> bytes:
    cause: int | None = getattr(pdu, name)
    return b"" if cause is None else bytes((_ranged(cause, 0xFF, name),))


def _read_cause(reader: Reader, fields: dict[str, Any], name: str) -> None:
    error = fields[name]
    if error is None:
        error = reader.left() > 0 and reader.data[reader.at] >= 0x80
    fields[name] = reader.octet(wire_name(name)) if error else None


def _write_indicator(pdu: Pdu, name: str) -> bytes:
    """TP-PI: bit 7 of each octet says that another follows, so an integer holds them all, the first highest."""
    indicator: int | None = getattr(pdu, name)
    if indicator is None:
        return b""
    octets = indicator.to_bytes(max(1, (indicator.bit_length() + 7) // 8), "big") if indicator >= 0 else b""
    if [bool(octet & 0x80) for octet in octets] != [True] * (len(octets) - 1) + [False]:
        raise GsmError("field_range", 0, wire_name(name))
    return octets


def _read_indicator(reader: Reader, fields: dict[str, Any], name: str) -> None:
    if not reader.left() and "tp_st" in fields:  # clause 9.2.2.3: a status report may end here
        return
    start = reader.at
    while reader.octet(wire_name(name)) & 0x80:
        pass
    fields[name] = int.from_bytes(reader.data[start : reader.at], "big")


def _write_optional(pdu: Pdu, name: str) -> bytes:
    """TP-PID, TP-DCS and TP-UD as the first octet of TP-PI announces them (clause 9.2.3.27)."""
    del name
    announced = _write_indicator(pdu, "tp_pi")[:1] or b"\0"
    out = b""
    for bit, field in enumerate(_OPTIONAL):
        present = getattr(pdu, field) is not None
        if present is not bool(announced[0] >> bit & 1):
            raise GsmError("field_unknown" if present else "field_missing", 0, wire_name(field))
        if present:
            out += _write_user_data(pdu, "tp_ud") if field == "tp_udl" else _write_octet(pdu, field)
    return out


def _read_optional(reader: Reader, fields: dict[str, Any], name: str) -> None:
    del name
    indicator: int = fields.get("tp_pi") or 0
    first = indicator >> 8 * (max(0, indicator.bit_length() - 1) // 8)
    for bit, field in enumerate(_OPTIONAL):
        if first >> bit & 1:
            (_read_user_data if field == "tp_udl" else _read_octet)(reader, fields, "tp_ud" if bit == 2 else field)


_OPTIONAL: Final = ("tp_pid", "tp_dcs", "tp_udl")

_WRITERS: Final[dict[str, Callable[[Pdu, str], bytes]]] = {
    **dict.fromkeys(("tp_oa", "tp_da", "tp_ra"), _write_address),
    **dict.fromkeys(("tp_scts", "tp_dt"), _write_time),
    "tp_vp": _write_validity,
    "tp_ud": _write_user_data,
    "tp_cd": _write_command_data,
    "tp_fcs": _write_cause,
    "tp_pi": _write_indicator,
    "optional": _write_optional,
}
_READERS: Final[dict[str, Callable[[Reader, dict[str, Any], str], None]]] = {
    **dict.fromkeys(("tp_oa", "tp_da", "tp_ra"), _read_address),
    **dict.fromkeys(("tp_scts", "tp_dt"), _read_time),
    "tp_vp": _read_validity,
    "tp_ud": _read_user_data,
    "tp_cd": _read_command_data,
    "tp_fcs": _read_cause,
    "tp_pi": _read_indicator,
    "optional": _read_optional,
}
