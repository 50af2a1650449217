"""TP-DCS: which alphabet, which class, which indication (3GPP TS 23.038 clause 4)."""

from typing import Literal

import msgspec

from gsm.faults import GsmError
from smstext import Coding


class Indication(msgspec.Struct, frozen=True):
    """A message waiting indication: what waits (0 voice, 1 fax, 2 e-mail, 3 other), whether it does, and store."""

    kind: int
    active: bool
    store: bool


class DataCoding(msgspec.Struct, frozen=True):
    """What a TP-DCS octet says. Reserved groups and alphabets read as the default alphabet, as clause 4 asks."""

    coding: Literal[Coding.GSM7, Coding.OCTETS, Coding.UCS2]
    message_class: int | None = None
    """0 flash, 1 handset, 2 SIM, 3 terminal equipment."""
    compressed: bool = False
    auto_delete: bool = False
    indication: Indication | None = None


def parse_dcs(octet: int) -> DataCoding:
    """The meaning of a TP-DCS octet; every value has one."""
    group = octet >> 4
    if group < 8:
        codings: tuple[Literal[Coding.GSM7, Coding.OCTETS, Coding.UCS2], ...]
        codings = (Coding.GSM7, Coding.OCTETS, Coding.UCS2, Coding.GSM7)
        return DataCoding(
            codings[octet >> 2 & 3],
            octet & 3 if octet & 0x10 else None,
            bool(octet & 0x20),
            bool(octet & 0x40),
        )
    if group < 0xC:
        return DataCoding(Coding.GSM7)
    if group == 0xF:
        return DataCoding(Coding.OCTETS if octet & 4 else Coding.GSM7, octet & 3)
    indication = Indication(octet & 3, bool(octet & 8), group != 0xC)
    return DataCoding(Coding.UCS2 if group == 0xE else Coding.GSM7, indication=indication)


def build_dcs(coding: Coding, message_class: int | None = None, *, auto_delete: bool = False) -> int:
    """The octet of the general group: `build_dcs(Coding.UCS2, 0)` is a UCS2 flash message, 0x18."""
    alphabets = {Coding.GSM7: 0, Coding.OCTETS: 1, Coding.UCS2: 2}
    if coding not in alphabets:
        raise GsmError("field_range", 0, "coding")
    if message_class is None:
        return auto_delete << 6 | alphabets[coding] << 2
    if message_class not in range(4):
        raise GsmError("field_range", 0, "message_class")
    return auto_delete << 6 | 0x10 | alphabets[coding] << 2 | message_class


def indication_element(indication: Indication, count: int) -> bytes:
    """The special message indication of a user data header (TS 23.040 clause 9.2.3.24.2): how many wait, up to 255."""
    if indication.kind not in range(4):
        raise GsmError("field_range", 0, "indication")
    return bytes((1, 2, indication.store << 7 | indication.kind, min(max(count, 0), 255)))


def indication_dcs(indication: Indication, coding: Coding = Coding.GSM7) -> int:
    """The octet of a message waiting indication. A discarded one (`store` false) has no UCS2 form."""
    if indication.kind not in range(4) or (coding is Coding.UCS2 and not indication.store):
        raise GsmError("field_range", 0, "indication")
    stored = 0xE0 if coding is Coding.UCS2 else 0xD0
    group = stored if indication.store else 0xC0
    return group | indication.active << 3 | indication.kind
