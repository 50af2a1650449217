"""Composition root of review: every object is made here and given what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI

from bus.consumer import Consumer
from bus.outbox import Relay
from bus.producer import Producer
from console.live import Hub
from contracts import topics
from review.api.pages import Console, build_pages, build_shell
from review.api.tasks import build_api
from review.domain import checklist as checklists
from review.domain.hours import Hours
from review.domain.policy import Window
from review.handlers.announce import Announcer
from review.handlers.clockwork import Clockwork
from review.handlers.decide import Desk
from review.handlers.gate import Gate
from review.handlers.inspect import Inspector
from review.handlers.people import People
from review.handlers.ports import Ports
from review.handlers.release import Releases
from review.handlers.withdraw import Withdrawals
from review.settings import ReviewSettings
from review.store.policies import PolicyStore
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.web import build_app

SCHEMA = "review"
_SHIPPED_CHECKLIST = Path(__file__).parent / "domain" / "checklist.json"


async def compose(runtime: Runtime) -> Callable[..., Awaitable[None]]:
    """Make the service: gate, withdrawals, relay, clockwork, API and pages."""
    settings = runtime.settings
    assert isinstance(settings, ReviewSettings), "__main__ gives review its own settings"
    database = Database.of(settings, schema=SCHEMA)
    await database.open()
    runtime.on_close(database.close)
    runtime.health.add_database(database)

    checklist = checklists.parse((settings.review_checklist or _SHIPPED_CHECKLIST).read_bytes())
    hours = Hours(Window.parse(settings.review_hours), every_day=settings.review_every_day)
    window = Window.parse(settings.review_sending_window)
    policies = PolicyStore(settings.review_default_tier, settings.review_threshold)
    people = People(database, runtime.clock, settings)
    await people.bootstrap()
    desk = Desk(
        database,
        runtime.clock,
        policies,
        checklist,
        hours,
        window,
        claim_ms=settings.review_claim_minutes * 60_000,
    )
    await _attach_bus(runtime, settings, database, policies, hours, window)
    clockwork = Clockwork(
        database,
        runtime.clock,
        checklist,
        refusals_to_suspend=settings.review_refusals_to_suspend,
        keep_days=settings.review_keep_days,
    )
    runtime.component("clockwork", clockwork)
    app: FastAPI = build_app(runtime, title="Guanxin review", description="先审后发 / pre-send review")
    ports = Ports(database, runtime.clock, policies, window)
    build_api(app, runtime.clock, database, desk, people, ports)
    hub = Hub()
    runtime.component("announcer", Announcer(database, hub))
    shell = build_shell(settings, runtime.clock, people)
    inspector = Inspector(database, runtime.clock)
    build_pages(app, Console(shell, hub, runtime.clock, database, desk, people, ports, inspector))
    return app


async def _attach_bus(
    runtime: Runtime,
    settings: ReviewSettings,
    database: Database,
    policies: PolicyStore,
    hours: Hours,
    window: Window,
) -> None:
    producer = Producer(settings.kafka_bootstrap_servers, client_id=settings.instance)
    await producer.start()
    runtime.on_close(producer.close)
    gate = Gate(
        policies,
        runtime.clock,
        hours,
        window,
        split_window_minutes=settings.review_split_window_minutes,
        refuse_outside_hours=settings.review_outside_hours == "refuse",
    )
    consumer = Consumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=settings.service,
        topics=topics.topics_of(topics.SCREENED),
        handler=gate,
        producer=producer,
        database=database,
        offsets="after_publish",
        instance=settings.instance,
    )
    withdrawals = Consumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=f"{settings.service}.cancelled",
        topics=[topics.CANCELLED],
        handler=Withdrawals(runtime.clock),
        producer=producer,
        database=database,
        offsets="with_effect",
        instance=settings.instance,
    )
    relay = Relay("review.releases", database, producer, Releases(), older_than_s=0.0, interval_s=0.25)
    for name, component in (("gate", consumer), ("withdrawals", withdrawals), ("relay", relay)):
        runtime.component(name, component)
    runtime.health.check("gate", consumer.probe)
    runtime.health.check("withdrawals", withdrawals.probe)
