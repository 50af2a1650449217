"""File held parts under the review items of their tasks, so that no decision covers what its reviewer could not see.

Mostly a part shows nothing new: it joins its item whatever becomes of that, without a lock.  Only where something new meets a task
that is known are the task and its items locked and read again: then the part comes either before a decision, which must name what
it saw (`item.news`), or after it, and waits under an item of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from contracts import ids
from contracts.chunk import Entry, render
from contracts.events.review import Decision
from contracts.events.spamfilter import ChunkScreened, Judgement
from review.domain import gate
from review.domain.content import fingerprint, pack, text_to_compare
from review.domain.gate import HeldPart
from review.domain.hours import Hours
from review.domain.item import ItemState
from review.domain.policy import Policies, Window
from review.domain.sight import (
    MAX_SIGHTS,
    Placing,
    Sight,
    Standing,
    another_content,
    judgements_by_index,
    late_cluster,
    place,
    round_entropy,
    sights_of,
)
from review.store import holding as store
from review.store.holding import Joined, NewItem
from servicekit.database import Connection

RISK_BULK, RISK_SCREENED = 1, 2

_encode = msgspec.json.Encoder().encode


class Piece(NamedTuple):
    """A held part with the event it is of, that event's lane and trace context, and the content's cluster where it is counted."""

    event: ChunkScreened
    held: HeldPart
    lane: str
    trace: str
    cluster: int | None

    @property
    def entry(self) -> Entry:
        """Return the entry the part is of."""
        return self.event.chunk.entries[self.held.entry]


class _Seen(NamedTuple):
    """What a piece shows."""

    content: int
    sights: list[Sight]
    digests: set[int]
    risk: int


@dataclass(slots=True)
class _Filing:
    """What one transaction gathers before it writes."""

    policies: Policies
    now: int
    items: dict[str, NewItem] = field(default_factory=dict)
    joined: dict[str, Joined] = field(default_factory=dict)
    sights: dict[tuple[str, int], Sight] = field(default_factory=dict)
    parts: list[tuple[str, str, int, int, str, list[int], dict[str, int]]] = field(default_factory=list)
    standing: dict[str, list[Standing]] = field(default_factory=dict)


class Holding:
    """Opens review items and adds parts to them, inside the gate's transaction."""

    def __init__(self, hours: Hours, sending_window: Window, *, refuse_outside_hours: bool) -> None:
        """Take the rules of the clock that are settings."""
        self._hours = hours
        self._sending_window = sending_window
        self._refuse = refuse_outside_hours

    async def file(self, tx: Connection, policies: Policies, now: int, pieces: list[Piece]) -> None:
        """File the parts and store their payloads; the ways of their tasks must be recorded before."""
        filing = _Filing(policies, now)
        judged: dict[int, dict[int, list[Judgement]]] = {}
        seen: list[_Seen] = []
        for piece in pieces:
            event = piece.event
            if id(event) not in judged:
                judged[id(event)] = judgements_by_index(event)
            seen.append(_seen(piece, judged[id(event)]))
        spanning = {piece.held.task_id for piece in pieces if gate.spans_events(piece.event, piece.entry)}
        if spanning:
            await self._look(tx, filing, spanning, pieces, seen)
        for piece, shown in zip(pieces, seen, strict=True):
            self._place(filing, piece, shown)
        await _write(tx, filing, pieces)

    @staticmethod
    async def _look(
        tx: Connection, filing: _Filing, spanning: set[str], pieces: list[Piece], seen: list[_Seen]
    ) -> None:
        """Read the items of these tasks, under lock where a part is not covered by what stands."""
        filing.standing = await store.standing(tx, sorted(spanning))
        uncovered = sorted(
            {
                piece.held.task_id
                for piece, shown in zip(pieces, seen, strict=True)
                if piece.held.task_id in spanning
                and place(filing.standing.get(piece.held.task_id, []), shown.digests)[0] is not Placing.COVERED
            }
        )
        if uncovered:
            await store.lock(tx, uncovered)
            # A statement of its own: what was committed while we waited for the lock is in its snapshot.
            filing.standing.update(await store.standing(tx, uncovered))

    def _place(self, filing: _Filing, piece: Piece, shown: _Seen) -> None:
        held, chunk = piece.held, piece.event.chunk
        standing = filing.standing.setdefault(held.task_id, [])
        placing, item = place(standing, shown.digests)
        if item is None:
            item = self._open(filing, piece, shown, standing)
        else:
            _join(filing, piece, shown, item, new=placing is not Placing.COVERED)
        if placing is not Placing.COVERED or shown.sights:
            _show(filing, piece, shown, item, opened=placing is Placing.OPENED)
        carriers = gate.carriers_of(chunk, held.indices)
        filing.parts.append(
            (item.item, chunk.chunk_id, piece.event.part, held.entry, held.reason, held.indices, carriers)
        )

    def _open(self, filing: _Filing, piece: Piece, shown: _Seen, standing: list[Standing]) -> Standing:
        held, chunk, entry = piece.held, piece.event.chunk, piece.entry
        policy = filing.policies.of(chunk.tenant, entry.port)
        # Who put the task into the fast lane meant all of it.
        fast_lane = policy.fast_lane or any(item.fast_lane for item in standing)
        start = gate.state_when_held(
            entry,
            policy,
            filing.now,
            self._hours,
            self._sending_window,
            refuse_outside_hours=self._refuse and not fast_lane,
        )
        state = ItemState.QUEUED if start is Decision.HELD else ItemState(start.value)
        number = len(standing) + 1
        late = number > 1
        name = ids.new_id(filing.now, round_entropy(held.task_id, number)) if late else held.task_id
        cluster = shown.content if piece.cluster is None else piece.cluster
        filing.items[name] = NewItem(
            task_id=name,
            tenant=chunk.tenant,
            enterprise=chunk.enterprise,
            lane=piece.lane,
            port=entry.port,
            tier=policy.tier.value,
            state=state.value,
            reason=held.reason,
            risk=shown.risk,
            fast_lane=fast_lane,
            total=len(held.indices) if late else entry.task_total,
            chunks=entry.task_chunks,
            content=render(entry, held.indices[0] - entry.first),
            template=bool(entry.slots),
            cluster=late_cluster(cluster, shown.digests) if late else cluster,
            sketch=pack(fingerprint(text_to_compare(entry)).sketch),
            posted_by=entry.user,
            ref=entry.ref,
            queued_at=filing.now,
            not_before=entry.not_before,
            expires_at=entry.expires_at,
            due_at=None if state is ItemState.QUEUED else filing.now,
            late_of=held.task_id if late else None,
            round=number,
            fingerprint=shown.content,
        )
        opened = Standing(name, number, state, fast_lane, {shown.content})
        standing.append(opened)
        return opened


