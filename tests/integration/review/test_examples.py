"""Every example of an event review consumes is handled, from the committed octets on, and what review says can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bus.records import Batch, RawRecord, Record
from contracts.envelope import decode, encode
from contracts.events.ingest import TaskCancelled
from contracts.events.review import ChunkReleased, Decision, MessagesDecided
from contracts.examples import AT, TASK_ID, examples
from contracts.topics import TOPICS
from review.domain.hours import Hours
from review.domain.policy import Tier, Window
from review.handlers.gate import Gate
from review.handlers.withdraw import Withdrawals
from review.store.policies import PolicyStore
from servicekit.database import Database
from servicekit.migrate import OWNERS, migrate

CONSUMED = {topic.name: event for topic in TOPICS.values() if "review" in topic.consumers for event in topic.events}


class StandingClock:
    """It is the time of the examples."""

    def wall_ms(self) -> int:
        return AT + 7

    def monotonic(self) -> float:
        return 0.0


def gate() -> Gate:
    return Gate(
        PolicyStore(Tier.HIGH, 50),
        StandingClock(),
        Hours(Window(0, 1440), every_day=True),
        Window(0, 1440),
        split_window_minutes=10,
        refuse_outside_hours=True,
    )


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    await migrate(postgres_url, OWNERS["review"])
    made = Database(postgres_url, "review", application="contract")
    await made.open()
    yield made
    await made.close()


async def feed(database: Database, topic: str, name: str) -> Any:
    octets = encode(examples()[name])
    batch = Batch(topic, TOPICS[topic].lane, [Record(RawRecord(topic, 0, 0, AT, b"", octets, ()), decode(octets), "")])
    handler = Withdrawals(StandingClock()) if name == TaskCancelled.__name__ else gate()
    async with database.transaction() as tx:
        return await handler.effect(tx, batch)


@pytest.mark.parametrize("topic", CONSUMED)
async def test_the_example_is_taken_in_twice_as_once(topic, database):
    first = await feed(database, topic, CONSUMED[topic])
    again = await feed(database, topic, CONSUMED[topic])
    assert not first.invalid
    assert again.publish == first.publish
    for to, envelope in first.publish:
        assert decode(encode(envelope)) == envelope
        assert envelope.type in TOPICS[to].events
        assert TOPICS[to].producer == "review"


async def test_the_clean_message_goes_and_the_marked_one_waits(database):
    effect = await feed(database, "spamfilter.screened.notice", "ChunkScreened")
    said = [envelope.data for _, envelope in effect.publish]
    assert [event.indices for event in said if isinstance(event, ChunkReleased)] == [[0]]
    assert [
        event.indices for event in said if isinstance(event, MessagesDecided) and event.decision is Decision.HELD
    ] == [[1]]
    assert await database.fetchval("select state from item where task_id = $1", TASK_ID) == "queued"
    await feed(database, "ingest.cancelled", "TaskCancelled")
    assert await database.fetchval("select state from item where task_id = $1", TASK_ID) == "withdrawn"
