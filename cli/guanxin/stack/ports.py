"""Chooses TCP ports on the loopback address: the one of the last run, else the usual one, else any that is free."""

from __future__ import annotations

import socket


def is_free(port: int) -> bool:
    """Tell whether nothing listens on 127.0.0.1:``port``; connections in TIME_WAIT do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def any_free(taken: set[int] | None = None) -> int:
    """Return a free port outside ``taken``."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if not taken or port not in taken:
            return port


def choose(preferred: list[int], taken: set[int]) -> int:
    """Return the first of ``preferred`` that is free and not in ``taken``, else any free one; adds it to ``taken``."""
    for port in preferred:
        if port not in taken and is_free(port):
            taken.add(port)
            return port
    port = any_free(taken)
    taken.add(port)
    return port
