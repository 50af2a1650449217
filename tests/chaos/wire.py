"""A network between one process and an engine that can be cut: octets wait, as in a network that lost its way, and go on when healed.

Kafka tells its clients where the broker is; `readdress` makes that answer name this proxy, octet for octet of the same length.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

HOST = "127.0.0.1"
PROMPT = -10
"""Niceness of the process the network is in."""


def _as_is(octets: bytes) -> bytes:
    return octets


class Wire:
    """A proxy on a port of its own."""

    def __init__(self, port: int, *, kafka: bool = False) -> None:
        """``port`` is the engine's."""
        self._target = port
        self._kafka = kafka
        self._whole = asyncio.Event()
        self._whole.set()
        self._server: asyncio.Server | None = None
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, HOST, 0)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Let nothing through from now on; connections stay, and new ones are accepted and hear nothing."""
        self._whole.clear()

    def heal(self) -> None:
        """Let through what waited and what comes."""
        self._whole.set()

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.close()
            return
        change = readdress(self._target, self.port) if self._kafka else _as_is
        for pump in (self._pump(reader, back, _as_is), self._pump(there, writer, change)):
            task = asyncio.get_running_loop().create_task(pump)
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, change: Callable[[bytes], bytes]
    ) -> None:
        try:
            while octets := await reader.read(65_536):
                await self._whole.wait()
                writer.write(change(octets))
                await writer.drain()
        except OSError:
            return  # one side hung up; the other is told below
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def readdress(port: int, through: int) -> Callable[[bytes], bytes]:
    """Return a change of Kafka's answers in which 127.0.0.1 and ``port`` become 127.0.0.1 and ``through``.

    An address cut in two by the network's pieces is not seen; metadata answers are short and come in one.
    """
    old = HOST.encode() + struct.pack(">i", port)
    new = HOST.encode() + struct.pack(">i", through)
    return lambda octets: octets.replace(old, new)


def prioritise(process: int, niceness: int) -> None:
    """Set a process's niceness where we may."""
    # A network does not wait for a turn on a busy machine's cores; where we may not have that, it is only slower.
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, process, niceness)


@asynccontextmanager
async def wire(port: int, *, kafka: bool = False) -> AsyncIterator[Wire]:
    """Yield a running proxy before ``port``."""
    made = Wire(port, kafka=kafka)
    await made.start()
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    prioritise(0, PROMPT)
    try:
        yield made
    finally:
        prioritise(0, usual)
        await made.close()
