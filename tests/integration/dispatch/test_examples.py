"""Every example of an event dispatch consumes is handled, from the committed octets on, and what dispatch says can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from effects import perform

from bus.records import Batch, RawRecord, Record
from contracts.envelope import decode, encode
from contracts.examples import AT, CHUNK_ID, TASK_ID, examples
from contracts.topics import TOPICS
from dispatch.domain.routing import RouteLink, RouteTable
from dispatch.handlers.cancel import Cancel
from dispatch.handlers.intake import Intake
from dispatch.handlers.repeating import Repeater
from servicekit.database import Database
from servicekit.migrate import OWNERS, migrate

CONSUMED = {topic.name: event for topic in TOPICS.values() if "dispatch" in topic.consumers for event in topic.events}
ROUTES = RouteTable([RouteLink("carrier-a", "carrier-a", 0, "MUTBVFX", active=True)])


class StandingClock:
    """It is the time of the examples."""

    def wall_ms(self) -> int:
        return AT + 10

    def monotonic(self) -> float:
        return 0.0


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    await migrate(postgres_url, OWNERS["dispatch"])
    made = Database(postgres_url, "dispatch", application="contract")
    await made.open()
    yield made
    await made.close()


async def feed(database: Database, topic: str, name: str) -> list[Any]:
    """Handle an example as the consumer would and return what was taken in."""
    taken: list[Any] = []
    handler: Intake | Cancel | Repeater = Intake(clock=StandingClock(), routes=lambda: ROUTES, on_taken=taken.append)
    if name == "TaskCancelled":
        handler = Cancel(clock=StandingClock(), wake_sweeper=lambda: None)
    elif name == "OutcomesMissed":
        handler = Repeater(clock=StandingClock(), publish=lambda _: None)
    octets = encode(examples()[name])
    batch = Batch(topic, TOPICS[topic].lane, [Record(RawRecord(topic, 0, 0, AT, b"", octets, ()), decode(octets), "")])
    effect = await perform(database, handler, batch)
    assert not effect.invalid
    return taken


async def figures(database: Database) -> list[tuple[Any, ...]]:
    rows = await database.fetch(
        "select 'item', i.release_id, i.indices::text from item i union all"
        " select 'event', o.topic, encode(o.payload, 'escape') from outbox o union all"
        " select 'cancelled', task_id, '' from cancelled_task order by 1, 2, 3"
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize("topic", CONSUMED)
async def test_the_example_is_taken_in_twice_as_once(topic, database):
    if CONSUMED[topic] == "OutcomesMissed":
        await feed(database, "review.released.notice", "ChunkReleased")  # else there is nothing to say again
    await feed(database, topic, CONSUMED[topic])
    once = await figures(database)
    assert once
    await feed(database, topic, CONSUMED[topic])
    assert await figures(database) == once
    for kind, to, payload in once:
        if kind == "event":
            said = decode(payload.encode())
            assert said.type in TOPICS[to].events
            assert said.data.chunk_id == CHUNK_ID


async def test_a_cancelled_release_waits_for_the_sweeper_in_either_order(database):
    await feed(database, "ingest.cancelled", "TaskCancelled")
    await feed(database, "review.released.notice", "ChunkReleased")
    assert await database.fetchval("select bool_and(sweep) from item")
    assert await database.fetchval("select $1 = any(task_ids) from release", TASK_ID)
    await database.execute("update item set sweep = false")
    await feed(database, "ingest.cancelled", "TaskCancelled")
    assert await database.fetchval("select bool_and(sweep) from item")
