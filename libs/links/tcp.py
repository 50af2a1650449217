"""One carrier session on one TCP connection, either role.

Rules: octets in, events out, in order; everything the session wants to say is written in one piece per turn; before every write the
owner's guard is asked (a lease that ran out means not one more octet); the session's deadlines run on one timer; what the transport
cannot take is visible as `writable`, and the owner stops submitting.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from carrier.events import Closed, CloseReason, Event
from carrier.session import Session
from links import metrics

WRITE_HIGH = 256 * 1024
"""Octets the transport may hold before we stop submitting: a whole window of the largest submits, several times."""

CONNECT_TIMEOUT_S = 10.0

SessionFactory = Callable[[float, float], Session]
"""(monotonic seconds, epoch seconds) to a fresh session."""

Admit = Callable[["LinkConnection"], bool]
"""Asked when a connection came in, before anything of it is read; one that is not admitted is cut without a word."""

OnEvents = Callable[["LinkConnection", list[Event]], None]
"""Called with the events of one read or timer, in order; must not raise on peer data and must not block."""


class LinkConnection(asyncio.Protocol):
    """The connection and its session.

    ``on_events`` gets everything, `Closed` last and exactly once.  ``may_write`` is asked before every write; when it says no the
    connection is cut without a word.
    """

    def __init__(
        self,
        make_session: SessionFactory,
        on_events: OnEvents,
        *,
        role: str,
        may_write: Callable[[], bool] | None = None,
        start: bool = False,
        admit: Admit | None = None,
    ) -> None:
        self.session: Session
        self.writable = True
        self.peer = ""
        self.closed = asyncio.Event()
        self._make_session = make_session
        self._on_events = on_events
        self._may_write = may_write
        self._start = start
        self._admit = admit
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._told_closed = False
        self._connections = metrics.CONNECTIONS.labels(role)
        self._read = metrics.OCTETS_READ.labels(role)
        self._written = metrics.OCTETS_WRITTEN.labels(role)
        self._refused = metrics.WRITES_REFUSED.labels(role)

    # asyncio.Protocol -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is up: make the session and, as a client, bind."""
        # uvloop's transports have asyncio's interface and not its base class, so there is nothing to check by type.
        stream = cast("asyncio.Transport", transport)
        self._transport = stream
        stream.set_write_buffer_limits(high=WRITE_HIGH)
        raw = stream.get_extra_info("socket")
        if raw is not None and raw.family in {socket.AF_INET, socket.AF_INET6}:
            # A window against a carrier 20 ms away is decided by this, not by CPU.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        address = stream.get_extra_info("peername")
        self.peer = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address or "")
        self._connections.inc()
        now = time.monotonic()
        self.session = self._make_session(now, time.time())
        if self._admit is not None and not self._admit(self):
            self.abort("not admitted")
            return
        if self._start:
            self.session.start(now)
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Feed the session, tell the owner, write what came of it."""
        self._read.inc(len(data))
        self._after(self.session.receive_data(data, time.monotonic()))

    def eof_received(self) -> bool:
        """The peer will send no more: nothing can be answered any more either."""
        self._after(self.session.receive_eof(time.monotonic()))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        del exc
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._tell(self.session.receive_eof(time.monotonic()))
        self.closed.set()

    def pause_writing(self) -> None:
        """The peer reads slower than we write."""
        self.writable = False

    def resume_writing(self) -> None:
        """The peer caught up."""
        self.writable = True

    # The owner's calls ------------------------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Write what the session wants to say; False when that may not be, and then the connection is cut."""
        transport = self._transport
        if transport is None:
            return False
        if self._may_write is not None and not self._may_write():
            self._refused.inc()
            self.abort("the lease ran out")
            return False
        octets = self.session.bytes_to_send()
        if octets:
            self._written.inc(len(octets))
            transport.write(octets)
        if self.session.closed is not None:
            transport.close()
        else:
            self._schedule()
        return True

    def unbind(self) -> None:
        """Ask for a graceful end: the session drains, then unbinds; `Closed` tells when."""
        if self._transport is not None:
            self._tell(self.session.unbind(time.monotonic()))
            self.flush()

    def abort(self, detail: str) -> None:
        """Cut the connection now.  What was written and not answered comes back in `Closed.unanswered`."""
        if self._transport is None:
            return
        self._tell(self.session.abort(detail, time.monotonic()))
        transport, self._transport = self._transport, None
        transport.abort()

    # Inside -----------------------------------------------------------------------------------------------------------

    def _after(self, events: list[Event]) -> None:
        if events:
            self._tell(events)
        self.flush()

    def _tell(self, events: list[Event]) -> None:
        if not events or self._told_closed:
            return
        if isinstance(events[-1], Closed):
            self._told_closed = True
        self._on_events(self, events)

    def _schedule(self) -> None:
        at = self.session.next_deadline()
        if at is None:
            return
        if self._timer is not None:
            if self._timer_at <= at:
                return  # it fires earlier and looks again: cheaper than moving it with every submit
            self._timer.cancel()
        self._timer_at = at
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at - time.monotonic()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._transport is None:
            return
        now = time.monotonic()
        at = self.session.next_deadline()
        if at is not None and at <= now:
            self._after(self.session.handle_timer(now))
        elif self.session.closed is None:
            self._schedule()


async def connect(
    host: str,
    port: int,
    make_session: SessionFactory,
    on_events: OnEvents,
    *,
    may_write: Callable[[], bool] | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> LinkConnection:
    """Open a connection as the client and bind.  Raises OSError or TimeoutError when there is no connection."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        _, connection = await loop.create_connection(
            lambda: LinkConnection(make_session, on_events, role="client", may_write=may_write, start=True), host, port
        )
    return connection


async def listen(
    host: str | None,
    port: int,
    make_session: SessionFactory,
    on_events: OnEvents,
    *,
    backlog: int = 100,
    may_write: Callable[[], bool] | None = None,
    admit: Admit | None = None,
    shared: bool = False,
) -> asyncio.Server:
    """Listen as the server; ``port`` 0 takes a free one, ``host`` None every address.  The caller closes the server.

    ``shared`` lets further processes of the same user listen on the port too: the kernel then hands each connection to one of
    them.  Raises OSError when the port cannot be had.
    """
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: LinkConnection(make_session, on_events, role="server", may_write=may_write, admit=admit),
        host,
        port,
        backlog=backlog,
        reuse_port=shared or None,
    )


def end(connection: LinkConnection) -> None:
    """Cut a connection that may be gone already."""
    with suppress(RuntimeError):
        connection.abort("closed by its owner")


__all__ = ["CloseReason", "LinkConnection", "connect", "end", "listen"]
