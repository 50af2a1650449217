"""Single messages: gathered for some milliseconds, committed together, answered when durable, published at once.

One transaction carries hundreds of requests (a commit costs the same for one and for 500).  What is not committed is not answered 202;
what is committed and not published is the relay's.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec
import structlog

from bus.courtesy import Courtesy
from contracts.lanes import Lane
from ingest import metrics, problems
from ingest.domain.identity import fresh_id, single_task_id
from ingest.domain.single import MicroChunk, Single, gather, groups
from ingest.handlers.once import Answer, repeated
from ingest.store import accepts
from ingest.store.accepts import ChunkRow, Claim
from ingest.store.outbox import Outbound
from servicekit.clock import Clock
from servicekit.database import Connection, Database, DatabaseUnavailable
from servicekit.problems import UNAVAILABLE, Problem

MAX_BATCH = 2_000
"""Messages of one commit: more would hold the first ones up for longer than a commit takes."""
MAX_COMMITS = 3
"""Commits of codes under way at once: while one waits for the disk the next is prepared."""
PATIENCE = 2.5
"""Messages of other classes gather so many times longer."""
SPACING_S = 0.025
"""Least time between their commits, which also wait for the one before: every later stage pays by the chunk, some 8 ms of CPU over all of
them, so a steady stream comes in few large ones.  A message that comes by itself does not wait for this."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class Waiting:
    """A message and whoever waits for its answer."""

    single: Single
    key_id: str
    idem_key: str
    body_digest: bytes
    target_id: int | None
    traceparent: str
    future: asyncio.Future[Answer] = field(repr=False)
    since: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class _Draft:
    """The rows of one attempt to commit a batch."""

    rows: list[ChunkRow]
    claims: list[Claim]
    answers: list[tuple[Waiting, bytes]]


class _Line:
    """Messages that wait together, and the commits that take them."""

    def __init__(self, gather_s: float, most_commits: int, spacing_s: float = 0.0) -> None:
        self.gather_s = gather_s
        self.most_commits = most_commits
        self.spacing_s = spacing_s
        self.flushed_at = float("-inf")
        self.pending: list[Waiting] = []
        self.timer: asyncio.TimerHandle | None = None
        self.commits: set[asyncio.Task[None]] = set()


class _Taken(Exception):
    """Some idempotency keys of the batch were used before; nothing of it was written."""

    def __init__(self, claims: list[Claim]) -> None:
        super().__init__(f"{len(claims)} keys")
        self.claims = claims


