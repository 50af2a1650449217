"""Telephone numbers of mainland China: one canonical form, the carrier by segment, and a reason for every refusal.

Canonical is the E.164 number without plus, as an integer: 8613800138000; 86 and 13 digits for things. Carriers come
from `segment_table`; number portability is the caller's mapping, looked up by the canonical number.
"""

import re
from array import array
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from smstext.segment_table import PORTABLE, SEGMENTS, Carrier, Kind

# Reasons a number is refused as a recipient: stable codes, with a sentence in both languages.
REASONS: Final[dict[str, tuple[str, str]]] = {
    "empty": ("号码为空", "the number is empty"),
    "malformed": ("号码含有无效字符", "the number holds characters that are not digits"),
    "bad_length": ("号码位数不正确", "the number has the wrong count of digits"),
    "foreign": ("不支持中国大陆以外的号码", "the number is outside mainland China"),
    "not_allocated": ("号段未分配", "the number's segment is not allocated"),
    "unroutable": ("该号段无可达的运营商通道", "no carrier link reaches the number's segment"),
    "fixed_line": ("固定电话不能接收短信", "fixed lines cannot receive short messages"),
    "service_number": ("服务号码不能接收短信", "service numbers cannot receive short messages"),
}

COUNTRY: Final = 86
_MOBILE_BASE: Final = COUNTRY * 10**11
_IOT_BASE: Final = COUNTRY * 10**13
_LETTERS: Final = bytes(b"XMUTBX"[octet] if octet < 6 else ord("X") for octet in range(256))  # by `Carrier`
_VIRTUAL_LETTER: Final = ord("V")
_VIRTUAL: Final = frozenset(COUNTRY * 100_000 + prefix for prefix in SEGMENTS.virtual)
_LONGEST: Final = 40  # characters looked at: a number with country code and every separator is far shorter

# Spaces (also full-width and no-break), dashes of several scripts and brackets around an area code.
_SEPARATORS: Final = re.compile("[ \t\u00a0\u2002-\u200b\u202f\u3000\\-\u2010-\u2015\u2212\uff0d()\uff08\uff09]")
_FULL_WIDTH: Final = str.maketrans("０１２３４５６７８９＋", "0123456789+")
_MOBILE: Final = re.compile(r"1[3-9]\d{9}\Z", re.ASCII)
_IOT: Final = re.compile(r"1(?:4[0-9]\d{10}|064\d{9})\Z", re.ASCII)
_FIXED: Final = re.compile(r"(?:10|2\d)[2-8]\d{7}\Z|[3-9]\d{2}[2-8]\d{6,7}\Z", re.ASCII)
_SERVICE: Final = re.compile(r"(?:1[012]\d{1,4}|106\d{2,17}|9[56]\d{3,6}|[48]00\d{7})\Z", re.ASCII)
_PORT: Final = re.compile(r"\d{3,21}\Z", re.ASCII)  # Src_Id holds 21 digits (CMPP), also the longest of the others


