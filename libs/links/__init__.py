"""Carrier sessions (`tcp`) and modem sessions (`serial`) on real lines: the only asyncio that knows sessions.

The protocols live in `carrier` and `gsm`; here are octets, timers and back-pressure, and nothing else.  No reconnecting and no
queue: those are decisions of whoever owns the link.
"""

from links.tcp import LinkConnection, connect, listen

__all__ = ["LinkConnection", "connect", "listen"]
