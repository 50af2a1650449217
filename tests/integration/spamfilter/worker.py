"""A screening worker over topics of a test's own; run as a process of its own so that it can be killed."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace

from bus.consumer import Consumer
from bus.intake import Limits
from bus.producer import Producer
from contracts.lanes import LANES
from servicekit.clock import SystemClock
from spamfilter.adapters.counted_log import BusCountedLog
from spamfilter.adapters.events import TopicNames
from spamfilter.domain.caps import Limits as CodeLimits
from spamfilter.domain.chunks import Policy
from spamfilter.domain.codes import CodeTemplates
from spamfilter.domain.matcher import Matcher
from spamfilter.domain.rules import rule_set
from spamfilter.handlers.policy import shipped_rules
from spamfilter.handlers.screen import ScreenChunks, WindowSettings


def names_of(prefix: str) -> TopicNames:
    return TopicNames(
        accepted={lane: f"{prefix}accepted.{lane.value}" for lane in LANES},
        screened={lane: f"{prefix}screened.{lane.value}" for lane in LANES},
        judged={lane: f"{prefix}judged.{lane.value}" for lane in LANES},
        counted=f"{prefix}counted",
    )


async def work(bootstrap: str, prefix: str, instance: str) -> None:
    names = names_of(prefix)
    producer = Producer(bootstrap, client_id=instance)
    await producer.start()
    policy = SimpleNamespace(current=Policy(Matcher(rule_set(1, shipped_rules())), CodeTemplates([])))
    handler = ScreenChunks(
        policy=policy,
        producer=producer,
        counted_log=BusCountedLog(bootstrap, names.counted),
        clock=SystemClock(),
        windows=WindowSettings(300_000, CodeLimits()),
        names=names,
    )
    consumer = Consumer(
        bootstrap_servers=bootstrap,
        group=f"{prefix}spamfilter",
        topics=list(names.accepted.values()),
        handler=handler,
        producer=producer,
        limits=Limits(max_records=3, max_octets=192 * 1024),
        overlap_lanes=True,
        on_assigned=handler.forget,
        on_revoked=handler.forget,
        instance=instance,
    )
    await consumer.run()


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
