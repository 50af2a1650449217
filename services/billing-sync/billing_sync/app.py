"""Composition root of billing-sync: the only place that knows every room."""

from __future__ import annotations

from starlette.types import ASGIApp

from billing_sync.adapters.folder import Folder
from billing_sync.adapters.sftp import Account, SftpServer
from billing_sync.api import exchange, tariffs
from billing_sync.api.access import Access
from billing_sync.handlers.charge import ChargeOutcomes
from billing_sync.handlers.clerk import Clerk
from billing_sync.handlers.fetched import FetchedNotes
from billing_sync.handlers.files import Recent, Shape
from billing_sync.handlers.outboxes import FileOutbox, TariffOutbox
from billing_sync.handlers.repeating import ChargesAgain
from billing_sync.settings import BillingSettings
from billing_sync.store import tariffs as tariff_store
from bus.consumer import Consumer
from bus.intake import Limits
from bus.outbox import Relay
from bus.producer import Producer
from contracts import topics
from servicekit.database import Database
from servicekit.lifecycle import Runtime
from servicekit.web import build_app

GROUP = "billing"
"""The service's name as a consumer (`contracts.topics.SERVICES`)."""

GATHER_S = 0.25
"""Outcomes wait so long for others: a transaction costs as much for two as for a hundred, and files are made by the minute."""


async def compose(runtime: Runtime) -> ASGIApp:
    """Return the application; connects and starts consuming, filing and serving."""
    settings = runtime.settings
    assert isinstance(settings, BillingSettings)
    database = Database.of(settings, schema="billing")
    await database.open()
    runtime.on_close(database.close)
    tenants = [name for part in settings.billing_tariff_tenants.split(",") if (name := part.strip())]
    await database.run(lambda tx: tariff_store.ensure(tx, tenants))
    producer = Producer(settings.kafka_bootstrap_servers, client_id=settings.instance)
    producer.open()
    runtime.on_close(producer.close)
    folder = Folder(settings.exchange_dir)
    consumer = Consumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=GROUP,
        topics=topics.topics_of(topics.OUTCOMES),
        handler=ChargeOutcomes(runtime.clock),
        producer=producer,
        database=database,
        offsets="with_effect",
        limits=Limits(gather_s=GATHER_S, gather_codes_s=GATHER_S),
        code_target_s=settings.code_step_ms / 1000,
        instance=settings.instance,
        state_dir=settings.state_dir,
    )
    questions = Consumer(
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=f"{GROUP}.missed",
        topics=[topics.MISSED],
        handler=ChargesAgain(),
        producer=producer,
        database=database,
        offsets="after_publish",
        limits=Limits(max_records=10),
        instance=settings.instance,
        state_dir=settings.state_dir,
    )
    recent = Recent()
    clerk = Clerk(
        database=database,
        folder=folder,
        shape=Shape(
            settings.billing_interval_s * 1_000,
            settings.billing_file_records,
            settings.billing_node,
            settings.billing_encoding,
        ),
        recent=recent,
        term_ms=settings.billing_unknown_after_s * 1_000,
        clock=runtime.clock,
        tick_s=settings.billing_tick_s,
    )
    runtime.component("consumer", consumer)
    runtime.component("questions", questions)
    runtime.component("clerk", clerk)
    runtime.component(
        "files relay", Relay("billing.file", database, producer, FileOutbox(recent=recent), older_than_s=0.0, batch=4)
    )
    runtime.component("tariffs relay", Relay("billing.tariff", database, producer, TariffOutbox(), older_than_s=0.0))
    await _serve_files(runtime, settings, database, folder)
    runtime.health.add_database(database)
    runtime.health.check("consumer", consumer.probe)
    runtime.health.check("producer", producer.probe)
    runtime.health.check("files", clerk.probe)
    app = build_app(runtime, title="Guanxin billing-sync", description="话单与资费 / Charging files and tariffs")
    access = Access(settings)
    app.include_router(exchange.router(access, database, folder, runtime.clock))
    app.include_router(tariffs.router(access, database, runtime.clock))
    return app


async def _serve_files(runtime: Runtime, settings: BillingSettings, database: Database, folder: Folder) -> None:
    password = settings.sftp_password.get_secret_value()
    if not password:
        return
    notes = FetchedNotes(database)
    server = SftpServer(
        folder=folder,
        state_dir=settings.state_dir,
        host=settings.sftp_host,
        port=settings.sftp_port,
        account=Account(settings.sftp_user, password),
        on_fetched=notes.offer,
    )
    await server.start()
    runtime.component("sftp", server)
    runtime.component("fetched", notes)
