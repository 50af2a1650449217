"""``python delay.py PORT TARGET_PORT MILLISECONDS``: a TCP proxy that hands on every octet, either way, so much later, in order.

Half of a link's round trip each way.  Nothing is held back but by time: what is written in one piece arrives in one piece.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import cast

import uvloop


class Half(asyncio.Protocol):
    """One side of a connection; ``other`` is the far one."""

    def __init__(self, seconds: float, target: int | None) -> None:
        self._seconds, self._target = seconds, target
        self._waiting: list[bytes] = []
        self._opening: asyncio.Task[None] | None = None
        self.other: Half | None = None
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._target is not None:
            self._opening = asyncio.create_task(self._open(self._target))

    async def _open(self, target: int) -> None:
        far = Half(self._seconds, None)
        far.other = self
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, "127.0.0.1", target)
        except OSError:
            self.transport.close()
            return
        self.other = far
        for octets in self._waiting:
            self._later(octets)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._waiting.append(data)
        else:
            self._later(data)

    def _later(self, octets: bytes) -> None:
        asyncio.get_running_loop().call_later(self._seconds, self._hand_on, octets)

    def _hand_on(self, octets: bytes) -> None:
        if self.other is not None and not self.other.transport.is_closing():
            self.other.transport.write(octets)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            asyncio.get_running_loop().call_later(self._seconds, self.other.transport.close)


async def _serve(port: int, target: int, seconds: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Half(seconds, target), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1e3))
