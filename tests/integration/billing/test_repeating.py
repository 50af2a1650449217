"""A charge the bus lost is said again on request: the same events, of the chunk asked about only, and nothing is charged anew."""

from __future__ import annotations

from billing_sync.handlers.outboxes import FileOutbox
from billing_sync.handlers.repeating import ChargesAgain
from bus.records import Batch, RawRecord, Record
from contracts import topics
from contracts.envelope import wrap
from contracts.events.ingest import OutcomesMissed


async def _asked(office, chunk_id: str, *, uncharged: bool = True):
    data = OutcomesMissed(chunk_id=chunk_id, enterprise="e1", at=1, uncharged=uncharged)
    envelope = wrap(data, id="x", key="demo:e1", tenant="demo", occurred_at=1)
    batch = Batch(topics.MISSED, None, [Record(RawRecord(topics.MISSED, 0, 0, 0, b"", b"", ()), envelope, "")])
    async with office.database.transaction() as tx:
        return await ChargesAgain().effect(tx, batch)


async def test_the_charges_of_a_chunk_are_said_again(office, make):
    chunk, other, open_ = make.chunk(), make.chunk(), make.chunk()
    for each in (chunk, other):
        await office.take(make.answered(each, 3), make.reported(each, 2))
    await office.take(make.answered(open_, 1))
    office.clock.now += 5 * make.minute
    await office.clerk.once()
    await office.take(make.reported(chunk, 1, first=2))
    office.clock.now += 5 * make.minute
    await office.clerk.once()

    outbox = FileOutbox()
    async with office.database.connection() as connection:
        filed = await outbox.pending(connection, 0.0, 10)
    first = {envelope.id: (topic, envelope) for row in filed for topic, envelope in outbox.events(row)}
    before = await office.figures()
    effect = await _asked(office, chunk)
    again = {envelope.id: (topic, envelope) for topic, envelope in effect.publish}
    assert len(again) == 2, "one of each file"
    assert again == {name: event for name, event in first.items() if event[1].data.chunk_id == chunk}
    assert await office.figures() == before
    assert list((await _asked(office, open_)).publish) == [], "it is charged when it is closed"
    assert list((await _asked(office, chunk, uncharged=False)).publish) == []


async def test_a_chunk_id_that_is_none_is_buried(office):
    effect = await _asked(office, "7")
    assert [each.code for each in effect.invalid] == ["chunk_id_invalid"]
