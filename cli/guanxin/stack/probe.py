"""Asks a component over HTTP how it is, without a client library: the supervisor asks often and should cost nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from guanxin.stack.engines import kafka, postgres

TIMEOUT_S = 3.0


class Health(StrEnum):
    """The states of `guanxin stack status`."""

    STARTING = "starting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    STOPPED = "stopped"


Probe = Callable[[], Awaitable[Health]]


async def http_status(port: int, path: str, timeout_s: float = TIMEOUT_S) -> int | None:
    """Return the status of ``GET path`` on 127.0.0.1:``port``, or None when there is no answer in time."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return None
    parts = line.split()
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None


def of_service(port: int) -> Probe:
    """Ready is healthy; alive but not ready is degraded (it says why itself); silent is unhealthy."""

    async def ask() -> Health:
        if await http_status(port, "/health/ready") == 200:
            return Health.HEALTHY
        return Health.DEGRADED if await http_status(port, "/health/live") == 200 else Health.UNHEALTHY

    return ask


def of_http(port: int, path: str) -> Probe:
    """Healthy when ``path`` answers 200."""

    async def ask() -> Health:
        return Health.HEALTHY if await http_status(port, path) == 200 else Health.UNHEALTHY

    return ask


def of_broker(port: int) -> Probe:
    """Healthy when the broker serves clients."""

    async def ask() -> Health:
        return Health.HEALTHY if await asyncio.to_thread(kafka.is_ready, port, TIMEOUT_S) else Health.UNHEALTHY

    return ask


def of_database(port: int) -> Probe:
    """Healthy when the database accepts sessions."""

    async def ask() -> Health:
        return Health.HEALTHY if await asyncio.to_thread(postgres.is_ready, port, TIMEOUT_S) else Health.UNHEALTHY

    return ask
