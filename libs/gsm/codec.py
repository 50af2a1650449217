"""TPDUs as dictionaries under the standard's own field names, for people and tests: `TP-DA`, `TP-VPF`, `TP-UD`.

Numbers of the wire are numbers, addresses `{"number", "TON", "NPI"}`, times ISO 8601, octets hexadecimal. Decoding adds
what the octets mean (`UDH`, `text`); encoding takes either `TP-UD` with `TP-UDL`, or `text` and `UDH`. Decoded fields
encode to the same octets.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from gsm.address import Address, address_of
from gsm.faults import GsmError
from gsm.frame import Frame, decode_frame, encode_frame, octets_of
from gsm.layout import FLAGS, PARTS, validity_format, wire_name
from gsm.pdu import MTI, TO_PHONE, Command, Deliver, DeliverReport, Pdu, StatusReport, Submit, SubmitReport
from gsm.times import Timestamp, timestamp_of
from gsm.userdata import decode_user_data, encode_user_data

KINDS: Final[dict[str, type[Pdu]]] = {
    "gsm-submit": Submit,
    "gsm-deliver": Deliver,
    "gsm-status": StatusReport,
    "gsm-deliver-report": DeliverReport,
    "gsm-submit-report": SubmitReport,
    "gsm-command": Command,
}

_DERIVED: Final = ("TP-MTI", "TP-VPF", "trailing")


def decode_fields(kind: str, octets: bytes) -> dict[str, Any]:
    """Fields of a PDU mode frame (service centre first). Raises `GsmError`, also when it is of another kind."""
    expected = KINDS[kind]
    frame = decode_frame(octets, to_phone=expected in TO_PHONE.values())
    pdu = frame.pdu
    if not isinstance(pdu, expected):
        raise GsmError("wrong_type", 1 if frame.centre is None else octets[0] + 1, "TP-MTI")
    fields: dict[str, Any] = {"SCA": _address_fields(frame.centre) if frame.centre else None, "TP-MTI": MTI[expected]}
    for name in (*FLAGS[expected], *_names(expected)):
        if name == "tp_vp" and isinstance(pdu, Submit):
            fields["TP-VPF"] = validity_format(pdu.tp_vp)
        value = getattr(pdu, name)
        if value is not None and not (name == "tp_ud" and pdu.tp_udl is None):  # type: ignore[union-attr]
            fields[wire_name(name)] = _shown(value)
    if not isinstance(pdu, Command) and pdu.tp_udl is not None:
        fields |= _meaning(pdu.tp_udl, pdu.tp_ud, pdu.tp_dcs or 0, has_header=bool(pdu.tp_udhi))
    if frame.trailing:
        fields["trailing"] = frame.trailing.hex().upper()
    return fields


def encode_fields(kind: str, fields: Mapping[str, Any]) -> bytes:
    """Octets of a frame from its fields; those with a default may be left out. Raises `GsmError` naming the field."""
    expected = KINDS[kind]
    names = (*FLAGS[expected], *_names(expected))
    known = {wire_name(name): name for name in names}
    for given in fields:
        if given not in known and given not in (*_DERIVED, "SCA", "UDH", "text"):
            raise GsmError("field_unknown", 0, given)
    if fields.get("TP-MTI", MTI[expected]) != MTI[expected]:
        raise GsmError("wrong_type", 0, "TP-MTI")
    values = {name: _parse(name, field, fields[field]) for field, name in known.items() if field in fields}
    if expected is not Command:
        _take_text(values, fields)
    for field in msgspec.structs.fields(expected):
        if field.required and field.name not in values:
            raise GsmError("field_missing", 0, wire_name(field.name))
    build: Callable[..., Pdu] = expected
    pdu = build(**values)
    if isinstance(pdu, Submit) and fields.get("TP-VPF", validity_format(pdu.tp_vp)) != validity_format(pdu.tp_vp):
        raise GsmError("field_range", 0, "TP-VPF")
    centre = None if fields.get("SCA") is None else _address(fields["SCA"], "SCA")
    return encode_frame(Frame(pdu, centre))


def _names(kind: type[Pdu]) -> list[str]:
    """Field names in wire order."""
    names: list[str] = []
    for part in PARTS[kind]:
        if part == "optional":
            names += ["tp_pid", "tp_dcs", "tp_udl", "tp_ud"]
        elif part in ("tp_ud", "tp_cd"):
            names += ["tp_udl" if part == "tp_ud" else "tp_cdl", part]
        else:
            names.append(part)
    return names


def _meaning(length: int, octets: bytes, dcs: int, *, has_header: bool) -> dict[str, Any]:
    found = decode_user_data(length, octets, dcs, has_header=has_header)
    meaning: dict[str, Any] = {}
    if found.header is not None:
        meaning["UDH"] = [{"IEI": iei, "IED": value.hex().upper()} for iei, value in found.header.elements]
    if found.text is not None:
        meaning["text"] = found.text
    return meaning


def _take_text(values: dict[str, Any], fields: Mapping[str, Any]) -> None:
    """Fill TP-UDL, TP-UD and TP-UDHI from `text` and `UDH`, or see that they agree with those given."""
    if "tp_ud" in values:
        if "tp_udl" not in values:
            raise GsmError("field_missing", 0, "TP-UDL")
        has_header = bool(values.get("tp_udhi"))
        meaning = _meaning(values["tp_udl"], values["tp_ud"], values.get("tp_dcs") or 0, has_header=has_header)
        if any(fields[name] != meaning.get(name) for name in ("text", "UDH") if name in fields):
            raise GsmError("user_data_conflict", 0, "TP-UD")
        return
    if "text" not in fields and "UDH" not in fields:
        return
    elements = b"".join(_element(element) for element in _list(fields.get("UDH", [])))
    content = fields.get("text", "")
    if not isinstance(content, str):
        raise GsmError("field_range", 0, "text")
    values["tp_udl"], values["tp_ud"] = encode_user_data(content, values.get("tp_dcs") or 0, elements)
    values["tp_udhi"] = int(bool(elements))


def _element(element: Any) -> bytes:
    if not isinstance(element, Mapping) or set(element) != {"IEI", "IED"}:
        raise GsmError("field_range", 0, "UDH")
    value = _octets(element["IED"], "UDH")
    identifier = _number(element["IEI"], "UDH")
    if not 0 <= identifier <= 0xFF or len(value) > 0xFF:
        raise GsmError("field_range", 0, "UDH")
    return bytes((identifier, len(value))) + value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise GsmError("field_range", 0, "UDH")
    return value


def _shown(value: object) -> Any:
    if isinstance(value, Address):
        return _address_fields(value)
    if isinstance(value, Timestamp):
        return str(value)
    return value.hex().upper() if isinstance(value, bytes) else value


def _address_fields(address: Address) -> dict[str, Any]:
    return {"number": address.number, "TON": address.ton, "NPI": address.npi}


def _address(value: Any, field: str) -> Address:
    """An address from `{"number", "TON", "NPI"}`, or from a string as people write it."""
    if isinstance(value, str):
        return address_of(value)
    if not isinstance(value, Mapping) or set(value) != {"number", "TON", "NPI"} or not isinstance(value["number"], str):
        raise GsmError("field_range", 0, field)
    ton, npi = _number(value["TON"], field), _number(value["NPI"], field)
    if not (0 <= ton <= 7 and 0 <= npi <= 15):
        raise GsmError("field_range", 0, field)
    return Address(value["number"], 0x80 | ton << 4 | npi)


def _time(value: Any, field: str) -> Timestamp:
    if not isinstance(value, str):
        raise GsmError("time_invalid", 0, field)
    return timestamp_of(value)


def _validity(value: Any, field: str) -> int | Timestamp | bytes | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _time(value, field) if "T" in value else _octets(value, field)
    return _number(value, field)


def _octets(value: Any, field: str) -> bytes:
    if not isinstance(value, str):
        raise GsmError("not_hex", 0, field)
    return octets_of(value)


def _parse(name: str, field: str, value: Any) -> Any:
    parser: Callable[[Any, str], Any] = _PARSERS.get(name, _number)
    return parser(value, field)


def _number(value: Any, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise GsmError("field_range", 0, field)
    return value


_PARSERS: Final[dict[str, Callable[[Any, str], Any]]] = {
    **dict.fromkeys(("tp_oa", "tp_da", "tp_ra"), _address),
    **dict.fromkeys(("tp_scts", "tp_dt"), _time),
    **dict.fromkeys(("tp_ud", "tp_cd"), _octets),
    "tp_vp": _validity,
}
