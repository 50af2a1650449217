"""What the numbers of a network and a modem mean: TP-ST, TP-FCS and +CMS ERROR, each as one table.

Sources: 3GPP TS 23.040 clauses 9.2.3.15 and 9.2.3.22; TS 27.005 clause 3.2.5 as far as public manuals agree.
"""

from enum import StrEnum
from typing import Final


class Delivery(StrEnum):
    """What a TP-ST says of the message."""

    DELIVERED = "delivered"
    TRYING = "trying"
    EXPIRED = "expired"
    FAILED = "failed"


class Action(StrEnum):
    """What a refused submission asks for."""

    RETRY = "retry"
    FAIL = "fail"
    STOP = "stop"
    """The modem can send nothing until somebody acts: SIM missing or locked."""
    CLEAN = "clean"
    """Storage is full: delete what has been read, then retry."""


STATUS: Final[dict[int, str]] = {
    0x00: "received by the SME",
    0x01: "forwarded, delivery cannot be confirmed",
    0x02: "replaced by the SC",
    0x20: "congestion, still trying",
    0x21: "SME busy, still trying",
    0x22: "no response from SME, still trying",
    0x23: "service rejected, still trying",
    0x24: "quality of service not available, still trying",
    0x25: "error in SME, still trying",
    0x40: "remote procedure error",
    0x41: "incompatible destination",
    0x42: "connection rejected by SME",
    0x43: "not obtainable",
    0x44: "quality of service not available",
    0x45: "no interworking available",
    0x46: "validity period expired",
    0x47: "deleted by originating SME",
    0x48: "deleted by SC administration",
    0x49: "message does not exist",
    0x60: "congestion, given up",
    0x61: "SME busy, given up",
    0x62: "no response from SME, given up",
    0x63: "service rejected, given up",
    0x64: "quality of service not available, given up",
    0x65: "error in SME, given up",
}


def delivery_of(status: int) -> Delivery:
    """The meaning of a TP-ST; reserved values count as 0x63, as clause 9.2.3.15 asks of those above 0x80."""
    if status < 0x20:
        return Delivery.DELIVERED
    if status < 0x40:
        return Delivery.TRYING
    return Delivery.EXPIRED if status == 0x46 else Delivery.FAILED


def is_final(status: int) -> bool:
    """Whether no further report follows."""
    return delivery_of(status) is not Delivery.TRYING


FAILURE_CAUSE: Final[dict[int, str]] = {
    0x80: "telematic interworking not supported",
    0x81: "short message type 0 not supported",
    0x82: "cannot replace short message",
    0x8F: "unspecified TP-PID error",
    0x90: "data coding scheme not supported",
    0x91: "message class not supported",
    0x9F: "unspecified TP-DCS error",
    0xA0: "command cannot be actioned",
    0xA1: "command unsupported",
    0xAF: "unspecified TP-Command error",
    0xB0: "TPDU not supported",
    0xC0: "SC busy",
    0xC1: "no SC subscription",
    0xC2: "SC system failure",
    0xC3: "invalid SME address",
    0xC4: "destination SME barred",
    0xC5: "SM rejected, duplicate SM",
    0xC6: "TP-VPF not supported",
    0xC7: "TP-VP not supported",
    0xD0: "(U)SIM SMS storage full",
    0xD1: "no SMS storage capability in (U)SIM",
    0xD2: "error in MS",
    0xD3: "memory capacity exceeded",
    0xD4: "(U)SIM application toolkit busy",
    0xD5: "(U)SIM data download error",
    0xFF: "unspecified error cause",
}

CMS_ERROR: Final[dict[int, str]] = {
    1: "unassigned number",
    8: "operator determined barring",
    10: "call barred",
    17: "network failure",
    21: "short message transfer rejected",
    22: "congestion or memory capacity exceeded",
    27: "destination out of service",
    28: "unidentified subscriber",
    29: "facility rejected",
    30: "unknown subscriber",
    38: "network out of order",
    41: "temporary failure",
    42: "congestion",
    47: "resources unavailable",
    50: "facility not subscribed",
    69: "facility not implemented",
    81: "invalid short message transfer reference",
    95: "invalid message, unspecified",
    96: "invalid mandatory information",
    97: "message type not implemented",
    98: "message not compatible with state",
    99: "information element not implemented",
    111: "protocol error, unspecified",
    127: "interworking, unspecified",
    **FAILURE_CAUSE,
    300: "ME failure",
    301: "SMS service of ME reserved",
    302: "operation not allowed",
    303: "operation not supported",
    304: "invalid PDU mode parameter",
    305: "invalid text mode parameter",
    310: "SIM not inserted",
    311: "SIM PIN required",
    312: "PH-SIM PIN required",
    313: "SIM failure",
    314: "SIM busy",
    315: "SIM wrong",
    316: "SIM PUK required",
    317: "SIM PIN2 required",
    318: "SIM PUK2 required",
    320: "memory failure",
    321: "invalid memory index",
    322: "memory full",
    330: "SMSC address unknown",
    331: "no network service",
    332: "network timeout",
    340: "no +CNMA acknowledgement expected",
    500: "unknown error",
}

CME_AS_CMS: Final[dict[int, int]] = {
    3: 302,
    4: 303,
    5: 312,
    10: 310,
    11: 311,
    12: 316,
    13: 313,
    14: 314,
    15: 315,
    17: 317,
    18: 318,
    20: 322,
    21: 321,
    23: 320,
    30: 331,
    31: 332,
}
"""+CME ERROR (TS 27.007 clause 9.2) to what means the same as +CMS ERROR: modems mix the two, and 10 is no barred call."""

_TEMPORARY: Final = frozenset({17, 22, 38, 41, 42, 47, 192, 194, 211, 300, 301, 302, 314, 320, 331, 332, 500})
_STOP: Final = frozenset({310, 311, 312, 313, 315, 316, 317, 318})


def cms_of(kind: str, code: int | None) -> int | None:
    """The +CMS ERROR of an error with a number; None for a plain ERROR and for +CME ERROR numbers with no such meaning."""
    if kind == "CME" and code is not None and code < 300:
        return CME_AS_CMS.get(code)
    return code


def action_of(code: int | None) -> Action:
    """What to do after +CMS ERROR `code`; None is a plain ERROR, which modems also give for passing faults."""
    if code is None or code in _TEMPORARY or code >= 512:
        return Action.RETRY
    if code == 322:
        return Action.CLEAN
    return Action.STOP if code in _STOP else Action.FAIL
