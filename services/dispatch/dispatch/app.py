"""The composition root: the one place where dispatch's parts meet."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import structlog

from bus.consumer import Consumer
from bus.handling import CallingHandler, StatefulHandler
from bus.intake import Limits
from bus.outbox import Relay
from bus.producer import Producer
from contracts import topics
from dispatch.adapters.boot import Boot
from dispatch.adapters.guard import Guard
from dispatch.api.routes import mount
from dispatch.domain.linkconfig import LinkConfig, LinkConfigError, parse_links
from dispatch.domain.optout import word_set
from dispatch.domain.outcomes import Outgoing
from dispatch.domain.quiet import QuietHours
from dispatch.handlers.cancel import Cancel
from dispatch.handlers.intake import Intake, Taken
from dispatch.handlers.janitor import Janitor
from dispatch.handlers.leases import Leases
from dispatch.handlers.linkstate import LinkState
from dispatch.handlers.neighbourhood import Neighbourhood
from dispatch.handlers.overdue import Overdue
from dispatch.handlers.publishing import OutboxRows, Publisher
from dispatch.handlers.pump import Pump
from dispatch.handlers.repeating import Repeater
from dispatch.handlers.replies import Replies
from dispatch.handlers.resolving import Resolver
from dispatch.handlers.sweeping import Sweeper
from dispatch.settings import DispatchSettings
from dispatch.store import slots
from servicekit.clock import Clock, SystemClock
from servicekit.database import Database
from servicekit.lifecycle import ASGIApp, Runtime
from servicekit.web import build_app

log = structlog.get_logger()

QUESTIONS = Limits(max_records=10)
"""Chunks looked up in one transaction: each may be thousands of events."""

MAX_LINKS_OCTETS = 4 * 1024 * 1024


def read_links(settings: DispatchSettings) -> list[LinkConfig]:
    """Return the links of the links file; no file is no links.  Raises `LinkConfigError`."""
    if settings.links_file is None:
        return []
    octets = settings.links_file.read_bytes()
    if len(octets) > MAX_LINKS_OCTETS:
        raise LinkConfigError(f"{settings.links_file}: {len(octets)} octets, at most {MAX_LINKS_OCTETS}")
    try:
        document = msgspec.json.decode(octets)
    except msgspec.DecodeError as error:
        # The decoder's text may quote the document, which holds secrets.
        raise LinkConfigError(f"{settings.links_file}: not JSON") from error
    return parse_links(document)


class Worker:
    """Everything of one worker but its HTTP server: what tests and the process both run."""

    def __init__(
        self,
        settings: DispatchSettings,
        database: Database,
        producer: Producer,
        configs: Sequence[LinkConfig],
        *,
        clock: Clock | None = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.producer = producer
        self.clock: Clock = clock or SystemClock()
        self.configs = {config.name: config for config in configs}
        self.boot = Boot(settings.state_dir, settings.instance)
        self.guard = Guard()
        self.publisher = Publisher(producer)
        links: dict[str, LinkState] = {}
        quiet = QuietHours.parse(settings.quiet_hours)
        self.pump = Pump(
            database,
            links,
            self.publisher,
            owner=self.boot.owner,
            clock=self.clock,
            quiet=quiet,
            on_mo=self._on_mo,
            most_ids=settings.receipt_memory,
            code_target_s=settings.code_target_ms / 1000,
        )
        self.leases = Leases(
            database,
            self.configs,
            self.pump,
            self.guard,
            self.boot,
            clock=self.clock,
            publish=self.publisher.offer,
        )
        words = word_set(tuple(word for word in settings.opt_out_words.split(",") if word.strip()))
        self.replies = Replies(
            database,
            clock=self.clock,
            words=words,
            publish=self.publisher.offer,
            on_opt_out=self._on_opt_out,
            confirm_text=settings.opt_out_confirmation,
            routes=lambda: self.leases.routes,
        )
        self.sweeper = Sweeper(database, clock=self.clock, hint=self.pump.claimer.hint, publish=self.publisher.offer)
        self.resolver = Resolver(
            database,
            self.configs,
            clock=self.clock,
            publish=self.publisher.offer,
            settled=self.pump.digest.forget_pending,
        )
        self.neighbourhood = Neighbourhood(database, self.pump, shared=self.leases.shared, clock=self.clock)
        self.overdue = Overdue(database, self.configs, clock=self.clock, publish=self.publisher.offer)
        self.janitor = Janitor(database, clock=self.clock, retention_days=settings.retention_days)
        self.relay: Relay[Outgoing] = Relay("dispatch.outbox", database, producer, OutboxRows())
        self.intake = Intake(
            clock=self.clock,
            routes=lambda: self.leases.routes,
            on_taken=self._on_taken,
            place_of=self.pump.claimer.place_of,
            lost_sight=self.pump.claimer.lose_sight,
        )
        self.cancel = Cancel(clock=self.clock, wake_sweeper=self.sweeper.wake)
        self.repeater = Repeater(clock=self.clock, publish=self.publisher.offer)

    def _on_mo(self, mo_ids: list[int]) -> None:
        self.replies.offer(mo_ids)

    def _on_opt_out(self, tenant: str, enterprise: str) -> None:
        self.pump.claimer.recent_opt_out(tenant, enterprise)
        self.pump.claimer.hint()

    def _on_taken(self, taken: Taken) -> None:
        for release, octets in taken.releases:
            self.pump.claimer.cache.put(release, octets)
        self.pump.claimer.take(taken.claimed)
        self.publisher.offer(taken.events)
        self.pump.claimer.hint(taken.hints)

    def consumers(self) -> list[tuple[str, Consumer]]:
        """Return the consumers of releases, of cancels and of questions for what the bus lost."""
        suffix = self.settings.group_suffix
        return [
            # Intake keeps nothing across awaits that another batch may not see, so a code need not wait for bulk in hand.
            (
                "releases",
                self._consumer(f"dispatch{suffix}", topics.topics_of(topics.RELEASED), self.intake, overlap=True),
            ),
            ("cancels", self._consumer(f"dispatch.cancel{suffix}", [topics.CANCELLED], self.cancel)),
            ("missed", self._consumer(f"dispatch.missed{suffix}", [topics.MISSED], self.repeater, QUESTIONS)),
        ]

    def _consumer(
        self,
        group: str,
        names: Sequence[str],
        handler: StatefulHandler | CallingHandler,
        limits: Limits | None = None,
        *,
        overlap: bool = False,
    ) -> Consumer:
        return Consumer(
            bootstrap_servers=self.settings.kafka_bootstrap_servers,
            group=group,
            topics=names,
            handler=handler,
            producer=self.producer,
            database=self.database,
            limits=limits,
            overlap_lanes=overlap,
            code_target_s=self.settings.code_step_ms / 1000,
            instance=self.settings.instance,
            state_dir=self.settings.state_dir,
        )

    async def prepare(self) -> None:
        """Make tables, watchdog and routes ready; before any socket to a carrier exists."""
        if self.settings.watchdog:
            await self.guard.start()
        await slots.upsert_links(self.database, list(self.configs.values()))
        await self.leases.start()

    async def drain(self) -> None:
        """Grant nothing more, let what is under way be answered, unbind, give the slots back."""
        self.pump.stop_granting()
        self.pump.claimer.stop()
        await self.leases.stop()
        self.pump.stop()
        await self.publisher.stop()

    async def close(self) -> None:
        """End what is left."""
        await self.guard.stop()
        self.boot.close()


async def compose(runtime: Runtime) -> ASGIApp:
    """Build the worker and hang it into the process."""
    settings = runtime.settings
    assert isinstance(settings, DispatchSettings)
    configs = read_links(settings)
    database = Database.of(settings, schema="dispatch")
    await database.open()
    runtime.on_close(database.close)
    producer = Producer(settings.kafka_bootstrap_servers, client_id=settings.instance)
    producer.open()
    runtime.on_close(producer.close)
    worker = Worker(settings, database, producer, configs, clock=runtime.clock)
    runtime.on_close(worker.close)
    await worker.prepare()
    for name, work in (
        ("pump", worker.pump.run),
        ("claimer", worker.pump.claimer.run),
        ("publisher", worker.publisher.run),
        ("leases", worker.leases.run),
        ("sweeper", worker.sweeper.run),
        ("replies", worker.replies.run),
        ("resolver", worker.resolver.run),
        ("neighbourhood", worker.neighbourhood.run),
        ("overdue", worker.overdue.run),
        ("janitor", worker.janitor.run),
    ):
        runtime.supervise(name, work)
    for name, consumer in worker.consumers():
        runtime.component(name, consumer)
        runtime.health.check(name, consumer.probe)
    runtime.component("relay", worker.relay)
    runtime.on_drain(worker.drain, "sessions")
    runtime.health.add_database(database)
    runtime.health.check("lease", worker.leases.probe)
    app = build_app(
        runtime,
        title="Guanxin dispatch / 关心 下发",
        description="Links, sessions, routes, opt-outs, unmatched receipts. 链路、会话、路由、退订名单、未匹配的状态报告。",
    )
    mount(app, worker, settings)
    return app
