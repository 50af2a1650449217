"""What asyncpg says about a server that is dying is an outage, not a fault of the program."""

from __future__ import annotations

import asyncpg
import pytest

from servicekit.database import Database, DatabaseUnavailable


async def test_a_connection_left_between_its_states_is_lost_and_replaced(postgres_url: str) -> None:
    database = Database(postgres_url, "public", application="t", max_size=1)
    await database.open()
    try:
        with pytest.raises(DatabaseUnavailable):
            async with database.connection():
                # Seen when PostgreSQL is killed: its last word arrived, the end of the connection did not yet.
                raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")
        assert await database.fetchval("select 1") == 1
    finally:
        await database.close()


async def test_other_internal_errors_are_not_an_outage(postgres_url: str) -> None:
    database = Database(postgres_url, "public", application="t", max_size=1)
    await database.open()
    try:
        with pytest.raises(asyncpg.InternalClientError):
            async with database.connection():
                raise asyncpg.InternalClientError("unexpected data format")
    finally:
        await database.close()
