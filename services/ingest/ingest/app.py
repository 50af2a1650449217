"""Composition root: everything of the service made once and tied together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp

from bus.consumer import Consumer
from bus.courtesy import Courtesy
from bus.intake import Limits as IntakeLimits
from bus.outbox import FastPath, Relay, Sweeper
from bus.producer import Producer
from contracts import topics
from ingest import metrics
from ingest.adapters.composer import Composer
from ingest.adapters.deliver import Deliverer
from ingest.adapters.disk import DiskWatch
from ingest.adapters.seal import Sealer
from ingest.api import administration, openapi, reading, sending
from ingest.api.hot import HotMessages, Shortcut, as_problem
from ingest.api.services import Services
from ingest.domain.admission import Limits
from ingest.domain.refusal import Refused
from ingest.handlers.accept_single import SingleAccepter
from ingest.handlers.accept_task import TaskAccepter
from ingest.handlers.cancel import Canceller
from ingest.handlers.gate import Gate
from ingest.handlers.housekeeping import Housekeeper
from ingest.handlers.notify import Notifier
from ingest.handlers.once import InFlight
from ingest.handlers.project import ControlProjector, Projector
from ingest.handlers.register import RegisterCache
from ingest.handlers.show import Shower
from ingest.handlers.targets import Targets
from ingest.settings import IngestSettings
from ingest.store.outbox import CancellationOutbox, ChunkOutbox, Outbound, StalledChunks, Withdrawn
from ingest.store.unsettled import StalledCancellations, Unsettled, UnsettledChunks
from servicekit.database import Connection, Database
from servicekit.lifecycle import Runtime
from servicekit.problems import problem_response
from servicekit.web import build_app

SCHEMA = "ingest"
STATUS_GROUP = "ingest.status"
CONTROL_GROUP = "ingest.control"

GATHER_S = 0.05
"""States of other classes than codes wait so long for others: a transaction costs as much for two as for a hundred."""

GATHER_CODES_S = 0.1
"""Those of codes wait so long: a code leaves five of them, nearly all after it was sent, and its way takes less than they would cost it."""

STATUS_TOPICS: list[str] = [
    topic
    for stage in (topics.JUDGED, topics.DECIDED, topics.OUTCOMES, topics.CHARGED)
    for topic in topics.topics_of(stage)
]
CONTROL_TOPICS: list[str] = [topics.REPLIES, topics.TARIFFS]

DESCRIPTION = """Send short messages and follow them. 提交短信并跟踪状态。

