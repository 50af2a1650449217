"""Composition root of spamfilter: the only place that knows every room."""

from __future__ import annotations

from starlette.types import ASGIApp

from bus.consumer import Consumer
from bus.intake import Limits
from bus.producer import Producer
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.web import build_app
from spamfilter.adapters.counted_log import BusCountedLog
from spamfilter.adapters.events import TopicNames
from spamfilter.api import rulesets as rulesets_api
from spamfilter.api import screening as screening_api
from spamfilter.api.access import Access
from spamfilter.domain.caps import Limits as CodeLimits
from spamfilter.handlers.policy import PolicyHolder
from spamfilter.handlers.screen import ScreenChunks, WindowSettings
from spamfilter.settings import SpamfilterSettings
from spamfilter.store.rulesets import Rulesets

GROUP = "spamfilter"

SLICE = Limits(max_records=32, max_octets=96 * 1024)
"""What is screened in one go.  By octets, because time goes with text: some 20 ms of individual texts, and a code
waits no longer.
"""


async def compose(runtime: Runtime) -> ASGIApp:
    """Return the application; connects, loads the rules and starts consuming."""
    settings = runtime.settings
    assert isinstance(settings, SpamfilterSettings)
    database = Database.of(settings, schema="spamfilter")
    await database.open()
    runtime.on_close(database.close)
    rulesets = Rulesets(database)
    policy = PolicyHolder(rulesets, threshold=settings.sender_threshold, poll_s=settings.policy_poll_s)
    await policy.load()
    producer = Producer(settings.kafka_bootstrap_servers, client_id=settings.instance)
    producer.open()
    runtime.on_close(producer.close)
    names = TopicNames()
    handler = ScreenChunks(
        policy=policy,
        producer=producer,
        counted_log=BusCountedLog(settings.kafka_bootstrap_servers, names.counted),
        clock=runtime.clock,
        windows=WindowSettings(
            settings.sender_window_s * 1_000,
            CodeLimits(settings.code_cap_minute, settings.code_cap_hour, settings.code_cap_day),
        ),
        names=names,
    )
    consumer = Consumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=GROUP,
        topics=list(names.accepted.values()),
        handler=handler,
        producer=producer,
        limits=SLICE,
        overlap_lanes=True,
        code_target_s=settings.code_step_ms / 1000,
        on_assigned=handler.forget,
        on_revoked=handler.forget,
        instance=settings.instance,
        state_dir=settings.state_dir,
    )
    runtime.component("policy", policy)
    runtime.component("consumer", consumer)
    runtime.health.add_database(database)
    runtime.health.check("consumer", consumer.probe)
    runtime.health.check("producer", producer.probe)
    app = build_app(
        runtime,
        title="Guanxin spamfilter",
        description="垃圾短信治理: 审核与规则 / Screening and its rules",
        max_body_octets=8 * 1024 * 1024,
    )
    access = Access(settings)
    app.include_router(screening_api.router(access, policy, runtime.clock))
    app.include_router(rulesets_api.router(access, rulesets, policy, runtime.clock))
    return app
