"""One modem session on one line: a serial port, a pseudo terminal, or a serial server's TCP port.

Rules as in `tcp`: octets in, events out, in order; the session's deadlines run on one timer; before every write the owner's guard is
asked.  The line is opened exclusively, so that two programs never speak to one modem.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Protocol, cast

import serial

from gsm.modem import Modem
from gsm.modem_events import Config, Event, Lost
from links import metrics

CONNECT_TIMEOUT_S = 10.0
_READ_AT_ONCE = 4096
_WRITE_HIGH = 64 * 1024
"""Octets a line may hold before it counts as dead: a modem takes one message at a time, of under 400."""

OnModemEvents = Callable[["ModemConnection", list[Event]], None]
"""Called with the events of one read or timer, in order; must not raise on the modem's data and must not block."""


class Line(Protocol):
    """What a modem is written to."""

    def write(self, octets: bytes) -> None:
        """Write; what the line does not take at once is kept."""

    def abort(self) -> None:
        """Close without waiting for what is kept."""


class ModemConnection(asyncio.Protocol):
    """The line and its session.

    ``on_events`` gets everything, `Lost` last and exactly once, also when the line goes first.  ``may_write`` is asked before
    every write; when it says no the line is cut without a word.
    """

    def __init__(
        self,
        config: Config,
        on_events: OnModemEvents,
        *,
        may_write: Callable[[], bool] | None = None,
    ) -> None:
        self.modem = Modem(config)
        self.closed = asyncio.Event()
        self._on_events = on_events
        self._may_write = may_write
        self._line: Line | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._told_lost = False
        self._read = metrics.OCTETS_READ.labels("modem")
        self._written = metrics.OCTETS_WRITTEN.labels("modem")
        self._refused = metrics.WRITES_REFUSED.labels("modem")

    # asyncio.Protocol -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The line of a serial server is open."""
        # uvloop's transports have asyncio's interface and not its base class, so there is nothing to check by type.
        self.opened(cast("Line", transport))

    def opened(self, line: Line) -> None:
        """The line is open: begin to set the modem up."""
        self._line = line
        metrics.CONNECTIONS.labels("modem").inc()
        self.modem.start(time.monotonic())
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Feed the session, tell the owner, write what came of it."""
        self._read.inc(len(data))
        self._tell(self.modem.receive_data(data, time.monotonic()))
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """The line is gone: unplugged, or closed by us."""
        del exc
        self._line = None
        self._stop_timer()
        self._tell(self.modem.receive_eof(time.monotonic()))
        self.closed.set()

    # The owner's calls ------------------------------------------------------------------------------------------------

    def flush(self) -> bool:
        """Write what the session wants to say; call it after every call of `modem`.  False when that may not be."""
        line = self._line
        if line is None:
            return False
        if self._may_write is not None and not self._may_write():
            self._refused.inc()
            self.close()
            return False
        octets = self.modem.bytes_to_send()
        if octets:
            self._written.inc(len(octets))
            line.write(octets)
        self._schedule()
        return True

    def close(self) -> None:
        """Close the line.  A message in flight gets its event, then comes `Lost`."""
        line, self._line = self._line, None
        if line is None:
            return
        self._stop_timer()
        self._tell(self.modem.receive_eof(time.monotonic()))
        line.abort()

    # Inside -----------------------------------------------------------------------------------------------------------

    def _tell(self, events: list[Event]) -> None:
        if not events or self._told_lost:
            return
        self._told_lost = isinstance(events[-1], Lost)
        self._on_events(self, events)
        if self._told_lost:
            self.close()

    def _schedule(self) -> None:
        self._stop_timer()
        at = self.modem.next_deadline()
        if at is not None and self._line is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, at - time.monotonic()), self._on_timer)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self._tell(self.modem.handle_timer(time.monotonic()))
        self.flush()


class _Tty:
    """A terminal's descriptor on the event loop."""

    def __init__(self, port: serial.Serial, connection: ModemConnection) -> None:
        self._port = port
        self._descriptor: int = port.fileno()
        self._connection = connection
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(self._descriptor, False)
        self._loop.add_reader(self._descriptor, self._readable)

    def write(self, octets: bytes) -> None:
        if self._descriptor < 0:
            return
        if not self._kept:
            self._loop.add_writer(self._descriptor, self._writable)
        self._kept += octets
        self._writable()
        if len(self._kept) > _WRITE_HIGH:
            self._end(TimeoutError("the line takes nothing"))

    def abort(self) -> None:
        self._end(None)

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:  # EIO, ENXIO: unplugged
            self._end(error)
            return
        if data:
            self._connection.data_received(data)
        else:
            self._end(None)

    def _writable(self) -> None:
        try:
            if self._kept:
                del self._kept[: os.write(self._descriptor, self._kept)]
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if not self._kept:
            self._loop.remove_writer(self._descriptor)

    def _end(self, reason: Exception | None) -> None:
        if self._descriptor < 0:
            return
        self._loop.remove_reader(self._descriptor)
        self._loop.remove_writer(self._descriptor)
        self._descriptor = -1
        self._port.close()
        self._loop.call_soon(self._connection.connection_lost, reason)


async def open_tty(
    path: str,
    config: Config,
    on_events: OnModemEvents,
    *,
    baud: int = 115_200,
    may_write: Callable[[], bool] | None = None,
) -> ModemConnection:
    """Open a terminal, 8 bits, no parity, RTS/CTS off, and begin to set up the modem on it.

    Raises OSError when there is none (`serial.SerialException` is one) or another program has it.
    """
    # Opening can block: a driver may wait for the device.
    port = await asyncio.to_thread(serial.Serial, path, baud, timeout=0, exclusive=True)
    connection = ModemConnection(config, on_events, may_write=may_write)
    connection.opened(_Tty(port, connection))
    return connection


async def open_tcp(
    host: str,
    port: int,
    config: Config,
    on_events: OnModemEvents,
    *,
    may_write: Callable[[], bool] | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
) -> ModemConnection:
    """Open a serial server's port (raw TCP) and begin to set up the modem behind it.  Raises OSError or TimeoutError."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        _, connection = await loop.create_connection(
            lambda: ModemConnection(config, on_events, may_write=may_write), host, port
        )
    return connection
