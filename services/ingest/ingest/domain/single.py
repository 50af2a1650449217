"""A single message judged, and many of them put into micro-chunks.

Messages of one enterprise and lane share a chunk, whoever posted them; each keeps its own entry, because text, port, validity and task
differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET

from contracts.chunk import MAX_MESSAGES, Chunk, Entry
from contracts.events.ingest import ChunkAccepted
from contracts.lanes import Lane
from ingest.domain.admission import Caller, Head, Limits, admit
from ingest.domain.composition import CHUNK_OCTETS, fill, segments
from ingest.domain.identity import single_task_id
from ingest.domain.refusal import Refused
from ingest.domain.request import MAX_VALUE, MessageRequest
from ingest.domain.template import clean
from smstext import normalise_many

_encode = msgspec.json.Encoder().encode


class Single(msgspec.Struct, frozen=True):
    """One message ready to be gathered."""

    head: Head
    tenant: str
    enterprise: str
    user: str
    number: int
    letter: str
    values: list[str]
    parts: int
    octets: int
    """Upper bound of its share of the chunk's JSON."""


class MicroChunk(msgspec.Struct, frozen=True):
    """A chunk of single messages: its payload and what is stored beside it."""

    chunk_id: str
    tenant: str
    enterprise: str
    lane: Lane
    accepted_at: int
    payload: bytes
    recipients: list[int]
    carriers: str
    parts: bytes


def milliseconds(moment: datetime | None) -> int | None:
    """Return Unix ms of an aware datetime."""
    return None if moment is None else int(moment.timestamp() * 1000)


def judge(request: MessageRequest, caller: Caller, now_ms: int, limits: Limits) -> Single:
    """Return the message, or raise `Refused` with the first rule that speaks against it."""
    head = admit(
        caller,
        lane=request.lane,
        port=request.port,
        content=request.content,
        template=request.template,
        template_id=request.template_id,
        at_ms=milliseconds(request.at),
        validity_s=request.validity,
        ref=request.ref,
        callback_url=request.callback_url,
        now_ms=now_ms,
        limits=limits,
    )
    normalised = normalise_many((request.to,))
    if normalised.rejected:
        raise Refused("recipient_invalid", {"cause": normalised.rejected[0][1]})
    values = _values(head, request)
    text = fill(head.template, values) if values else head.template.pieces[0]
    parts = segments(text)
    if parts > limits.max_segments:
        raise Refused("content_too_long", {"segments": parts, "most": limits.max_segments})
    return Single(
        head=head,
        tenant=caller.tenant,
        enterprise=caller.enterprise,
        user=caller.user,
        number=normalised.numbers[0],
        letter=normalised.letters(),
        values=values,
        parts=parts,
        # Names, ids, times and flags of an entry are under 300 octets; escaped JSON is at most four octets a character of
        # a text free of control characters; a variable adds its quotes and its slot.
        octets=300
        + len(head.template_id)
        + 4 * (len(head.content) + sum(map(len, values)) + len(head.ref) + len(caller.user))
        + 8 * len(head.template.slots),
    )


def _values(head: Head, request: MessageRequest) -> list[str]:
    if not head.template.names:
        if request.variables and request.content is not UNSET:
            raise Refused("template_invalid", {"reason": "content takes no variables / content 不含变量"})
        return []
    values = []
    for name in head.template.names:
        value = request.variables.get(name)
        if value is None:
            raise Refused("template_invalid", {"cause": "variable_missing", "variable": name})
        if len(value) > MAX_VALUE or not clean(value):
            raise Refused("template_invalid", {"cause": "variable_invalid", "variable": name})
        values.append(value)
    return values


def groups(singles: Sequence[Single]) -> list[list[int]]:
    """Return positions of the messages that share a chunk: same enterprise and lane, at most 500 and 240 kB."""
    open_groups: dict[tuple[str, str, Lane], tuple[list[int], int]] = {}
    done: list[list[int]] = []
    for position, single in enumerate(singles):
        place = (single.tenant, single.enterprise, single.head.lane)
        members, octets = open_groups.get(place, ([], 0))
        if len(members) == MAX_MESSAGES or (members and octets + single.octets > CHUNK_OCTETS):
            done.append(members)
            members, octets = [], 0
        members.append(position)
        open_groups[place] = (members, octets + single.octets)
    return done + [members for members, _ in open_groups.values()]


def gather(singles: Sequence[Single], *, chunk_id: str, accepted_at: int) -> MicroChunk:
    """Return the chunk of these messages (one group of `groups`), in their order."""
    first = singles[0]
    chunk = Chunk(
        chunk_id=chunk_id,
        tenant=first.tenant,
        enterprise=first.enterprise,
        lane=first.head.lane,
        accepted_at=accepted_at,
        recipients=[single.number for single in singles],
        carriers="".join([single.letter for single in singles]),
        entries=list(_entries(singles, chunk_id)),
    )
    return MicroChunk(
        chunk_id=chunk_id,
        tenant=first.tenant,
        enterprise=first.enterprise,
        lane=first.head.lane,
        accepted_at=accepted_at,
        payload=_encode(ChunkAccepted(chunk)),
        recipients=chunk.recipients,
        carriers=chunk.carriers,
        parts=bytes([single.parts for single in singles]),
    )


def _entries(singles: Sequence[Single], chunk_id: str) -> Iterator[Entry]:
    for index, single in enumerate(singles):
        head = single.head
        yield Entry(
            task_id=single_task_id(chunk_id, index),
            first=index,
            count=1,
            port=head.port,
            pieces=head.template.pieces,
            expires_at=head.expires_at,
            task_total=1,
            slots=head.template.slots,
            variables=[single.values] if single.values else [],
            not_before=head.not_before,
            registered=head.registered,
            template_id=head.template_id,
            ref=head.ref,
            user=single.user,
        )
