"""How quickly ingest accepts: single requests a second over keep-alive connections, and messages a second in tasks.

Needs a running ingest (``--url``) and a key with scope send (``--key``) for a port (``--port``).  The load comes from raw
asyncio protocols in this process, so that the client costs little beside the service.  Bounded by ``--seconds``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from urllib.parse import urlsplit


class Caller(asyncio.Protocol):
    """One keep-alive connection: sends the request again as soon as the answer is there, until told to stop."""

    def __init__(self, make: Maker, until: float, latencies: list[float], refused: list[bytes]) -> None:
        self._make = make
        self._until = until
        self._latencies = latencies
        self._refused = refused
        self._buffer = b""
        self._begun = 0.0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._begun = time.perf_counter()
        self._transport.write(self._make())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, rest = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        now = time.perf_counter()
        self._latencies.append(now - self._begun)
        if not head.startswith(b"HTTP/1.1 202"):
            self._refused.append(rest[:length])
        if now < self._until and len(self._refused) < 100:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Maker:
    """Builds requests; numbers run on, so that no two messages go to the same phone at once."""

    def __init__(self, host: str, path: str, key: str, body: object) -> None:
        self._head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\nContent-Length: "
        self._body = body
        self._count = 0

    def __call__(self) -> bytes:
        self._count += 1
        body: bytes = self._body(self._count)  # type: ignore[operator]
        return f"{self._head}{len(body)}\r\n\r\n".encode() + body


def number(count: int) -> str:
    return f"138{count % 100_000_000:08d}"


async def load(url: str, make: Maker, connections: int, seconds: float) -> tuple[float, list[float], list[bytes]]:
    parts = urlsplit(url)
    latencies: list[float] = []
    refused: list[bytes] = []
    loop = asyncio.get_running_loop()
    begun = time.perf_counter()
    callers = []
    for _ in range(connections):
        _, caller = await loop.create_connection(
            lambda: Caller(make, begun + seconds, latencies, refused), parts.hostname or "127.0.0.1", parts.port or 80
        )
        callers.append(caller)
    await asyncio.gather(*(caller.done for caller in callers))
    return time.perf_counter() - begun, latencies, refused


def report(name: str, took: float, latencies: list[float], refused: list[bytes], each: int) -> None:
    good = len(latencies) - len(refused)
    if len(latencies) < 2:
        print(f"{name}: too few requests")
        return
    cuts = statistics.quantiles(latencies, n=100)
    print(
        f"{name:<28} {good / took:>9,.0f} requests/s {good * each / took:>11,.0f} messages/s   "
        f"p50 {cuts[49] * 1000:7.1f} ms  p95 {cuts[94] * 1000:7.1f} ms  p99 {cuts[98] * 1000:7.1f} ms  refused {len(refused)}"
    )
    if refused:
        print("  first refusal:", refused[0].decode()[:300])


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8080")
    arguments.add_argument("--key", required=True)
    arguments.add_argument("--port", default="95598")
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--seconds", type=float, default=5.0)
    arguments.add_argument("--recipients", type=int, default=10_000)
    options = arguments.parse_args()
    host = urlsplit(options.url).netloc

    def single(count: int) -> bytes:
        return json.dumps(
            {"port": options.port, "class": "notice", "to": number(count), "content": f"您的订单 {count} 已发货"}
        ).encode()

    def plain(count: int) -> bytes:
        low = count * options.recipients
        recipients = [number(low + each) for each in range(options.recipients)]
        return json.dumps(
            {"port": options.port, "class": "marketing", "content": "网上缴费立减五元", "recipients": recipients}
        ).encode()

    def templated(count: int) -> bytes:
        low = count * options.recipients
        recipients = [
            {"to": number(low + each), "variables": {"name": f"客户{each}", "amount": f"{each / 100:.2f}"}}
            for each in range(options.recipients)
        ]
        return json.dumps(
            {
                "port": options.port,
                "class": "notice",
                "template": "尊敬的{name}，电费{amount}元",
                "recipients": recipients,
            }
        ).encode()

    for name, path, body, connections, each in (
        ("single messages", "/v1/messages", single, options.connections, 1),
        ("tasks, one content", "/v1/tasks", plain, 2, options.recipients),
        ("tasks, template + variables", "/v1/tasks", templated, 2, options.recipients),
    ):
        make = Maker(host, path, options.key, body)
        took, latencies, refused = await load(options.url, make, connections, options.seconds)
        report(name, took, latencies, refused, each)


if __name__ == "__main__":
    asyncio.run(main())
