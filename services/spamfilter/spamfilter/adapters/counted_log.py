"""The log of counts on the bus, read back for one partition."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from bus.replay import read_back
from contracts.envelope import Envelope, EnvelopeError, decode
from contracts.events.spamfilter import SenderCounted
from spamfilter import metrics

log = structlog.get_logger()


class BusCountedLog:
    """Reads `spamfilter.counted`, which is partitioned like the chunks and written by this service only."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        """Read ``topic`` from the brokers given."""
        self._bootstrap_servers = bootstrap_servers
        self._topic = topic

    async def read(self, partition: int, since_ms: int) -> AsyncIterator[Envelope[SenderCounted]]:
        """Yield the counts produced since ``since_ms`` (Unix ms), in the log's order, to the end as of the call."""
        async for raw in read_back(self._bootstrap_servers, self._topic, [partition], max(0, since_ms)):
            try:
                envelope = decode(raw.value or b"", raw.header("type"))
            except EnvelopeError as error:
                # Not ours to stop for: whatever wrote it was not screening, so no count is missing.
                metrics.LOG_REFUSED.inc()
                log.warning("count_unreadable", partition=partition, offset=raw.offset, code=error.code)
                continue
            if isinstance(envelope.data, SenderCounted):
                yield envelope
