"""A network that falls silent (connections stay, octets wait: a frozen server, a cut cable) or dies (connections break)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit


class Silence:
    """A proxy before a TCP server; `url` is its address in place of the server's."""

    def __init__(self, url: str) -> None:
        """``url`` of the server, with host and port."""
        parts = urlsplit(url)
        self._server = (str(parts.hostname), int(parts.port or 0))
        self._parts = parts
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._dead = False
        self.url = ""

    async def listen(self) -> asyncio.Server:
        """Begin; the caller closes."""
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        user, _, _ = self._parts.netloc.rpartition("@")
        self.url = urlunsplit(self._parts._replace(netloc=f"{user}@127.0.0.1:{port}"))
        return server

    def fall(self) -> None:
        """Let nothing through from now on, to new connections as little as to old ones."""
        self._open.clear()

    def end(self) -> None:
        """Let through what waited and what comes."""
        self._dead = False
        self._open.set()

    def die(self) -> None:
        """Break every connection, and new ones too until `end`."""
        self._dead = True
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    def close(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if self._dead:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection(*self._server)
        self._writers.update((writer, back))
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.get_running_loop().create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while octets := await source.read(65_536):
                await self._open.wait()
                sink.write(octets)
                await sink.drain()
        except OSError:
            return  # one side is gone, and the other is told by the close
        finally:
            sink.close()


@asynccontextmanager
async def silence(url: str) -> AsyncIterator[Silence]:
    """Yield a proxy before the server of ``url``."""
    made = Silence(url)
    server = await made.listen()
    try:
        yield made
    finally:
        server.close()
        made.close()
