"""A server that says nothing any more is an outage within a bound, and costs nobody more than his own connection."""

from __future__ import annotations

import asyncio

import pytest
from silence import Silence, silence

from servicekit import database as module
from servicekit.database import Database, DatabaseUnavailable

LONG_S = 60.0
"""Only so that a failure does not hang: nothing here takes as long."""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COMMAND_GRACE_S", 0.2)


async def _database(line: Silence) -> Database:
    database = Database(line.url, "public", application="t", max_size=1, statement_timeout_ms=300)
    await database.open()
    return database


async def _ask_in_silence(database: Database, line: Silence) -> None:
    async with database.transaction() as tx:
        line.fall()
        await tx.fetchval("select 1")


async def test_a_statement_without_an_answer_ends_as_an_outage_and_the_pool_goes_on(postgres_url: str) -> None:
    async with silence(postgres_url) as line:
        database = await _database(line)
        try:
            async with asyncio.timeout(LONG_S):
                with pytest.raises(DatabaseUnavailable):
                    await _ask_in_silence(database, line)
                line.end()
                assert await database.run(lambda tx: tx.fetchval("select 2"), patience_s=LONG_S) == 2
        finally:
            await database.close()


async def test_a_caller_who_gives_up_leaves_at_once_and_the_pool_goes_on(postgres_url: str) -> None:
    async with silence(postgres_url) as line:
        database = await _database(line)
        asked = asyncio.Event()

        async def ask() -> None:
            async with database.transaction() as tx:
                line.fall()
                asked.set()
                await tx.fetchval("select 1")

        try:
            async with asyncio.timeout(LONG_S):
                asking = asyncio.create_task(ask())
                await asked.wait()
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking  # while the line is still silent
                line.end()
                assert await database.run(lambda tx: tx.fetchval("select 2"), patience_s=LONG_S) == 2
        finally:
            await database.close()