class NumberError(ValueError):
    """A number that cannot be a recipient; `reason` is a key of `REASONS`. The number itself is not in the message."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.zh, self.en = REASONS[reason]
        super().__init__(self.en)


class Normalised(msgspec.Struct, frozen=True):
    """A batch, position by position: `numbers[i]` canonical and `carriers[i]` a `Carrier`; both 0 where refused.

    `rejected` lists (index, reason) in order of index.
    """

    numbers: "array[int]"
    carriers: bytes
    rejected: list[tuple[int, str]]

    def letters(self) -> str:
        """One letter a number, as chunks carry them (`contracts.chunk.CARRIERS`): V virtual operator, X refused.

        `carriers` holds a virtual number's host network instead.
        """
        letters = bytearray(self.carriers.translate(_LETTERS))
        for index, number in enumerate(self.numbers):
            if number // 1_000_000 in _VIRTUAL:
                letters[index] = _VIRTUAL_LETTER
        return letters.decode("ascii")


def normalise(number: str) -> int:
    """The canonical form of a number that can receive; raises `NumberError`."""
    if len(number) == 11 and number.isascii() and number.isdigit():
        national = int(number)
        if SEGMENTS.carriers[national // 1_000_000] and SEGMENTS.kind(national) is not Kind.UNROUTABLE:
            return _MOBILE_BASE + national
    kind, canonical = parse(number)
    reason = {
        Kind.FIXED: "fixed_line",
        Kind.SERVICE: "service_number",
        Kind.UNROUTABLE: "unroutable",
        Kind.UNALLOCATED: "not_allocated",
    }.get(kind)
    if reason:
        raise NumberError(reason)
    return canonical


def parse(number: str) -> tuple[Kind, int]:
    """(kind, canonical form) of any well-formed number, also of those that cannot receive.

    A service number has no country code: its canonical form is its digits. Raises `NumberError` for everything else.
    """
    if len(number) > _LONGEST:
        raise NumberError("bad_length")
    digits, country = _strip(number)
    if _MOBILE.match(digits):
        return SEGMENTS.kind(int(digits)), _MOBILE_BASE + int(digits)
    if _IOT.match(digits):
        return SEGMENTS.iot_kind(int(digits)), _IOT_BASE + int(digits)
    if not country and _SERVICE.match(digits):
        return Kind.SERVICE, int(digits)
    area = digits.removeprefix("0")
    if (country or digits.startswith("0")) and _FIXED.match(area):
        return Kind.FIXED, int(f"{COUNTRY}{area}")
    raise NumberError("bad_length")


def _strip(number: str) -> tuple[str, bool]:
    """(national digits, whether a country code was there)."""
    text = _SEPARATORS.sub("", number.translate(_FULL_WIDTH)).strip()
    if not text:
        raise NumberError("empty")
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise NumberError("malformed")
    international = digits is not text and text.startswith("+")
    if digits.startswith("00"):
        digits, international = digits[2:], True
    if international:
        if not digits.startswith("86"):
            raise NumberError("foreign")
        return digits[2:], True
    # Without a prefix, 86 is the country code only before a whole mobile or IoT number.
    if digits.startswith("861") and len(digits) in (13, 15):
        return digits[2:], True
    return digits, False


def normalise_many(numbers: Sequence[str], ported: Mapping[int, Carrier] | None = None) -> Normalised:
    """Canonical forms and carriers of a batch; `ported` overrides the carrier of canonical numbers that moved network.

    A batch of clean 11-digit numbers costs about 0.3 us a number; each other number 2 to 3 us.
    """
    rejected: list[tuple[int, str]] = []
    joined = "".join(numbers)
    if len(joined) == 11 * len(numbers) and joined.isascii() and joined.isdigit() and set(map(len, numbers)) == {11}:
        national = list(map(int, numbers))
        carriers = bytearray(map(SEGMENTS.carriers.__getitem__, [number // 1_000_000 for number in national]))
        canonical = array("q", [_MOBILE_BASE + number for number in national])
        doubtful: Sequence[int] = _doubtful(carriers)
    else:
        carriers = bytearray(len(numbers))
        canonical = array("q", bytes(8 * len(numbers)))
        doubtful = range(len(numbers))
    for index in doubtful:
        try:
            number = normalise(numbers[index])
        except NumberError as fault:
            canonical[index] = carriers[index] = 0
            rejected.append((index, fault.reason))
        else:
            canonical[index] = number
            carriers[index] = carrier_of(number)
    if ported:
        for index, number in enumerate(canonical):
            if number in ported and kind_of(number) in PORTABLE:
                carriers[index] = ported[number]
    return Normalised(canonical, bytes(carriers), rejected)


def _doubtful(carriers: bytearray) -> list[int]:
    """Indices whose segment is unallocated or unroutable, and so gives a reason."""
    if Carrier.UNKNOWN not in carriers and Carrier.OTHER not in carriers:
        return []
    return [index for index, carrier in enumerate(carriers) if carrier in (Carrier.UNKNOWN, Carrier.OTHER)]


def carrier_of(canonical: int, ported: Mapping[int, Carrier] | None = None) -> Carrier:
    """The carrier of a canonical number, by portability entry where its kind can be ported, else by segment."""
    if ported is not None and canonical in ported and kind_of(canonical) in PORTABLE:
        return ported[canonical]
    national = canonical - _MOBILE_BASE
    if 0 < national < 10**11:
        return Carrier(SEGMENTS.carriers[national // 1_000_000])
    things = canonical - _IOT_BASE
    if 0 < things < 10**13:
        return Carrier(SEGMENTS.iot_carriers[things // 100_000_000])
    return Carrier.UNKNOWN


def kind_of(canonical: int) -> Kind:
    """The kind of a canonical mobile or IoT number; `UNALLOCATED` for every other integer."""
    national = canonical - _MOBILE_BASE
    if 0 < national < 10**11:
        return SEGMENTS.kind(national)
    things = canonical - _IOT_BASE
    if 0 < things < 10**13:
        return SEGMENTS.iot_kind(things)
    return Kind.UNALLOCATED


def valid_port(port: str) -> bool:
    """Whether `port` can be a sender: a service or access code with any extension, 3 to 21 digits."""
    return _PORT.match(port) is not None


def mask(number: int | str) -> str:
    """A number fit for logs and pages: 138****0001. Short codes stay as they are; what is no number is hidden."""
    digits = str(number).removeprefix("+")
    if not digits.isascii() or not digits.isdigit():
        return "****"
    if digits.startswith("86") and len(digits) in (13, 15):
        digits = digits[2:]
    if len(digits) >= 10:
        return f"{digits[:3]}****{digits[-4:]}"
    return f"{digits[:2]}****{digits[-2:]}" if len(digits) >= 7 else digits
