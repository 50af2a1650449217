"""Every example of an event this service consumes is handled, and what it says itself can be read."""

from __future__ import annotations

import pytest

from billing_sync.handlers.outboxes import FileOutbox, TariffOutbox
from contracts.envelope import decode, encode
from contracts.events.dispatch import SegmentsAnswered
from contracts.examples import examples
from contracts.topics import TOPICS

CONSUMED = sorted({event for topic in TOPICS.values() if "billing" in topic.consumers for event in topic.events})


@pytest.mark.parametrize("name", CONSUMED)
async def test_the_example_is_taken_in_twice_as_once(office, name):
    event = decode(encode(examples()[name])).data
    await office.take(event)
    once = await office.figures()
    await office.take(event)
    assert await office.figures() == once
    if isinstance(event, SegmentsAnswered):
        assert once.answered == sum(status == 0 for status in event.statuses)


async def test_what_is_said_can_be_read(office, make):
    chunk = make.chunk()
    await office.take(make.answered(chunk, 3, segments=2), make.reported(chunk, 3), make.reported(chunk, 3, segment=2))
    office.clock.now += 5 * make.minute
    await office.clerk.once()
    said = []
    for outbox in (FileOutbox(), TariffOutbox()):
        async with office.database.connection() as connection:
            rows = await outbox.pending(connection, 0.0, 10)
        said += [event for row in rows for event in outbox.events(row)]
    assert {(topic, envelope.type) for topic, envelope in said} == {
        ("billing.charged.notice", "SegmentsCharged"),
        ("billing.tariffs", "TariffActivated"),
    }
    for _, envelope in said:
        assert decode(encode(envelope)) == envelope
    charged = next(envelope.data for _, envelope in said if envelope.type == "SegmentsCharged")
    assert sorted(zip(charged.indices, charged.segments, charged.amounts, strict=True)) == [
        (index, segment, "0.0450") for index in range(3) for segment in (1, 2)
    ]
