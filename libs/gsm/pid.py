"""TP-PID: what the centre or the phone shall do with a message besides showing it (3GPP TS 23.040 clause 9.2.3.9)."""

from typing import Final

from gsm.faults import GsmError

PLAIN: Final = 0x00
TYPE_0: Final = 0x40
RETURN_CALL: Final = 0x5F
SIM_DOWNLOAD: Final = 0x7F

_NAMES: Final[dict[int, str]] = {
    0x20: "telematic: implicit",
    0x21: "telex",
    0x22: "group 3 telefax",
    0x23: "group 4 telefax",
    0x24: "voice telephone",
    0x25: "ERMES",
    0x26: "national paging",
    0x27: "videotex",
    0x2D: "UCI",
    0x30: "message handling facility",
    0x31: "X.400",
    0x32: "Internet electronic mail",
    0x3F: "mobile station",
    TYPE_0: "short message type 0",
    0x48: "device triggering",
    0x5E: "enhanced message service (obsolete)",
    RETURN_CALL: "return call",
    0x7C: "ANSI-136 R-DATA",
    0x7D: "ME data download",
    0x7E: "ME de-personalisation",
    SIM_DOWNLOAD: "(U)SIM data download",
}


def replace_type(number: int) -> int:
    """TP-PID of "replace short message type `number`", 1 to 7: the phone overwrites the earlier one of that type."""
    if not 1 <= number <= 7:
        raise GsmError("field_range", 0, "TP-PID")
    return TYPE_0 + number


def pid_name(octet: int) -> str:
    """What a TP-PID means, in words."""
    if octet in _NAMES:
        return _NAMES[octet]
    if octet < 0x20:
        return "SME to SME protocol" if octet else "plain"
    if 0x28 <= octet <= 0x2C:
        return "teletex"
    if 0x41 <= octet <= 0x47:
        return f"replace short message type {octet - 0x40}"
    if 0x38 <= octet <= 0x3E or octet >= 0xC0:
        return "SC specific"
    return "reserved"
