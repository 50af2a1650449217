"""A text or octet string cut into short messages: 160/153 septets, 70/67 UTF-16 units, 140/134 octets.

Characters are atoms, so a surrogate pair, an escape pair or a multi-octet GB character is never cut. Grapheme clusters
and signatures in 【】 are kept whole too, as long as that costs no further segment: readability is never charged.
The reference is the caller's (`reference_of`), so that a resend of a message carries the same one.
"""

from binascii import crc32
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import msgspec

from smstext import clusters, udh
from smstext.alphabet import DATA_CODING, EXTENSION_TABLE, Coding, choose, encode, septet_length
from smstext.faults import TextError

MAX_SEGMENTS: Final = 255
SIGNATURE_LONGEST: Final = 24  # 【】 and at most 22 characters; carriers register signatures of 2 to 20

_TWO_SEPTETS: Final = frozenset(EXTENSION_TABLE.values())


class Limits(msgspec.Struct, frozen=True, gc=False):
    """Room of one short message in octets (septets for GSM7): alone, and as a part with an 8-bit reference header.

    A 16-bit reference costs one more; UCS2 rounds down to whole units, which gives 66 characters.
    """

    single: int
    part: int


# Reference section 1.3; format 0 of CMPP, SGIP and SMGP is "< 160" alone and 134 as a part, a setting of the link.
LIMITS: Final[dict[Coding, Limits]] = {
    Coding.GSM7: Limits(160, 153),
    Coding.ASCII: Limits(159, 134),
    Coding.LATIN1: Limits(140, 134),
    Coding.OCTETS: Limits(140, 134),
    Coding.UCS2: Limits(140, 134),
    Coding.GB18030: Limits(140, 134),
    Coding.GBK: Limits(140, 134),
}


class Segmentation(msgspec.Struct, frozen=True):
    """A message as its short messages. `payloads[i]` is the content field of part i, its header included if `udhi`."""

    coding: Coding
    data_coding: int
    udhi: bool
    parts: tuple[str, ...]
    payloads: tuple[bytes, ...]
    reference: int = 0
    width: int = 8

    @property
    def total(self) -> int:
        """How many short messages there are, which is what is charged."""
        return len(self.payloads)


def split(
    text: str,
    coding: Coding | None = None,
    *,
    reference: int = 0,
    width: int = 8,
    header: bool = True,
    limits: Limits | None = None,
) -> Segmentation:
    """Cut `text` into short messages, choosing between GSM7 and UCS2 when no coding is given.

    `reference` is put in every part of a long message, `width` (8 or 16) bits wide. `header=False` leaves the user data
    header out for links that carry the part numbers in fields of their own (SMPP SAR TLVs, Pk_total and Pk_number);
    the parts are as large as with it, because the carrier adds the header. `limits` is the link's own room.
    Raises `TextError`: unencodable text, more than 255 parts, reference out of range.
    """
    coding = choose(text) if coding is None else coding
    limits = limits or LIMITS[coding]
    whole = encode(text, coding)
    if len(whole) <= limits.single:
        return Segmentation(coding, DATA_CODING[coding], False, (text,), (whole,), reference, width)
    room = _part_room(width, limits)
    positions = _positions(text, coding, len(whole))
    ends = cut(text, positions, room)
    total = len(ends)
    parts: list[str] = []
    payloads: list[bytes] = []
    start = 0
    for index, end in enumerate(ends, 1):
        element = udh.concat_element(reference, total, index, width)
        content = whole[positions[start] : positions[end]]
        parts.append(text[start:end])
        payloads.append(udh.header(element) + content if header else content)
        start = end
    return Segmentation(coding, DATA_CODING[coding], header, tuple(parts), tuple(payloads), reference, width)


def single(text: str) -> tuple[int, bytes] | None:
    """(data_coding, content) when `text` fits one short message in GSM7 or UCS2, else None: the fast path."""
    coding = choose(text)
    content = encode(text, coding)
    return (DATA_CODING[coding], content) if len(content) <= LIMITS[coding].single else None


def segment_count(text: str, coding: Coding | None = None, *, width: int = 8, limits: Limits | None = None) -> int:
    """How many short messages `split` makes of the same arguments, without making them."""
    coding = choose(text) if coding is None else coding
    limits = limits or LIMITS[coding]
    size = septet_length(text) if coding is Coding.GSM7 else len(encode(text, coding))
    if size <= limits.single:
        return 1
    room = _part_room(width, limits)
    count = len(_cuts(_positions(text, coding, size), room))
    if count > MAX_SEGMENTS:
        raise TextError("too_many_segments")
    return count