class SingleAccepter:
    """Gathers and commits; one per process."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        publish: Callable[[Sequence[Outbound]], None],
        courtesy: Courtesy,
        *,
        gather_s: float,
        max_pending: int,
    ) -> None:
        """``publish`` takes committed chunks and returns at once (the bus's fast path); ``courtesy`` is told how long codes wait here."""
        self._database = database
        self._clock = clock
        self._publish = publish
        self._courtesy = courtesy
        self._max_pending = max_pending
        self._codes = _Line(gather_s, MAX_COMMITS)
        self._others = _Line(gather_s * PATIENCE, 1, SPACING_S)

    @property
    def pending(self) -> int:
        """Messages waiting for their commit."""
        return len(self._codes.pending) + len(self._others.pending)

    def accept(
        self, single: Single, *, key_id: str, idem_key: str, body_digest: bytes, target_id: int | None, traceparent: str
    ) -> asyncio.Future[Answer]:
        """Take a message in and return its future answer; raises `Problem` (503) when too many wait already."""
        if self.pending >= self._max_pending:
            raise Problem(problems.OVERLOADED, headers={"retry-after": "1"})
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        line = self._codes if single.head.lane is Lane.VERIFICATION else self._others
        line.pending.append(Waiting(single, key_id, idem_key, body_digest, target_id, traceparent, future))
        if line.timer is None and len(line.commits) < line.most_commits:
            self._flush_later(line, line.gather_s)
        return future

    async def drain(self) -> None:
        """Wait until everything taken in is answered."""
        for line in (self._codes, self._others):
            while line.pending or line.commits:
                if line.timer is not None:
                    line.timer.cancel()
                self._flush(line)
                await asyncio.gather(*line.commits, return_exceptions=True)

    def _flush_later(self, line: _Line, after_s: float) -> None:
        loop = asyncio.get_running_loop()
        line.timer = loop.call_at(max(loop.time() + after_s, line.flushed_at + line.spacing_s), self._flush, line)

    def _flush(self, line: _Line) -> None:
        line.timer = None
        line.flushed_at = asyncio.get_running_loop().time()
        while line.pending and len(line.commits) < line.most_commits:
            batch, line.pending = line.pending[:MAX_BATCH], line.pending[MAX_BATCH:]
            task = asyncio.get_running_loop().create_task(self._commit(batch), name="commit-singles")
            line.commits.add(task)
            task.add_done_callback(lambda done: self._committed(line, done))
        metrics.PENDING.set(self.pending)

    def _committed(self, line: _Line, task: asyncio.Task[None]) -> None:
        line.commits.discard(task)
        if not task.cancelled():
            # A fault of ours was handed to everybody who waited, and is logged where it is answered.
            task.exception()
        if line.pending and line.timer is None:
            self._flush_later(line, 0.0)

    async def _commit(self, batch: list[Waiting]) -> None:
        """Commit the batch and answer everybody in it; every way out of here answers."""
        try:
            while batch:
                draft = _draft(batch, self._clock.wall_ms())
                begun = time.perf_counter()
                try:
                    await self._write(draft)
                except _Taken as taken:
                    batch = await self._answer_repeated(batch, taken.claims)
                    continue
                metrics.COMMIT_SECONDS.labels("single").observe(time.perf_counter() - begun)
                if batch[0].single.head.lane is Lane.VERIFICATION:
                    now = time.monotonic()
                    self._courtesy.code(now - batch[0].since, now)
                metrics.GATHERED.observe(len(batch))
                self._publish([_outbound(row) for row in draft.rows])
                for row in draft.rows:
                    metrics.ACCEPTED.labels(row.lane, "single").inc(len(row.recipients))
                for waiting, answer in draft.answers:
                    _resolve(waiting.future, Answer(202, answer))
                return
        except DatabaseUnavailable as error:
            log.warning("singles_not_accepted", messages=len(batch), reason=str(error))
            _fail(batch, Problem(
                UNAVAILABLE, zh="数据库暂不可用", en="The database is unavailable", headers={"retry-after": "1"}
            ))  # fmt: skip
        except BaseException as error:
            _fail(batch, error if isinstance(error, Exception) else ConnectionError("shutting down"))
            raise

    async def _write(self, draft: _Draft) -> None:
        if not draft.claims:
            async with self._database.connection() as connection:
                await accepts.insert_chunks(connection, draft.rows)
            return
        async with self._database.transaction() as connection:
            taken = await accepts.claim(connection, draft.claims)
            if taken:
                raise _Taken(taken)
            await accepts.insert_chunks(connection, draft.rows)

    async def _answer_repeated(self, batch: list[Waiting], claims: list[Claim]) -> list[Waiting]:
        """Answer those whose key was used before and return the others."""
        taken = {(claim.key_id, claim.idem_key) for claim in claims}
        others = []
        async with self._database.connection() as connection:
            for waiting in batch:
                if (waiting.key_id, waiting.idem_key) in taken:
                    await _repeat(connection, waiting)
                else:
                    others.append(waiting)
        return others


async def _repeat(connection: Connection, waiting: Waiting) -> None:
    stored = await accepts.stored_answer(connection, waiting.key_id, waiting.idem_key)
    try:
        if stored is None:
            # It was there a moment ago: expired in between.  The caller repeats and is a first one then.
            raise Problem(UNAVAILABLE, headers={"retry-after": "1"})
        answer = repeated(waiting.body_digest, stored.body_digest, stored.status, stored.answer)
    except Problem as problem:
        if not waiting.future.done():
            waiting.future.set_exception(problem)
    else:
        _resolve(waiting.future, answer)


def _draft(batch: list[Waiting], now_ms: int) -> _Draft:
    """Cut the batch into chunks and write everybody's answer."""
    singles = [waiting.single for waiting in batch]
    draft = _Draft([], [], [])
    for positions in groups(singles):
        chunk_id = fresh_id(now_ms, os.urandom(10))
        members = [batch[position] for position in positions]
        micro = gather([waiting.single for waiting in members], chunk_id=chunk_id, accepted_at=now_ms)
        draft.rows.append(_row(micro, members))
        for index, waiting in enumerate(members):
            answer = _answer(chunk_id, index, waiting.single)
            draft.answers.append((waiting, answer))
            if waiting.idem_key:
                draft.claims.append(Claim(waiting.key_id, waiting.idem_key, waiting.body_digest, 202, answer))
    return draft


def _row(micro: MicroChunk, members: list[Waiting]) -> ChunkRow:
    hooks = [
        (index, 1, waiting.target_id, single_task_id(micro.chunk_id, index), waiting.single.head.ref)
        for index, waiting in enumerate(members)
        if waiting.target_id is not None
    ]
    return ChunkRow(
        chunk_id=UUID(micro.chunk_id),
        tenant=micro.tenant,
        enterprise=micro.enterprise,
        lane=micro.lane.value,
        task_id=None,
        accepted_at=micro.accepted_at,
        traceparent=next((waiting.traceparent for waiting in members if waiting.traceparent), ""),
        payload=micro.payload,
        recipients=micro.recipients,
        carriers=micro.carriers,
        parts=micro.parts,
        hooks=msgspec.msgpack.encode(hooks) if hooks else None,
    )


def _answer(chunk_id: str, index: int, single: Single) -> bytes:
    # All values are ids, digits and names of ours: nothing in here needs escaping.
    return (
        f'{{"id":"{chunk_id}-{index}","task_id":"{single_task_id(chunk_id, index)}","state":"accepted",'
        f'"class":"{single.head.lane.value}","segments":{single.parts},"not_before":{single.head.not_before},'
        f'"expires_at":{single.head.expires_at}}}'
    ).encode()


def _outbound(row: ChunkRow) -> Outbound:
    return Outbound(row.chunk_id, row.tenant, row.enterprise, row.lane, row.accepted_at, row.traceparent, row.payload)


def _resolve(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(batch: list[Waiting], error: Exception) -> None:
    for waiting in batch:
        if not waiting.future.done():
            waiting.future.set_exception(error)
