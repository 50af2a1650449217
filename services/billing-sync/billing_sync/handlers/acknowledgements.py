"""Acknowledgement files of the billing system, read once each; the same one again changes nothing."""

from __future__ import annotations

import asyncio

import structlog

from billing_sync import metrics
from billing_sync.adapters.folder import Folder
from billing_sync.domain.acks import SUFFIX, AckError, parse
from billing_sync.store import files
from servicekit.database import Database

log = structlog.get_logger()


async def read_all(database: Database, folder: Folder) -> int:
    """Apply every acknowledgement that lies in the folder; return how many were read."""
    names = await asyncio.to_thread(folder.acknowledgements)
    for name in names:
        refusal = await _read(database, folder, name)
        await asyncio.to_thread(folder.settle, name, refusal)
        if refusal:
            metrics.REFUSED.labels("acknowledgement").inc()
            log.warning("acknowledgement_refused", name=name, reason=refusal)
    return len(names)


async def _read(database: Database, folder: Folder, name: str) -> str:
    """Apply one; return why it was refused, empty when it was not."""
    try:
        ack = parse(await asyncio.to_thread(folder.read_acknowledgement, name))
    except AckError as error:
        return str(error)
    async with database.connection() as connection:
        row = await files.by_name(connection, name.removesuffix(SUFFIX))
    if row is None:
        return "no file has this name"
    refusal = "" if ack.accepted else ack.reason or "refused"
    if ack.accepted and (ack.records != row.records or ack.total != row.total):
        refusal = f"counted {ack.records} and {ack.total:f}, the file has {row.records} and {row.total:f}"
    await database.run(lambda tx: files.acknowledge(tx, row.head.no, refusal, ack.bad_lines))
    if refusal:
        metrics.REFUSED.labels("file").inc()
        log.warning("file_refused", no=row.head.no, name=row.name, reason=refusal, bad_lines=len(ack.bad_lines))
    else:
        await asyncio.to_thread(folder.retire, row.name)
        log.info("file_acknowledged", no=row.head.no, name=row.name)
    return ""
