"""A task's recipients normalised, judged and cut into chunks of at most 500 messages and 256 kB.

Works on whole lists: normalisation, duplicates and the usual case of one segment a message cost a fraction of a microsecond each.
The number of chunks is known before the first is built, because every chunk carries it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from contracts.chunk import MAX_MESSAGES, Chunk, Entry
from contracts.events.ingest import ChunkAccepted
from ingest.domain.admission import Caller, Head
from ingest.domain.refusal import Refused
from ingest.domain.request import MAX_VALUE, Recipient
from ingest.domain.template import Template, clean, units
from smstext import mask, normalise_many, segment_count
from smstext.faults import TextError

CHUNK_OCTETS = 240_000
"""Room for one chunk's JSON: 256 kB less the envelope (under 1 kB), with a margin for what the estimate rounds."""

ROW_OCTETS = 16
"""JSON octets of a recipient: 13 digits (15 for things) and a comma."""

SINGLE_UNITS = 70
"""Up to so many UTF-16 units are one segment whatever they are (dispatch.md, "Long messages"): in the GSM alphabet each is at most two of
160 septets."""

_encode = msgspec.json.Encoder().encode


class Rejected(msgspec.Struct, frozen=True):
    """A recipient that gets no message: position in the request, masked number, stable reason."""

    index: int
    to: str
    reason: str


class Plan(msgspec.Struct, frozen=True):
    """What will be accepted, before ids are given.  Lists run in parallel, one place a message."""

    total: int
    """Recipients in the request, accepted or not."""
    numbers: list[int]
    carriers: str
    values: list[list[str]]
    """Rows of variables; empty when the text has none."""
    parts: bytes
    """Segments of each message."""
    cuts: list[tuple[int, int]]
    """[low, high) of each chunk."""
    rejected: list[Rejected]

    @property
    def accepted(self) -> int:
        """Messages."""
        return len(self.numbers)


class ComposedChunk(msgspec.Struct, frozen=True):
    """A chunk ready to be stored: ``payload`` is the JSON of its `ChunkAccepted`."""

    chunk_id: str
    payload: bytes
    recipients: list[int]
    carriers: str
    parts: bytes


def rows_of(
    recipients: Sequence[str | Recipient], names: Sequence[str]
) -> tuple[list[str], list[list[str]], dict[int, str]]:
    """Return (numbers, rows of values, {index: reason}) of the JSON form; values are in the order of ``names``."""
    numbers = [each if isinstance(each, str) else each.to for each in recipients]
    if not names:
        return numbers, [], {}
    values: list[list[str]] = []
    faults: dict[int, str] = {}
    for index, each in enumerate(recipients):
        given = {} if isinstance(each, str) else each.variables
        try:
            values.append([given[name] for name in names])
        except KeyError:
            faults[index] = "variable_missing"
            values.append([""] * len(names))
    return numbers, values, faults


def plan(
    head: Head, numbers: Sequence[str], values: list[list[str]], faults: dict[int, str], *, max_segments: int
) -> Plan:
    """Return what is accepted and what is not; raises `Refused` when nothing is, or when the text is too long for everybody."""
    template = head.template
    normalised = normalise_many(numbers)
    reasons = dict(normalised.rejected)
    parts = bytearray(len(numbers))
    if template.slots:
        _judge_rows(template, values, parts, max_segments, faults)
        for index, reason in faults.items():
            reasons.setdefault(index, reason)
    else:
        parts = bytearray([_segments_of_all(template.pieces[0], max_segments)]) * len(numbers)
    _mark_duplicates(normalised.numbers, values, reasons)
    rejected = [Rejected(index, mask(numbers[index][:40]), reasons[index]) for index in sorted(reasons)]
    if len(rejected) == len(numbers):
        sample = [{"index": r.index, "to": r.to, "reason": r.reason} for r in rejected[:100]]
        raise Refused("no_valid_recipient", {"total": len(numbers), "rejected": sample})
    letters = normalised.letters()
    if not reasons:
        keep: Sequence[int] = range(len(numbers))
        kept, carriers = list(normalised.numbers), letters
    else:
        keep = [index for index in range(len(numbers)) if index not in reasons]
        kept, carriers = [normalised.numbers[i] for i in keep], "".join([letters[i] for i in keep])
        parts = bytearray([parts[i] for i in keep])
        values = [values[i] for i in keep] if values else values
    if not template.slots:
        values = []
    return Plan(
        total=len(numbers),
        numbers=kept,
        carriers=carriers,
        values=values,
        parts=bytes(parts),
        cuts=_cuts(head, values, len(kept)),
        rejected=rejected,
    )


