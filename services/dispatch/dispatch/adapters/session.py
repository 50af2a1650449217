"""One session slot's live connection: connects, binds, reconnects with back-off, and hands every event to the pump.

It decides nothing about messages.  ``used`` counts what occupies the window: granted, in flight, or answered and not yet durable.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Protocol

import structlog

from carrier.dialect import Dialect
from carrier.errors import UsageError
from carrier.events import (
    Answered,
    BindRefused,
    Bound,
    Closed,
    CloseReason,
    Event,
    ReportReceived,
    RequestReceived,
)
from carrier.model import Outcome, Refusal, Role, Submit
from carrier.session import Session, SessionConfig
from carrier.states import State
from dispatch import metrics
from dispatch.domain.linkconfig import LinkConfig
from dispatch.domain.rules import reconnect_delay_s
from links.tcp import LinkConnection, connect
from servicekit.clock import Clock

log = structlog.get_logger()


class Source(Protocol):
    """Where events come from: the session of a slot of ours, or a connection the carrier opened."""

    @property
    def link(self) -> LinkConfig:
        """The link it belongs to."""
        ...

    @property
    def slot(self) -> int:
        """The slot, 0 for a connection the carrier opened."""
        ...

    @property
    def connection(self) -> LinkConnection | None:
        """What the events came by."""
        ...

    @property
    def backlog(self) -> deque[tuple[int, Submit]]:
        """Granted submits that are not written yet."""
        ...

    def acknowledge(self, connection: LinkConnection, handles: list[int]) -> None:
        """Answer receipts and messages that are durable, on the connection they came by."""
        ...


class Sink(Protocol):
    """Where events go."""

    def on_events(self, source: Source, events: list[Event]) -> None:
        """Take the events of one read, in order; must not block."""
        ...

    def on_fault(self, error: BaseException) -> None:
        """Take a fault of ours; the process must end."""
        ...


class SlotSession:
    """The session of one owned slot."""

    def __init__(
        self,
        link: LinkConfig,
        dialect: Dialect,
        slot: int,
        epoch: int,
        *,
        clock: Clock,
        sink: Sink,
        may_write: Callable[[], bool],
        submit_from: float,
    ) -> None:
        """``submit_from`` is the monotonic time before which nothing may be submitted (the old owner's last second)."""
        self.link = link
        self.slot = slot
        self.epoch = epoch
        self.used = 0
        self.tokens = 0
        """Share of the link's rate this slot has, in messages a second."""
        self.bound = False
        self.draining = False
        self.phase = "acquired"
        self.last_error = ""
        self.submit_from = submit_from
        self.backlog: deque[tuple[int, Submit]] = deque()
        """Granted submits that wait for a rate token: only segments of a long message on a slow link."""
        self.connection: LinkConnection | None = None
        self._dialect = dialect
        self._clock = clock
        self._sink = sink
        self._may_write = may_write
        self._failures = 0
        self._faults = 0
        """How often in a row the carrier said that the session, not the message, is at fault."""
        self._at_fault = False
        self._idled = False
        self._sequences = link.sequences(dialect, slot)
        # A successor whose clock lags must not meet the numbers its predecessor used in the same second.
        self._sequence = None if self._sequences is None else random.randint(*self._sequences)
        self._credentials_refused = False
        self._ended = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._bound_gauge = metrics.SESSIONS_BOUND.labels(link.name)

    @property
    def key(self) -> tuple[str, int]:
        """(link, slot)."""
        return (self.link.name, self.slot)

    def ready(self, now: float) -> bool:
        """Whether something may be granted to it now."""
        return (
            self.bound
            and not self.draining
            and now >= self.submit_from
            and self.connection is not None
            and self.connection.writable
            and self.connection.session.state is State.BOUND
            and self._may_write()
        )

    def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"session-{self.link.name}-{self.slot}")
        self._task.add_done_callback(self._watch)

    def submit(self, batch: list[tuple[int, Submit]]) -> None:
        """Write submits; raises the engine's errors.  The caller granted them."""
        assert self.connection is not None
        self.connection.session.submit(batch, self._clock.monotonic())

    def flush(self) -> None:
        """Write what is queued."""
        if self.connection is not None:
            self.connection.flush()

    def acknowledge(self, connection: LinkConnection, handles: list[int]) -> None:
        """Answer receipts and messages that are durable, on the connection they came by."""
        connection.session.acknowledge(handles)
        connection.flush()

    async def drain(self, timeout_s: float) -> None:
        """Unbind gracefully and wait for the end of the TCP connection, at most ``timeout_s``; then cut it."""
        self.draining = True
        self._stopping = True
        connection = self.connection
        if connection is not None:
            self.phase = "unbinding"
            connection.unbind()
            try:
                async with asyncio.timeout(timeout_s):
                    await connection.closed.wait()
            except TimeoutError:
                connection.abort("drain took too long")
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.phase = "closed"

    def cut(self, detail: str) -> None:
        """Close at once; what was written and not answered becomes uncertain."""
        if self.connection is not None:
            self.connection.abort(detail)

    # Inside -----------------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._attempt()
            if self._stopping:
                return
            if self._idled:
                continue  # we said goodbye ourselves, as the protocol asks of a connection without traffic
            failures = max(self._failures, self._faults)
            delay = reconnect_delay_s(failures, random.random(), credentials=self._credentials_refused)
            self.phase = "waiting"
            await asyncio.sleep(delay)

    async def _attempt(self) -> None:
        if not self._may_write():
            # Without a lease not even a bind may be sent.
            await asyncio.sleep(0.1)
            return
        self._ended.clear()
        self._at_fault = self._idled = False
        self._credentials_refused = False
        self.phase = "connecting"
        limits = self.link.limits(self._dialect)
        config = SessionConfig(self.link.credentials(), limits, self._sequence, self._sequences)
        try:
            self.connection = await connect(
                self.link.host,
                self.link.port,
                lambda now, wall: Session(self._dialect, Role.CLIENT, config, now, wall=wall),
                self._on_events,
                may_write=self._may_write,
            )
        except (OSError, TimeoutError) as error:
            self._failures += 1
            self.last_error = f"connect: {type(error).__name__}"
            metrics.SESSION_FAILURES.labels(self.link.name, "connect").inc()
            log.warning("session_connect_failed", link=self.link.name, slot=self.slot, reason=type(error).__name__)
            return
        self.phase = "binding" if not self.bound else self.phase
        await self._ended.wait()
        if self._sequences is not None:
            self._sequence = self.connection.session.counter + 1
        self.connection = None

    def _on_events(self, connection: LinkConnection, events: list[Event]) -> None:
        for event in events:
            kind = type(event)
            if kind is ReportReceived:
                continue
            if kind is Answered:
                outcome = event.outcome  # type: ignore[union-attr]
                if outcome is Outcome.SESSION:
                    self._on_fault(connection, event)  # type: ignore[arg-type]
                elif self._faults and outcome is Outcome.OK:
                    self._faults = 0
            elif isinstance(event, Bound):
                self._on_bound(connection, event)
            elif isinstance(event, BindRefused):
                self._credentials_refused = event.refusal is Refusal.CREDENTIALS
                self.last_error = f"bind refused: {event.refusal.value} ({event.status:#x})"
            elif isinstance(event, RequestReceived):
                decline(connection, self.link, event)
            elif isinstance(event, Closed):
                self._on_closed(event)
        self._sink.on_events(self, events)

    def _on_fault(self, connection: LinkConnection, event: Answered) -> None:
        """The carrier does not know this session (any more): what is under way is still answered, then it is bound anew."""
        if self._stopping or self._at_fault or connection.session.state is not State.BOUND:
            return
        self._at_fault = True
        self._faults += 1
        self.last_error = f"session at fault: {self._dialect.status_name(event.status)}"
        log.warning("session_at_fault", link=self.link.name, slot=self.slot, status=event.status)
        # Not within the engine's own turn: it is still handing out events.
        asyncio.get_running_loop().call_soon(connection.unbind)

    def _on_bound(self, connection: LinkConnection, event: Bound) -> None:
        if event.trusted is False:
            log.warning("carrier_proof_wrong", link=self.link.name, slot=self.slot, proof=self.link.proof)
            if self.link.proof == "require":
                self._credentials_refused = True
                asyncio.get_running_loop().call_soon(connection.abort, "the carrier's own proof is wrong")
                return
        self.bound = True
        self.phase = "bound"
        self._failures = 0
        self.last_error = "" if event.trusted is not False else "the carrier's own proof is wrong"
        self._bound_gauge.inc()
        log.info("session_bound", link=self.link.name, slot=self.slot, epoch=self.epoch)

    def _on_closed(self, event: Closed) -> None:
        if self.bound:
            self._bound_gauge.dec()
            self._idled = event.reason is CloseReason.UNBOUND and not self._stopping and not self._at_fault
        self.bound = False
        self._failures += 1
        self.phase = "closed"
        if not self.last_error or event.detail:
            self.last_error = f"{event.reason.value}: {event.detail}".rstrip(": ")
        metrics.SESSION_FAILURES.labels(self.link.name, event.reason.value).inc()
        log.info(
            "session_closed",
            link=self.link.name,
            slot=self.slot,
            epoch=self.epoch,
            reason=event.reason.value,
            unanswered=len(event.unanswered),
        )
        self._ended.set()

    def _watch(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._sink.on_fault(error)


def decline(connection: LinkConnection, link: LinkConfig, request: RequestReceived) -> None:
    """Answer what we do not serve (a query, a change of a subscriber) with the protocol's refusal, where it has one."""
    log.warning("request_declined", link=link.name, request=request.name)
    try:
        connection.session.answer(request.handle, Outcome.PERMANENT)
    except UsageError:
        # Between gateways only, answered by fields: silence is what the protocol leaves.
        log.warning("request_unanswerable", link=link.name, request=request.name)
