"""A broker that loses what it acknowledged, as one does whose machine loses power: it does not fsync.

While ingest and billing-sync are stopped, everything on the topics between the services is deleted.  What was lost is asked for again:
chunks by their record of truth, outcomes from dispatch's journal, and all of it is delivered, known and charged once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from chaos.stage import Stage, stage

from contracts import topics

STAGES = (
    topics.ACCEPTED,
    topics.SCREENED,
    topics.JUDGED,
    topics.RELEASED,
    topics.DECIDED,
    topics.OUTCOMES,
    topics.CHARGED,
)
DEAF = ("ingest-1", "billing-sync-1")
DEAF_S = 3.0
"""Shorter than the group's time-out, so that nobody else is given their partitions."""
ASK_AFTER_S = "3"
CHARGED_S = 330.0
"""The fourth question comes 3 + 12 + 48 + 192 s after the first event; a chunk that was long in the queue has been asked about thrice."""


async def test_acknowledged_records_lost(open_path: Path, holds) -> None:
    settings = {"GUANXIN_ASK_AFTER_S": ASK_AFTER_S, "GUANXIN_SWEEP_AFTER_S": ASK_AFTER_S}
    # The agreed rate is below the load's, so that dispatch has something to send, and to tell of, all the time.
    name = "2b acknowledged records lost by the broker"
    async with stage(open_path / "s", name, environment=settings, pace=0.8) as s:
        lost = 0
        for place in range(3):
            await s.moment(0.25 + place * 0.25, 0.3 + place * 0.25)
            lost += await _lose(s)
        s.notes["records lost after their acknowledgement"] = lost
        figures = await s.settle(charged_s=CHARGED_S)
        asked = await s.rows("select sum(asked) chunks from ingest.chunk_state")
        figures.notes["questions to dispatch and review"] = asked[0]["chunks"]
        holds(figures)
        assert lost > 0, "nothing was on its way"
        assert asked[0]["chunks"], "nobody had to ask for what was lost"


async def _lose(s: Stage) -> int:
    """Delete, while their readers are stopped, all records of the topics; returns how many these had not read."""
    pids = [found["pid"] for name in DEAF if (found := await s.component(name)) is not None]
    made = s.fault("everything acknowledged and not yet read by ingest and billing-sync is lost")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        before = await _read(s)
        await asyncio.sleep(DEAF_S)
        ends = await _delete(s.stack.document["kafka"]["bootstrap_servers"])
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    made.at = time.monotonic()
    return sum(max(0, end - before[tp]) for tp, end in ends.items() if tp in before)


async def _read(s: Stage) -> dict[tuple[str, int], int]:
    """Return the next offsets of ingest and billing-sync, where both read the lesser."""
    sql = "select topic, part, next_offset from {}.consumer_offset where topic like 'dispatch.outcomes.%'"
    found: dict[tuple[str, int], int] = {}
    for schema in ("ingest", "billing"):
        for row in await s.rows(sql.format(schema)):
            tp = (row["topic"], row["part"])
            found[tp] = min(found.get(tp, row["next_offset"]), row["next_offset"])
    return found


async def _delete(bootstrap: str) -> dict[tuple[str, int], int]:
    reader = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await reader.start()
    await admin.start()
    try:
        names = [topic for name in STAGES for topic in topics.topics_of(name)]
        wanted = [TopicPartition(name, part) for name in names for part in range(topics.TOPICS[name].partitions)]
        ends = await reader.end_offsets(wanted)
        await admin.delete_records({tp: RecordsToDelete(end) for tp, end in ends.items()})
    finally:
        await admin.close()
        await reader.stop()
    return {(tp.topic, tp.partition): end for tp, end in ends.items()}