def split_octets(
    data: bytes, *, reference: int = 0, width: int = 8, elements: bytes = b"", limit: int = 140
) -> Segmentation:
    """Cut 8-bit data; `elements` (ports, say) go into the header of every part, before the concatenation element."""
    alone = udh.header(elements)
    if len(alone) + len(data) <= limit:
        return Segmentation(Coding.OCTETS, 4, bool(alone), ("",), (alone + data,), reference, width)
    room = limit - len(udh.header(elements + udh.concat_element(reference, 1, 1, width)))
    if room <= 0:
        raise TextError("limit_too_small")
    total = -(-len(data) // room)
    if total > MAX_SEGMENTS:
        raise TextError("too_many_segments")
    payloads = tuple(
        udh.header(elements + udh.concat_element(reference, total, index + 1, width))
        + data[index * room : (index + 1) * room]
        for index in range(total)
    )
    return Segmentation(Coding.OCTETS, 4, True, ("",) * total, payloads, reference, width)


def reference_of(chunk_id: str, index: int, *, width: int = 8) -> int:
    """The concatenation reference of message `index` of a chunk: the same at every resend, different for neighbours.

    Two messages to one phone inside the joining time collide with probability 2**-width unless they are of one chunk.
    """
    return (crc32(chunk_id.encode("ascii")) + index) & ((1 << width) - 1)


def cut(text: str, positions: Sequence[int], room: int) -> list[int]:
    """Ends of the parts, in characters: the kindest cuts that need no more parts than the plain ones.

    `positions[i]` is character i's offset in octets or septets, with the text's size last; `room` is that of a part. For
    alphabets that `split` does not know. Raises `TextError` above 255 parts.
    """
    if positions[-1] > room * MAX_SEGMENTS:
        raise TextError("too_many_segments")
    plain = _cuts(positions, room)
    if len(plain) > MAX_SEGMENTS:
        raise TextError("too_many_segments")
    for signatures in (True, False):
        kind = _kind_cuts(text, positions, room, signatures=signatures)
        if len(kind) == len(plain):
            return kind
    return plain


def _part_room(width: int, limits: Limits) -> int:
    if width not in (8, 16):
        raise TextError("width_invalid")
    room = limits.part - (width == 16)
    if room < 4:  # the longest character: a surrogate pair or four octets of GB18030
        raise TextError("limit_too_small")
    return room


def _positions(text: str, coding: Coding, size: int) -> Sequence[int]:
    """Offset of every character in octets (septets), and of the end; `size` is that of the whole text."""
    each = 2 if coding is Coding.UCS2 else 1
    if size == each * len(text):  # all characters alike, the usual text: nothing to count
        return range(0, size + 1, each)
    if coding is Coding.GSM7:
        sizes = [2 if char in _TWO_SEPTETS else 1 for char in text]
    elif coding is Coding.UCS2:
        sizes = [4 if char > "\uffff" else 2 for char in text]
    else:  # of the rest only the Chinese codings have characters of several octets
        sizes = [1 if char < "\x80" else len(char.encode("gb18030")) for char in text]
    return [0, *accumulate(sizes)]


def _cuts(positions: Sequence[int], room: int) -> list[int]:
    """Ends of the parts when only characters are whole: as few parts as possible."""
    last = len(positions) - 1
    ends: list[int] = []
    start = 0
    while start < last:
        start = bisect_right(positions, positions[start] + room) - 1
        ends.append(start)
    return ends


def _kind_cuts(text: str, positions: Sequence[int], room: int, *, signatures: bool) -> list[int]:
    """Ends of the parts when clusters, and `signatures` if asked for, are whole wherever they fit."""
    last = len(text)
    ends: list[int] = []
    start = 0
    while start < last:
        reach = bisect_right(positions, positions[start] + room) - 1
        end = reach
        if signatures and end < last:
            end = _before_signature(text, start, end)
        while start < end < last and not clusters.may_cut(text, start, end):
            end -= 1
        start = end if end > start else reach  # a cluster longer than a part cannot be kept
        ends.append(start)
    return ends


def _before_signature(text: str, start: int, end: int) -> int:
    """Where the signature that a cut at `end` would tear begins; `end` when it tears none."""
    opening = text.rfind("【", max(start + 1, end - SIGNATURE_LONGEST), end)
    if opening < 0 or text.find("】", opening, end) >= 0:
        return end
    return opening if text.find("】", end, opening + SIGNATURE_LONGEST) >= 0 else end
