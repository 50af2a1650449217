"""Where a modem is plugged in: a pseudo terminal under a stable name, or a TCP port as serial servers have.

Octets only; what they mean is `device`'s.  A pseudo terminal's name is a link, as udev makes them under /dev/serial, so
a modem that was unplugged comes back under the same name.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

_READ_AT_ONCE = 4096
_MOST_UNWRITTEN = 256 * 1024
"""Octets kept for a computer that does not read; a line without flow control loses what is above."""

OnOctets = Callable[[bytes], None]


class Port(Protocol):
    """One place to plug in."""

    address: str
    """What the computer opens."""

    async def plug(self) -> None:
        """Appear."""

    def unplug(self) -> None:
        """Disappear, as when the cable is pulled."""

    def write(self, octets: bytes) -> None:
        """Write to the computer, if one is there."""


class PtyPort:
    """A pseudo terminal; the link `path` points to its other end."""

    def __init__(self, path: Path, on_octets: OnOctets) -> None:
        self.address = str(path)
        self._path = path
        self._on_octets = on_octets
        self._ours = -1
        self._theirs = -1
        self._unwritten = bytearray()

    async def plug(self) -> None:
        """Open a pseudo terminal and link to it; raises OSError."""
        self._ours, self._theirs = os.openpty()
        # Their end stays open here too: otherwise reading fails whenever no computer has it open.
        tty.setraw(self._theirs)
        os.set_blocking(self._ours, False)
        await asyncio.to_thread(_link, os.ttyname(self._theirs), self._path)
        asyncio.get_running_loop().add_reader(self._ours, self._readable)

    def unplug(self) -> None:
        """Close both ends: whoever has it open reads an end of file."""
        if self._ours < 0:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._ours)
        loop.remove_writer(self._ours)
        self._path.unlink(missing_ok=True)
        os.close(self._ours)
        os.close(self._theirs)
        self._ours = self._theirs = -1
        self._unwritten.clear()

    def write(self, octets: bytes) -> None:
        """Write what the pseudo terminal takes, the rest when it takes more."""
        if self._ours < 0:
            return
        if self._unwritten:
            self._unwritten += octets[: max(0, _MOST_UNWRITTEN - len(self._unwritten))]
            return
        rest = octets[_written(self._ours, octets) :]
        if rest:
            self._unwritten += rest[:_MOST_UNWRITTEN]
            asyncio.get_running_loop().add_writer(self._ours, self._writable)

    def _writable(self) -> None:
        del self._unwritten[: _written(self._ours, bytes(self._unwritten))]
        if not self._unwritten:
            asyncio.get_running_loop().remove_writer(self._ours)

    def _readable(self) -> None:
        with suppress(BlockingIOError):
            self._on_octets(os.read(self._ours, _READ_AT_ONCE))


def _written(descriptor: int, octets: bytes) -> int:
    try:
        return os.write(descriptor, octets)
    except BlockingIOError:
        return 0


def _link(target: str, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)


class TcpPort:
    """A listening port; as on a serial server the newest computer has the line."""

    def __init__(self, host: str, port: int, on_octets: OnOctets) -> None:
        self.address = f"{host}:{port}"
        self._host, self._port = host, port
        self._on_octets = on_octets
        self._server: asyncio.Server | None = None
        self._line: _Line | None = None

    async def plug(self) -> None:
        """Listen; raises OSError."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Line(self), self._host, self._port)
        self._port = int(self._server.sockets[0].getsockname()[1])
        self.address = f"{self._host}:{self._port}"

    def unplug(self) -> None:
        """Stop listening and cut the line."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.take(None)

    def write(self, octets: bytes) -> None:
        """Write to the computer that has the line."""
        if self._line is not None:
            self._line.write(octets)

    def take(self, line: _Line | None) -> None:
        """A computer connected."""
        if self._line is not None:
            self._line.cut()
        self._line = line

    def gone(self, line: _Line) -> None:
        """A computer went."""
        if self._line is line:
            self._line = None

    def read(self, line: _Line, octets: bytes) -> None:
        """A computer wrote."""
        if self._line is line:
            self._on_octets(octets)


class _Line(asyncio.Protocol):
    def __init__(self, port: TcpPort) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._port.take(self)

    def data_received(self, data: bytes) -> None:
        self._port.read(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._port.gone(self)

    def write(self, octets: bytes) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size() < _MOST_UNWRITTEN:
            self._transport.write(octets)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()
