"""A task: composed, committed as a whole, answered, published slice by slice.

All chunks are in one transaction, so a task is accepted whole or not at all, and its total is known before the first event.  Publishing
goes on after the answer; what a crash leaves is the relay's.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import msgspec
import structlog

from bus.courtesy import Courtesy
from bus.producer import PublishFailed
from ingest import metrics
from ingest.adapters.composer import Composed, Composer, ComposerError, Job, slices
from ingest.domain.admission import Limits
from ingest.domain.composition import ComposedChunk
from ingest.domain.identity import fresh_id
from ingest.domain.register import Key
from ingest.domain.request import TaskForm
from ingest.handlers.once import Answer, InFlight, repeated
from ingest.handlers.targets import Targets
from ingest.store import accepts
from ingest.store.accepts import ChunkRow, Claim, TaskRow
from ingest.store.outbox import Outbound
from servicekit.clock import Clock
from servicekit.database import Connection, Database
from servicekit.problems import UNAVAILABLE, Problem
from servicekit.telemetry import unfollowed

SLICE = 8
"""Chunks (4,000 messages) written or published at a time: a few milliseconds of the event loop."""
MAX_PUBLISHING = 32
"""Tasks published from memory at once; beyond it (the broker is away) the relay takes them from the database."""
FOLLOWED = 1
"""Chunks of a task whose way is followed when its trace is; the others carry the trace's id only.  A chunk of 500 leaves some hundred
spans of 40 us, its outcomes cannot be merged with one another, and bulk comes in few tasks: every one of them would be followed."""
SAMPLE = 100
"""Rejected recipients in the answer; all of them are at ``/v1/tasks/{id}/rejected``."""

log = structlog.get_logger()

Publish = Callable[[Sequence[Outbound]], Awaitable[None]]


class TaskAccepter:
    """Takes tasks in; one per process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        composer: Composer,
        targets: Targets,
        in_flight: InFlight,
        publish: Publish,
        courtesy: Courtesy,
        *,
        limits: Limits,
        max_rows: int,
    ) -> None:
        """``publish`` returns when the broker has acknowledged and the rows are marked or about to be; ``courtesy`` says how long
        publishing rests between slices for codes' sake.
        """
        self._database = database
        self._clock = clock
        self._composer = composer
        self._targets = targets
        self._in_flight = in_flight
        self._publish = publish
        self._courtesy = courtesy
        self._limits = limits
        self._max_rows = max_rows
        self._publishing: set[asyncio.Task[None]] = set()

    async def accept(
        self,
        key: Key,
        *,
        body: bytes | None = None,
        body_path: str = "",
        form: TaskForm | None = None,
        file_path: str = "",
        file_name: str = "",
        digest: bytes,
        idem_key: str,
        traceparent: str,
    ) -> Answer:
        """Return the answer; raises `Problem` and `Refused`.  ``digest`` is of everything the caller sent."""
        task_id = fresh_id(self._clock.wall_ms(), os.urandom(10))
        job = Job(
            caller=key.caller,
            limits=self._limits,
            task_id=task_id,
            spool=str(self._composer.folder / f"{task_id}.chunks"),
            body=body,
            body_path=body_path,
            form=form,
            file_path=file_path,
            file_name=file_name,
            max_rows=self._max_rows,
        )

        async def work() -> Answer:
            return await self._once(key, job, digest, idem_key, traceparent)

        if not idem_key:
            return await work()
        return await self._in_flight.once(key.key_id, idem_key, digest, work)

    async def _once(self, key: Key, job: Job, digest: bytes, idem_key: str, traceparent: str) -> Answer:
        if idem_key:
            known = await self._known(key, idem_key, digest)
            if known is not None:
                return known
        handed_on = False
        try:
            try:
                composed = await self._composer.compose(job)
            except ComposerError as error:
                raise Problem(UNAVAILABLE, headers={"retry-after": "1"}) from error
            target_id = await self._targets.of(key, composed.head.callback_url)
            answer = Answer(202, _answer(job.task_id, composed))
            make = _Rows(key, job.task_id, traceparent, target_id, composed)
            begun = time.perf_counter()
            async with self._database.transaction() as connection:
                claim = Claim(key.key_id, idem_key, digest, answer.status, answer.body)
                taken = bool(idem_key) and bool(await accepts.claim(connection, [claim]))
                if not taken:
                    await _write(connection, make)
            if taken:
                # Another process was first, and has committed by now.
                known = await self._known(key, idem_key, digest)
                if known is None:
                    raise Problem(UNAVAILABLE, headers={"retry-after": "1"})
                return known
            metrics.COMMIT_SECONDS.labels("task").observe(time.perf_counter() - begun)
            _count(composed)
            handed_on = self._publish_later(make)
            return answer
        finally:
            if not handed_on:
                self._composer.discard(job.spool)

    async def _known(self, key: Key, idem_key: str, digest: bytes) -> Answer | None:
        async with self._database.connection() as connection:
            stored = await accepts.stored_answer(connection, key.key_id, idem_key)
        return None if stored is None else repeated(digest, stored.body_digest, stored.status, stored.answer)

    def _publish_later(self, make: _Rows) -> bool:
        """Publish in the background; False when too much is being published, and the relay will."""
        if len(self._publishing) >= MAX_PUBLISHING:
            return False
        task = asyncio.get_running_loop().create_task(self._publish_all(make), name="publish-task")
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)
        return True

    async def _publish_all(self, make: _Rows) -> None:
        try:
            at = 0
            for part in slices(make.composed, SLICE):
                await self._publish([make.outbound(chunk, number) for number, chunk in enumerate(part, at)])
                at += len(part)
                await asyncio.sleep(self._courtesy.rest(time.monotonic()))
        except PublishFailed as error:
            log.warning("task_left_to_relay", task_id=make.task_id, reason=str(error))
        finally:
            self._composer.discard(make.composed.spool)

    async def drain(self) -> None:
        """Wait for the publishing under way."""
        while self._publishing:
            await asyncio.gather(*self._publishing, return_exceptions=True)