Authentication: `Authorization: Bearer gx_…`. Refusals are problem details (RFC 9457) with a stable `code`, in Chinese or English by
`Accept-Language`. All times are Unix milliseconds."""


async def compose(runtime: Runtime) -> ASGIApp:
    """Return the application, everything behind it started."""
    settings = runtime.settings
    assert isinstance(settings, IngestSettings)
    settings.require("database_url", "session_secret", "operator_token")
    database = Database.of(settings, SCHEMA)
    await database.open()
    runtime.on_close(database.close)
    producer = Producer(settings.kafka_bootstrap_servers, client_id=settings.instance)
    producer.open()
    runtime.on_close(producer.close)
    services = await _services(runtime, settings, database, producer)
    _consumers(runtime, settings, database, producer)
    _publishing(runtime, settings, database, producer)
    _background(runtime, settings, services)
    runtime.health.add_database(database)
    # PostgreSQL is the record of truth: without the bus everything is accepted all the same, and published when it is back.
    runtime.health.check("producer", producer.probe, advisory=True)
    runtime.health.check("disk", services.disk.probe)
    return _application(runtime, services)


async def _services(runtime: Runtime, settings: IngestSettings, database: Database, producer: Producer) -> Services:
    clock = runtime.clock
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    sealer = Sealer(settings.session_secret.get_secret_value())
    register = RegisterCache(database, sealer, clock)
    await register.reload()
    composer = Composer(settings.state_dir / f"spool-{settings.instance}", inline_octets=settings.inline_octets)
    runtime.on_close(composer.close)
    composer.warm()
    chunks: FastPath[Outbound] = FastPath(database, producer, ChunkOutbox())
    cancellations: FastPath[Withdrawn] = FastPath(database, producer, CancellationOutbox())
    limits = Limits(settings.max_text, settings.max_segments)
    targets = Targets(database, private=settings.webhook_private_targets)
    in_flight = InFlight()
    courtesy = Courtesy(settings.code_step_ms / 1000)
    gate = Gate(register, clock, settings.operator_token.get_secret_value(), settings.signature_window_s)
    services = Services(
        settings=settings,
        clock=clock,
        database=database,
        register=register,
        sealer=sealer,
        gate=gate,
        disk=DiskWatch([settings.state_dir, *settings.disk_paths], settings.disk_min_free_octets),
        limits=limits,
        in_flight=in_flight,
        targets=targets,
        composer=composer,
        singles=SingleAccepter(
            database,
            clock,
            chunks.offer,
            courtesy,
            gather_s=settings.gather_ms / 1000,
            max_pending=settings.max_pending_singles,
        ),
        tasks=TaskAccepter(
            database,
            clock,
            composer,
            targets,
            in_flight,
            chunks.publish,
            courtesy,
            limits=limits,
            max_rows=settings.max_upload_rows,
        ),
        canceller=Canceller(database, clock, cancellations.offer),
        shower=Shower(database, clock),
    )
    runtime.component("register", register)
    runtime.component("fast-path", chunks)
    runtime.component("fast-path-cancellations", cancellations)
    runtime.component("relay-cancellations", Relay("ingest.cancellation", database, producer, CancellationOutbox()))
    return services


def _consumers(runtime: Runtime, settings: IngestSettings, database: Database, producer: Producer) -> None:
    status = Consumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=STATUS_GROUP + settings.group_suffix,
        topics=STATUS_TOPICS,
        handler=Projector(),
        producer=producer,
        database=database,
        offsets="with_effect",
        limits=IntakeLimits(max_records=200, gather_s=GATHER_S, gather_codes_s=GATHER_CODES_S),
        code_target_s=settings.code_step_ms / 1000,
        instance=settings.instance,
        state_dir=settings.state_dir,
    )
    control = Consumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=CONTROL_GROUP + settings.group_suffix,
        topics=CONTROL_TOPICS,
        handler=ControlProjector(),
        producer=producer,
        database=database,
        offsets="with_effect",
        instance=settings.instance,
        state_dir=settings.state_dir,
    )
    runtime.component("status", status)
    runtime.component("control", control)
    runtime.health.check("status", status.probe, advisory=True)
    runtime.health.check("control", control.probe, advisory=True)


def _publishing(runtime: Runtime, settings: IngestSettings, database: Database, producer: Producer) -> None:
    relay = Relay("ingest.chunk", database, producer, ChunkOutbox(), older_than_s=settings.relay_after_s)
    stalled = CountedSweep(settings.sweep_after_s)
    sweeper = Sweeper(
        "ingest.stalled",
        database,
        producer,
        stalled,
        older_than_s=settings.sweep_after_s,
        interval_s=min(15.0, settings.sweep_after_s / 4),
    )
    runtime.component("relay", relay)
    runtime.component("sweeper", sweeper)
    after_s = settings.ask_after_s
    every_s = min(30.0, after_s / 4)
    sources: tuple[tuple[str, Any], ...] = (
        ("unsettled", CountedQuestions(after_s)),
        ("withdrawals", CountedWithdrawals(after_s)),
    )
    for name, source in sources:
        asker: Sweeper[Any] = Sweeper(
            f"ingest.{name}", database, producer, source, older_than_s=after_s, interval_s=every_s
        )
        runtime.component(name, asker)


class CountedQuestions(UnsettledChunks):
    """Unsettled chunks, counted when they are asked about."""

    async def mark(self, connection: Connection, rows: Sequence[Unsettled]) -> None:
        """Put the next question off and count this one."""
        await super().mark(connection, rows)
        metrics.ASKED.labels("outcomes").inc(len(rows))


class CountedWithdrawals(StalledCancellations):
    """Withdrawals, counted when they are announced again."""

    async def mark(self, connection: Connection, rows: Sequence[Withdrawn]) -> None:
        """Put the next one off and count this one."""
        await super().mark(connection, rows)
        metrics.ASKED.labels("withdrawal").inc(len(rows))


class CountedSweep(StalledChunks):
    """Stalled chunks, counted when they are published again."""

    async def mark(self, connection: Any, rows: Any) -> None:
        """Put the next sweep off and count this one."""
        await super().mark(connection, rows)
        metrics.SWEPT.inc(len(rows))


def _background(runtime: Runtime, settings: IngestSettings, services: Services) -> None:
    deliverer = Deliverer(private=settings.webhook_private_targets, timeout_s=settings.webhook_timeout_s)
    runtime.on_close(deliverer.close)
    notifier = Notifier(
        services.database,
        services.register,
        deliverer,
        services.clock,
        timeout_s=settings.webhook_timeout_s,
        back_off_s=settings.webhook_back_off_s,
        dead_after_s=settings.webhook_dead_after_s,
    )
    runtime.component("notifier", notifier)
    runtime.component(
        "housekeeper",
        Housekeeper(
            services.database,
            services.clock,
            idempotency_days=settings.idempotency_days,
            keep_days=settings.keep_days,
        ),
    )
    runtime.on_drain(services.singles.drain, "singles")
    runtime.on_drain(services.tasks.drain, "tasks")


def _application(runtime: Runtime, services: Services) -> ASGIApp:
    settings = services.settings
    app: FastAPI = build_app(
        runtime,
        title="Guanxin messages",
        description=DESCRIPTION,
        max_body_octets=max(settings.max_body_octets, settings.max_upload_octets) + 65_536,
    )
    hot = HotMessages(services)
    app.include_router(sending.router(services, hot))
    app.include_router(reading.router(services))
    app.include_router(administration.router(services))

    @app.exception_handler(Refused)
    async def on_refused(request: Request, refused: Refused) -> Response:
        return problem_response(as_problem(refused), request.headers.get("accept-language", ""))

    openapi.describe(app)
    return Shortcut(app, hot)


__all__ = ["CONTROL_TOPICS", "SCHEMA", "STATUS_TOPICS", "compose"]
