"""Composition root of review: every object is made here and given what it needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
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
from review.domain.checklist import Checklist
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
from servicekit.clock import Clock
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.web import build_app

SCHEMA = "review"
_SHIPPED_CHECKLIST = Path(__file__).parent / "domain" / "checklist.json"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings and the shipped data say; the policies in the database are beside it."""

    checklist: Checklist
    hours: Hours
    window: Window
    policies: PolicyStore

    @classmethod
    def of(cls, settings: ReviewSettings) -> Rules:
        """Read them; raises ValueError when the installation's checklist is no checklist."""
        return cls(
            checklists.parse((settings.review_checklist or _SHIPPED_CHECKLIST).read_bytes()),
            Hours(Window.parse(settings.review_hours), every_day=settings.review_every_day),
            Window.parse(settings.review_sending_window),
            PolicyStore(settings.review_default_tier, settings.review_threshold),
        )


async def compose(runtime: Runtime) -> Callable[..., Awaitable[None]]:
    """Make the service: gate, withdrawals, relay, clockwork, API and pages."""
    settings = runtime.settings
    assert isinstance(settings, ReviewSettings), "__main__ gives review its own settings"
    database = Database.of(settings, schema=SCHEMA)
    await database.open()
    runtime.on_close(database.close)
    runtime.health.add_database(database)
    rules = Rules.of(settings)
    app = await attach_console(runtime, settings, database, rules)
    await attach_bus(runtime, settings, database, rules)
    return app


async def attach_console(runtime: Runtime, settings: ReviewSettings, database: Database, rules: Rules) -> FastAPI:
    """Make everything people and time do, and the application they do it through."""
    clock = runtime.clock
    people = People(database, clock, settings)
    await people.bootstrap()
    claim_ms = settings.review_claim_minutes * 60_000
    desk = Desk(database, clock, rules.policies, rules.checklist, rules.hours, rules.window, claim_ms=claim_ms)
    clockwork = Clockwork(
        database,
        clock,
        rules.checklist,
        refusals_to_suspend=settings.review_refusals_to_suspend,
        keep_days=settings.review_keep_days,
    )
    hub = Hub()
    runtime.component("clockwork", clockwork)
    runtime.component("announcer", Announcer(database, hub))
    ports = Ports(database, clock, rules.policies, rules.window)
    app = build_app(runtime, title="Guanxin review", description="先审后发 / pre-send review")
    build_api(app, clock, database, desk, people, ports)
    shell = build_shell(settings, clock, people)
    build_pages(app, Console(shell, hub, clock, database, desk, people, ports, Inspector(database, clock)))
    return app


def new_gate(clock: Clock, settings: ReviewSettings, rules: Rules) -> Gate:
    """Return the gate under these rules."""
    return Gate(
        rules.policies,
        clock,
        rules.hours,
        rules.window,
        split_window_minutes=settings.review_split_window_minutes,
        refuse_outside_hours=settings.review_outside_hours == "refuse",
    )


async def attach_bus(runtime: Runtime, settings: ReviewSettings, database: Database, rules: Rules) -> None:
    """Make what consumes and produces events."""
    producer = Producer(settings.kafka_bootstrap_servers, client_id=settings.instance)
    producer.open()
    runtime.on_close(producer.close)
    consumer = Consumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=settings.service,
        topics=topics.topics_of(topics.SCREENED),
        handler=new_gate(runtime.clock, settings, rules),
        producer=producer,
        database=database,
        offsets="after_publish",
        overlap_lanes=True,
        code_target_s=settings.code_step_ms / 1000,
        instance=settings.instance,
        state_dir=settings.state_dir,
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
        state_dir=settings.state_dir,
    )
    relay = Relay("review.releases", database, producer, Releases(), older_than_s=0.0, interval_s=0.25)
    for name, component in (("gate", consumer), ("withdrawals", withdrawals), ("relay", relay)):
        runtime.component(name, component)
    runtime.health.check("gate", consumer.probe)
    runtime.health.check("withdrawals", withdrawals.probe)
