"""What an older owner of a slot left open becomes uncertain, in the transaction that raises the epoch.

Segments of its grants without a durable answer were written, or perhaps written; everything else was never sent and is simply still
in the queue.  Only open grants are read: milliseconds, whatever the backlog.
"""

from __future__ import annotations

import asyncpg
import structlog

from dispatch import metrics
from dispatch.domain import outcomes
from dispatch.domain.linkconfig import LinkConfig
from dispatch.domain.outcomes import RESEND, Outgoing
from dispatch.domain.rules import Rule, rule_of
from dispatch.handlers.claiming import release_of
from dispatch.store import queue, slots
from dispatch.store.outbox import insert_events
from servicekit.database import Connection, Database

log = structlog.get_logger()


def unanswered(
    indices: list[int], segs: list[int], answered_indices: list[int], answered_segs: list[int]
) -> list[tuple[int, int]]:
    """Return the (index, segment) of a grant that have no answer, sorted."""
    return sorted(set(zip(indices, segs, strict=True)) - set(zip(answered_indices, answered_segs, strict=True)))


async def take_slot(
    database: Database, link: LinkConfig, slot: int, epoch: int, beat: int, owner: str, now_ms: int
) -> list[Outgoing] | None:
    """Acquire a slot and settle what was open on it.

    Returns the events to publish (they are in the outbox), or None when somebody else was faster.
    """
    async with database.transaction() as tx:
        if not await slots.acquire(tx, link.name, slot, epoch, beat, owner):
            return None
        await queue.unclaim(tx, link.name, slot)
        events: list[Outgoing] = []
        for grant in await slots.open_grants(tx, link.name, slot, epoch + 1):
            pairs = unanswered(grant["indices"], grant["segs"], grant["answered_indices"], grant["answered_segs"])
            if pairs:
                events.append(await _settle(tx, link, grant, pairs, now_ms))
            await tx.execute("delete from grants where id = $1", grant["id"])
        if events:
            await insert_events(tx, events, now_ms)
        return events


async def _settle(
    tx: Connection, link: LinkConfig, grant: asyncpg.Record, pairs: list[tuple[int, int]], now_ms: int
) -> Outgoing:
    release = release_of(grant)
    chunk, head = release.chunk, release.head
    rule = rule_of(grant["lane"])
    totals = dict(zip(zip(grant["indices"], grant["segs"], strict=True), grant["totals"], strict=True))
    await tx.executemany(
        "insert into uncertain (link, slot, epoch, grant_id, release_id, chunk_id, lane, index, seg, total, recipient, sender, at,"
        " rule) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        [
            (
                link.name,
                grant["slot"],
                grant["epoch"],
                grant["id"],
                head.release_id,
                head.chunk_id,
                head.lane,
                index,
                seg,
                totals[index, seg],
                chunk.recipients[index],
                chunk.entry_of(index).port,
                grant["at"],
                rule.value,
            )
            for index, seg in pairs
        ],
    )
    not_before = now_ms + int(link.hold_s * 1000) if rule is Rule.HOLD else 0
    await tx.execute(
        "insert into item (release_id, ekey, lane, grp, kind, state, not_before, expires_at, attempt, indices, segs, n)"
        " values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $10, $11)",
        head.release_id,
        head.ekey,
        head.lane,
        grant["grp"],
        RESEND,
        0 if not_before else 1,
        not_before,
        grant["expires_at"],
        [index for index, _ in pairs],
        [seg for _, seg in pairs],
        len(pairs),
    )
    metrics.UNCERTAIN.labels(link.name, rule.value).inc(len(pairs))
    log.warning(
        "uncertain_after_takeover",
        link=link.name,
        slot=grant["slot"],
        epoch=grant["epoch"],
        chunk_id=head.chunk_id,
        n=len(pairs),
        rule=rule.value,
    )
    event = outcomes.uncertain(head, link.name, grant["slot"], grant["epoch"], now_ms, pairs, rule.value)
    return outcomes.outcome(head, event, f"uncertain-{grant['id']}", 0, now_ms)
