"""Carrier sessions on real connections: the only asyncio that knows sessions.

The protocol lives in `carrier`; here are octets, timers and back-pressure, and nothing else.  No reconnecting and no queue: those are
decisions of whoever owns the link.
"""

from links.tcp import LinkConnection, connect, listen

__all__ = ["LinkConnection", "connect", "listen"]