def build(
    plan: Plan, head: Head, caller: Caller, *, task_id: str, accepted_at: int, chunk_ids: Iterator[str]
) -> Iterator[ComposedChunk]:
    """Yield the chunks one by one; ``chunk_ids`` gives an id for each."""
    for low, high in plan.cuts:
        chunk_id = next(chunk_ids)
        entry = Entry(
            task_id=task_id,
            first=0,
            count=high - low,
            port=head.port,
            pieces=head.template.pieces,
            expires_at=head.expires_at,
            task_total=plan.accepted,
            task_chunks=len(plan.cuts),
            slots=head.template.slots,
            variables=plan.values[low:high],
            not_before=head.not_before,
            registered=head.registered,
            template_id=head.template_id,
            ref=head.ref,
            user=caller.user,
        )
        chunk = Chunk(
            chunk_id=chunk_id,
            tenant=caller.tenant,
            enterprise=caller.enterprise,
            lane=head.lane,
            accepted_at=accepted_at,
            recipients=plan.numbers[low:high],
            carriers=plan.carriers[low:high],
            entries=[entry],
        )
        yield ComposedChunk(
            chunk_id, _encode(ChunkAccepted(chunk)), chunk.recipients, chunk.carriers, plan.parts[low:high]
        )


def segments(text: str) -> int:
    """Return how many segments the text needs; raises `Refused` when no phone could show it."""
    try:
        return segment_count(text)
    except TextError as fault:
        raise Refused("content_too_long" if fault.code == "too_many_segments" else "content_invalid") from fault


def _segments_of_all(text: str, most: int) -> int:
    count = segments(text)
    if count > most:
        raise Refused("content_too_long", {"segments": count, "most": most})
    return count


def _judge_rows(
    template: Template, values: list[list[str]], parts: bytearray, most: int, faults: dict[int, str]
) -> None:
    """Fill in the segments of each row, and the reason of each that cannot be sent."""
    slots = template.slots
    room = SINGLE_UNITS - template.literal_units
    each_once = sorted(slots) == list(range(len(template.names)))
    for index, row in enumerate(values):
        if index in faults:
            continue
        joined = "".join(row)
        if len(joined) > MAX_VALUE and any(len(value) > MAX_VALUE for value in row):
            faults[index] = "variable_too_long"
        elif not clean(joined):
            faults[index] = "variable_invalid"
        elif units(joined if each_once else "".join([row[slot] for slot in slots])) <= room:
            parts[index] = 1
        else:
            count = _segments_or_zero(fill(template, row))
            if 0 < count <= most:
                parts[index] = count
            else:
                faults[index] = "text_too_long"


def fill(template: Template, row: Sequence[str]) -> str:
    """Return the text of one row of values."""
    pieces = [template.pieces[0]]
    for slot, piece in zip(template.slots, template.pieces[1:], strict=True):
        pieces += (row[slot], piece)
    return "".join(pieces)


def _segments_or_zero(text: str) -> int:
    try:
        return segment_count(text)
    except TextError:
        return 0


def _mark_duplicates(numbers: Sequence[int], values: list[list[str]], reasons: dict[int, str]) -> None:
    """A second message of the same text to the same number inside one task is a mistake: listed, not sent twice."""
    if not values and len(set(numbers)) == len(numbers):
        return
    seen: set[object] = set()
    for index, number in enumerate(numbers):
        if index in reasons:
            continue
        key: object = (number, *values[index]) if values else number
        if key in seen:
            reasons[index] = "duplicate"
        else:
            seen.add(key)


def _cuts(head: Head, values: list[list[str]], count: int) -> list[tuple[int, int]]:
    if not values:
        return [(low, min(low + MAX_MESSAGES, count)) for low in range(0, count, MAX_MESSAGES)]
    base = 4 * len(head.content) + 2_000
    cuts: list[tuple[int, int]] = []
    low, octets = 0, base
    for index, row in enumerate(values):
        # JSON octets of a row: a character is at most four (three in UTF-8, two when escaped, four outside the BMP).
        need = ROW_OCTETS + 4 + 4 * len("".join(row)) + 3 * len(row)
        if index > low and (index - low == MAX_MESSAGES or octets + need > CHUNK_OCTETS):
            cuts.append((low, index))
            low, octets = index, base
        octets += need
    cuts.append((low, count))
    return cuts
