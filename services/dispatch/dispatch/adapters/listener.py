"""Connections the carrier opens to us, in protocols in which it calls: one listening port of one link in one worker.

A worker listens while it owns a slot of the link, and answers only while its lease holds.  Workers on one machine share the port
and the kernel hands each connection to one of them; on several, whatever stands before them does.  It does not matter which one is
called: receipts are matched wherever they arrive.  Nothing is decided about messages here.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import random
from collections import deque
from collections.abc import Callable
from dataclasses import replace

import structlog

from carrier.dialect import Dialect
from carrier.events import BindRequested, Bound, Closed, Event, RequestReceived
from carrier.model import BindMode, Refusal, Role, Submit
from carrier.session import Session, SessionConfig
from dispatch import metrics
from dispatch.adapters.session import Sink, decline
from dispatch.domain.linkconfig import LinkConfig
from dispatch.domain.rules import reconnect_delay_s
from links.tcp import LinkConnection, listen
from servicekit.clock import Clock

log = structlog.get_logger()

OURS = 0
"""Slot under which the raw receipts of the carrier's own connections are stored; agreed sessions count from 1."""


class Caller:
    """One connection of the carrier: a source of receipts and messages from phones, never of answers."""

    __slots__ = ("backlog", "bound", "connection", "link", "slot")

    def __init__(self, link: LinkConfig, connection: LinkConnection) -> None:
        self.link = link
        self.slot = OURS
        self.connection: LinkConnection | None = connection
        self.backlog: deque[tuple[int, Submit]] = deque()
        self.bound = False

    def acknowledge(self, connection: LinkConnection, handles: list[int]) -> None:
        """Answer receipts and messages that are durable."""
        connection.session.acknowledge(handles)
        connection.flush()


class Listener:
    """The port of one link in this worker, and who called."""

    def __init__(
        self, link: LinkConfig, dialect: Dialect, *, clock: Clock, sink: Sink, may_write: Callable[[], bool]
    ) -> None:
        self.link = link
        self.last_error = ""
        """Why the port cannot be had, as long as it cannot."""
        self.callers: dict[LinkConnection, Caller] = {}
        self._dialect = dialect
        self._config = SessionConfig(limits=replace(dialect.limits, response=link.response_s))
        self._networks = [ipaddress.ip_network(network) for network in link.listen_from]
        self._clock = clock
        self._sink = sink
        self._may_write = may_write
        self._server: asyncio.Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._gauge = metrics.CALLERS.labels(link.name)

    def start(self) -> None:
        """Begin to listen; a port somebody else has is tried again and again."""
        self._task = asyncio.get_running_loop().create_task(self._open(), name=f"listener-{self.link.name}")
        self._task.add_done_callback(self._watch)

    async def stop(self, timeout_s: float) -> None:
        """Take no more calls, let what came be answered, unbind; cut what is left after ``timeout_s``."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._server is not None:
            self._server.close()
        open_ones = list(self.callers)
        for connection in open_ones:
            connection.unbind()
        try:
            async with asyncio.timeout(timeout_s):
                for connection in open_ones:
                    await connection.closed.wait()
        except TimeoutError:
            self.cut("drain took too long")
        log.info("listener_closed", link=self.link.name, port=self.link.listen_port)

    def cut(self, detail: str) -> None:
        """End every call at once; the carrier sends again what was not answered."""
        for connection in list(self.callers):
            connection.abort(detail)

    # Inside -----------------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        failures = 0
        while True:
            try:
                self._server = await listen(
                    self.link.listen_host or None,
                    self.link.listen_port,
                    lambda now, wall: Session(self._dialect, Role.SERVER, self._config, now, wall=wall),
                    self._on_events,
                    may_write=self._may_write,
                    admit=self._admit,
                    shared=True,
                )
            except OSError as error:
                failures += 1
                self.last_error = f"listen {self.link.listen_port}: {type(error).__name__}"
                metrics.SESSION_FAILURES.labels(self.link.name, "listen").inc()
                log.warning("listen_failed", link=self.link.name, port=self.link.listen_port, reason=str(error))
                await asyncio.sleep(reconnect_delay_s(failures, random.random()))
            else:
                self.last_error = ""
                log.info("listening", link=self.link.name, port=self.link.listen_port)
                return

    def _admit(self, connection: LinkConnection) -> bool:
        """Whether a connection is looked at: from an address agreed upon, and not one too many."""
        address = ipaddress.ip_address(connection.peer.rpartition(":")[0].partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        if self._networks and not any(address in network for network in self._networks):
            return self._turned_away(connection, "address")
        if len(self.callers) >= self.link.listen_sessions:
            # Who calls and says nothing must not keep the carrier out: the longest silent one makes room.
            silent = next((other for other, caller in self.callers.items() if not caller.bound), None)
            if silent is None:
                return self._turned_away(connection, "too_many")
            silent.abort("made room for another call")
        self.callers[connection] = Caller(self.link, connection)
        return True

    def _turned_away(self, connection: LinkConnection, reason: str) -> bool:
        metrics.SESSION_FAILURES.labels(self.link.name, f"call_{reason}").inc()
        log.warning("call_turned_away", link=self.link.name, peer=connection.peer, reason=reason)
        return False

    def _on_events(self, connection: LinkConnection, events: list[Event]) -> None:
        caller = self.callers.get(connection)
        if caller is None:
            return
        for event in events:
            if isinstance(event, BindRequested):
                self._greet(caller, connection, event)
            elif isinstance(event, RequestReceived):
                decline(connection, self.link, event)
            elif isinstance(event, Closed):
                self._gone(caller, connection, event)
        self._sink.on_events(caller, events)

    def _greet(self, caller: Caller, connection: LinkConnection, request: BindRequested) -> None:
        """Let the carrier in when it is who it should be and brings something: a bind the other way is a mistake (3.5)."""
        now = self._clock.monotonic()
        refusal = connection.session.check_bind(self.link.listen_secret, now)
        if not hmac.compare_digest(request.account.encode(), self.link.listen_account.encode()):
            refusal = Refusal.CREDENTIALS
        elif refusal is None and request.mode is not BindMode.RECEIVER:
            refusal = Refusal.VERSION
        for made in connection.session.answer_bind(refusal, now):
            if isinstance(made, Bound):
                caller.bound = True
                self._gauge.inc()
                log.info("carrier_called", link=self.link.name, peer=connection.peer)
            elif isinstance(made, Closed):
                self._gone(caller, connection, made)
        if refusal is not None:
            log.warning("call_refused", link=self.link.name, peer=connection.peer, reason=refusal.value)

    def _gone(self, caller: Caller, connection: LinkConnection, event: Closed) -> None:
        if self.callers.pop(connection, None) is None:
            return
        if caller.bound:
            caller.bound = False
            self._gauge.dec()
        metrics.SESSION_FAILURES.labels(self.link.name, f"call_{event.reason.value}").inc()

    def _watch(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._sink.on_fault(error)