class _Rows:
    """The rows of a composed task."""

    def __init__(self, key: Key, task_id: str, traceparent: str, target_id: int | None, composed: Composed) -> None:
        self.key = key
        self.task_id = task_id
        self._traceparents = (traceparent, unfollowed(traceparent))
        self.target_id = target_id
        self.composed = composed

    def task(self) -> TaskRow:
        composed, head = self.composed, self.composed.head
        return TaskRow(
            task_id=UUID(self.task_id),
            tenant=self.key.tenant,
            enterprise=self.key.enterprise,
            key_id=self.key.key_id,
            user_name=self.key.name,
            lane=head.lane.value,
            port=head.port,
            template_id=head.template_id,
            content=head.content,
            content_hash=hashlib.sha256(head.content.encode()).digest(),
            ref=head.ref,
            callback_url=head.callback_url,
            total=composed.total,
            accepted=composed.accepted,
            rejected=len(composed.rejected),
            chunks=composed.chunk_count,
            segments_total=composed.segments_total,
            segments_max=composed.segments_max,
            not_before=head.not_before,
            expires_at=head.expires_at,
            created_at=composed.accepted_at,
        )

    def traceparent(self, number: int) -> str:
        """Return the trace context of a chunk by its number in the task, from 0."""
        return self._traceparents[number >= FOLLOWED]

    def chunk(self, chunk: ComposedChunk, number: int) -> ChunkRow:
        head = self.composed.head
        count = len(chunk.recipients)
        hooks = None if self.target_id is None else [(0, count, self.target_id, self.task_id, head.ref)]
        return ChunkRow(
            chunk_id=UUID(chunk.chunk_id),
            tenant=self.key.tenant,
            enterprise=self.key.enterprise,
            lane=head.lane.value,
            task_id=UUID(self.task_id),
            accepted_at=self.composed.accepted_at,
            traceparent=self.traceparent(number),
            payload=chunk.payload,
            recipients=chunk.recipients,
            carriers=chunk.carriers,
            parts=chunk.parts,
            hooks=None if hooks is None else msgspec.msgpack.encode(hooks),
        )

    def outbound(self, chunk: ComposedChunk, number: int) -> Outbound:
        return Outbound(
            UUID(chunk.chunk_id),
            self.key.tenant,
            self.key.enterprise,
            self.composed.head.lane.value,
            self.composed.accepted_at,
            self.traceparent(number),
            chunk.payload,
        )


async def _write(connection: Connection, make: _Rows) -> None:
    now = datetime.now(UTC)
    await accepts.insert_task(connection, make.task(), make.composed.rejected)
    at = 0
    for part in slices(make.composed, SLICE):
        rows = [make.chunk(chunk, number) for number, chunk in enumerate(part, at)]
        at += len(part)
        if len(rows) == 1:
            await accepts.insert_chunks(connection, rows)
        else:
            await accepts.copy_chunks(connection, rows, now)


def _count(composed: Composed) -> None:
    metrics.ACCEPTED.labels(composed.head.lane.value, "task").inc(composed.accepted)
    for rejected in composed.rejected:
        metrics.RECIPIENTS_REJECTED.labels(rejected.reason).inc()


def _answer(task_id: str, composed: Composed) -> bytes:
    head = composed.head
    document = {
        "id": task_id,
        "state": "accepted",
        "class": head.lane.value,
        "port": head.port,
        "total": composed.total,
        "accepted": composed.accepted,
        "rejected": len(composed.rejected),
        "rejected_sample": [
            {"index": each.index, "to": each.to, "reason": each.reason} for each in composed.rejected[:SAMPLE]
        ],
        "segments": {"total": composed.segments_total, "max": composed.segments_max},
        "not_before": head.not_before,
        "expires_at": head.expires_at,
        "created_at": composed.accepted_at,
    }
    return msgspec.json.encode(document)
