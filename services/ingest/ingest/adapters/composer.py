"""Composing a task outside the event loop: parsing 100,000 recipients takes 100 ms, which no verification code shall wait for.

Small requests are composed in place; large ones in a process of their own, at lower priority, which leaves the finished chunks in a spool
file that the event loop reads slice by slice.  The composing itself is `ingest.domain.composition`; here are time, entropy and files.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import multiprocessing
import os
import signal
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path

import msgspec
import structlog

from ingest import metrics
from ingest.adapters import tables
from ingest.domain import composition
from ingest.domain.admission import Caller, Head, Limits, admit
from ingest.domain.composition import ComposedChunk, Rejected
from ingest.domain.identity import fresh_id
from ingest.domain.request import TaskForm, TaskRequest, decode_task
from ingest.domain.single import milliseconds

NICE = 5
"""Priority of the composing process beside the event loop's 0."""
_PR_SET_PDEATHSIG = 1
_LENGTH = struct.Struct("<I")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(ComposedChunk)

log = structlog.get_logger()


class Job(msgspec.Struct, frozen=True):
    """A task to compose: a JSON body (octets, or a path to them) or the form of an upload with the path of its file."""

    caller: Caller
    limits: Limits
    task_id: str
    spool: str
    body: bytes | None = None
    body_path: str = ""
    form: TaskForm | None = None
    file_path: str = ""
    file_name: str = ""
    max_rows: int = 1_000_000


class Composed(msgspec.Struct, frozen=True):
    """A task ready to be stored; its chunks are in ``chunks``, or in the spool file when there are many octets of them."""

    head: Head
    accepted_at: int
    total: int
    accepted: int
    rejected: list[Rejected]
    segments_total: int
    segments_max: int
    chunk_count: int
    chunks: list[ComposedChunk]
    spool: str


class ComposerError(Exception):
    """The composing process died; nothing was accepted and the request may be repeated."""


def compose(job: Job, *, in_place: bool) -> Composed:
    """Do the work; raises `ingest.domain.refusal.Refused`."""
    now_ms = time.time_ns() // 1_000_000
    request = job.form if job.form is not None else decode_task(_octets(job))
    head = admit(
        job.caller,
        lane=request.lane,
        port=request.port,
        content=request.content,
        template=request.template,
        template_id=request.template_id,
        at_ms=milliseconds(request.at),
        validity_s=request.validity,
        ref=request.ref,
        callback_url=request.callback_url,
        now_ms=now_ms,
        limits=job.limits,
    )
    if isinstance(request, TaskRequest):
        numbers, values, faults = composition.rows_of(request.recipients, head.template.names)
    else:
        numbers, values, faults = tables.read(Path(job.file_path), job.file_name, head.template.names, job.max_rows)
    plan = composition.plan(head, numbers, values, faults, max_segments=job.limits.max_segments)
    # The last moment before the chunks are made: acceptance is told to the caller within their commit.
    accepted_at = time.time_ns() // 1_000_000
    chunks = composition.build(
        plan, head, job.caller, task_id=job.task_id, accepted_at=accepted_at, chunk_ids=_ids(accepted_at)
    )
    composed = Composed(
        head=head,
        accepted_at=accepted_at,
        total=plan.total,
        accepted=plan.accepted,
        rejected=plan.rejected,
        segments_total=sum(plan.parts),
        segments_max=max(plan.parts),
        chunk_count=len(plan.cuts),
        chunks=list(chunks) if in_place else [],
        spool="" if in_place else job.spool,
    )
    if not in_place:
        _write(Path(job.spool), chunks)
    return composed


def _octets(job: Job) -> bytes:
    return Path(job.body_path).read_bytes() if job.body is None else job.body


def _ids(epoch_ms: int) -> Iterator[str]:
    while True:
        yield fresh_id(epoch_ms, os.urandom(10))


def _write(path: Path, chunks: Iterator[ComposedChunk]) -> None:
    with path.open("wb") as stream:
        for chunk in chunks:
            frame = _encoder.encode(chunk)
            stream.write(_LENGTH.pack(len(frame)))
            stream.write(frame)


def slices(composed: Composed, size: int) -> Iterator[list[ComposedChunk]]:
    """Yield the chunks, ``size`` at a time; from the spool file at most that many are in memory."""
    source = _read(Path(composed.spool)) if composed.spool else iter(composed.chunks)
    while part := list(islice(source, size)):
        yield part


def _read(path: Path) -> Iterator[ComposedChunk]:
    with path.open("rb") as stream:
        while header := stream.read(_LENGTH.size):
            yield _decoder.decode(stream.read(_LENGTH.unpack(header)[0]))


def _begin_worker() -> None:
    """Die with the parent, leave signals to it, and give way to it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)


class Composer:
    """Runs jobs in place or in worker processes; one per service process."""

    def __init__(self, folder: Path, *, inline_octets: int, workers: int = 2) -> None:
        """``folder`` holds spool files and is emptied: what a crash left there was never accepted."""
        self.folder = folder
        self.inline_octets = inline_octets
        self._workers = workers
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
        self._pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        # spawn: a fork of a process with threads and an event loop inherits their locks in whatever state they are.
        return ProcessPoolExecutor(
            self._workers, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_worker
        )

    def warm(self) -> None:
        """Begin to start the processes, so that the first large task does not wait for all of their imports."""
        for _ in range(self._workers):
            self._pool.submit(time.sleep, 0.05)

    async def compose(self, job: Job) -> Composed:
        """Return the composed task; raises `Refused`, or `ComposerError` when the worker died."""
        begun = time.perf_counter()
        if job.body is not None and len(job.body) <= self.inline_octets:
            composed = compose(job, in_place=True)
            metrics.COMPOSE_SECONDS.labels("loop").observe(time.perf_counter() - begun)
            return composed
        pool = self._pool
        try:
            composed = await asyncio.get_running_loop().run_in_executor(pool, _compose_in_worker, job)
        except BrokenProcessPool as error:
            log.warning("composer_died", task_id=job.task_id)
            if pool is self._pool:
                self._pool = self._new_pool()
            raise ComposerError from error
        metrics.COMPOSE_SECONDS.labels("process").observe(time.perf_counter() - begun)
        return composed

    def discard(self, *paths: str) -> None:
        """Remove spool files that are done with; absent ones are."""
        for path in paths:
            if path:
                with contextlib.suppress(FileNotFoundError):
                    Path(path).unlink()

    async def close(self) -> None:
        """End the processes; jobs under way are cut off, and were accepted by nobody."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _compose_in_worker(job: Job) -> Composed:
    return compose(job, in_place=False)