def _seen(piece: Piece, judged: dict[int, list[Judgement]]) -> _Seen:
    content, sights = sights_of(piece.event.chunk, piece.entry, piece.held.indices, judged)
    risk = RISK_BULK if piece.held.reason in gate.WAYS else RISK_SCREENED
    return _Seen(content, sights, {content, *(sight.digest for sight in sights)}, risk)


def _join(filing: _Filing, piece: Piece, shown: _Seen, item: Standing, *, new: bool) -> None:
    held = piece.held
    fresh = filing.items.get(item.item)
    if fresh is not None:
        # Nobody has seen it yet: it shows the gravest of what opens it.
        total = fresh.total + (len(held.indices) if fresh.late_of else 0)
        if shown.risk > fresh.risk:
            text = render(piece.entry, held.indices[0] - piece.entry.first)
            fresh = fresh._replace(reason=held.reason, risk=shown.risk, content=text)
        filing.items[item.item] = fresh._replace(total=total)
    elif new or item.round > 1:
        known = filing.joined.get(item.item)
        messages = len(held.indices) + (known.messages if known else 0)
        if known is None or shown.risk > known.risk:
            known = Joined(item.item, messages, int(new), shown.risk, held.reason)
        filing.joined[item.item] = known._replace(messages=messages, news=max(known.news, int(new)))


def _show(filing: _Filing, piece: Piece, shown: _Seen, item: Standing, *, opened: bool) -> None:
    """Record what the part shows with its item, up to `MAX_SIGHTS`; what shows a known finding once more is counted."""
    sights = shown.sights
    if not opened and shown.content not in item.seen:
        sights = [another_content(piece.event.chunk, piece.held.indices, shown.content), *sights]
    for sight in sights:
        if sight.digest not in item.seen:
            if len(item.seen) > MAX_SIGHTS:
                continue
            item.seen.add(sight.digest)
        known = filing.sights.setdefault((item.item, sight.digest), sight)
        if known is not sight:
            known.messages += sight.messages


async def _write(tx: Connection, filing: _Filing, pieces: list[Piece]) -> None:
    if filing.items:
        await store.insert_items(tx, list(filing.items.values()))
    if filing.joined:
        await store.join_items(tx, list(filing.joined.values()))
    if filing.sights:
        await store.record_sights(tx, [(item, sight) for (item, _), sight in filing.sights.items()])
    chunks = {}
    for piece in pieces:
        event = piece.event
        key = (event.chunk.chunk_id, event.part)
        if key not in chunks:
            chunks[key] = (*key, event.chunk.tenant, filing.now, piece.trace, _encode(event))
    await store.insert_held(tx, list(chunks.values()), filing.parts)
    await store.withdraw_arrived(tx, sorted({piece.held.task_id for piece in pieces}), filing.now)
