"""For tests: a simulated carrier of any protocol in this process, and dispatch's link to it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from carrier_client import Carrier, running_carrier

from carrier.dialects import dialect
from dispatch.domain.linkconfig import LinkConfig, parse_links

SECRET = "secret"


@asynccontextmanager
async def a_link(
    protocol: str, *, name: str = "", carriers: list[str] | None = None, sessions: int = 2, **settings: Any
) -> AsyncIterator[tuple[Carrier, LinkConfig]]:
    """A carrier and the link to it; where the carrier calls, with a port that is ours."""
    called = dialect(protocol).carrier_calls
    with socket.socket() as keeper:
        # Bound and never listening: nobody else is given the port, and the listener may share it.
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind(("127.0.0.1", 0))
        port = keeper.getsockname()[1]
        listener = f"127.0.0.1:{port}" if called else ""
        async with running_carrier(
            protocol=protocol, sessions=sessions, listener=listener, listener_pause_ms=50
        ) as carrier:
            entry = {
                "name": name or "a",
                "protocol": protocol,
                "host": "127.0.0.1",
                "port": carrier.port,
                "account": "gx",
                "password": SECRET,
                "rate": 100_000,
                "sessions": sessions,
                "carriers": carriers or [],
                **({"listen_host": "127.0.0.1", "listen_port": port, "node_id": 3010092008} if called else {}),
            }
            (link,) = parse_links([entry | settings])
            yield carrier, link
