"""Many small events of a chunk become few large ones before they go onto the bus.  Pure.

A window's worth of answers comes in dozens of cycles, each with an event of its own in the outbox; every consumer pays by the event.
What is merged says the same of the same segments, under the id of its first part, so publishing the parts again after a crash
changes nothing.  Answers of one session and chunk are merged at the place of the first, receipts at the place of the last, so that
no receipt comes before its answer; nothing is moved across any other event of its chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from contracts import envelope
from contracts.events.dispatch import SegmentsAnswered, SegmentsReported
from dispatch.domain.outcomes import Outgoing

T = TypeVar("T")

MOST_SEGMENTS = 1_000
"""Segments of one merged event: 500 messages, and 80 kB, of which a record may have 256."""


class _Group:
    """Events that become one."""

    __slots__ = ("parts", "place", "segments")

    def __init__(self, place: int) -> None:
        self.parts: list[Outgoing] = []
        self.place = place
        self.segments = 0


def merged(events: Sequence[Outgoing]) -> list[Outgoing]:
    """Return events that say the same as ``events`` in fewer records; each has the id of its first part."""
    if len(events) < 2:
        return list(events)
    groups: list[_Group] = []
    open_: dict[str, dict[tuple[object, ...], _Group]] = {}
    for place, event in enumerate(events):
        data = event.said.data if event.said is not None else None
        key = _key(event, data)
        if data is None or key is None:
            if data is None:
                open_.clear()
            else:
                open_.pop(data.chunk_id, None)
            group = _Group(place)
            groups.append(group)
        else:
            chunk = open_.setdefault(data.chunk_id, {})
            found = chunk.get(key)
            if found is None or found.segments + len(data.indices) > MOST_SEGMENTS:
                found = chunk[key] = _Group(place)
                groups.append(found)
            elif type(data) is SegmentsReported:
                found.place = place
            found.segments += len(data.indices)
            group = found
        group.parts.append(event)
    groups.sort(key=lambda group: group.place)
    return [_one(group.parts) for group in groups]


def _key(event: Outgoing, data: Any) -> tuple[object, ...] | None:
    """Return what events of a chunk must share to become one, None for what goes by itself."""
    if type(data) is SegmentsAnswered:
        return event.topic, event.trace, data.link, data.slot, data.epoch
    if type(data) is SegmentsReported:
        return event.topic, event.trace, data.link
    return None


def _one(parts: list[Outgoing]) -> Outgoing:
    first = parts[0]
    if len(parts) == 1:
        return first
    said = first.said
    assert said is not None, "only events whose content is at hand are merged"
    datas = [part.said.data for part in parts if part.said is not None]
    data = _answers(datas) if type(said.data) is SegmentsAnswered else _reports(datas)
    whole = msgspec.structs.replace(said, data=data)
    return msgspec.structs.replace(first, said=whole, payload=envelope.encode(whole))


def _answers(datas: list[SegmentsAnswered]) -> SegmentsAnswered:
    resent: list[int] = []
    count = 0
    for data in datas:
        resent += [count + position for position in data.resent]
        count += len(data.indices)
    return msgspec.structs.replace(
        datas[0],
        indices=_joined([data.indices for data in datas]),
        segments=_joined([data.segments for data in datas]),
        totals=_joined([data.totals for data in datas]),
        statuses=_joined([data.statuses for data in datas]),
        carrier_ids=_joined([data.carrier_ids for data in datas]),
        recipients=_joined([data.recipients for data in datas]),
        senders=_shared([(data.senders, len(data.indices)) for data in datas]),
        task_ids=_shared([(data.task_ids, len(data.indices)) for data in datas]),
        refs=_shared([(data.refs, len(data.indices)) for data in datas]),
        resent=resent,
    )


def _reports(datas: list[SegmentsReported]) -> SegmentsReported:
    return msgspec.structs.replace(
        datas[0],
        indices=_joined([data.indices for data in datas]),
        segments=_joined([data.segments for data in datas]),
        totals=_joined([data.totals for data in datas]),
        states=_joined([data.states for data in datas]),
        codes=_joined([data.codes for data in datas]),
        done_at=_joined([data.done_at for data in datas]),
    )


def _joined(lists: Sequence[list[T]]) -> list[T]:
    whole: list[T] = []
    for part in lists:
        whole += part
    return whole


def _shared(lists: Sequence[tuple[list[str], int]]) -> list[str]:
    """Join lists that are empty, have one for all, or one each: (list, how many it stands for)."""
    first = lists[0][0]
    if len(first) <= 1 and all(part == first for part, _ in lists):
        return first
    whole: list[str] = []
    for part, count in lists:
        whole += part if len(part) == count else (part or [""]) * count
    return whole
