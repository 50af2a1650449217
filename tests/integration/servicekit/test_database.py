"""The pool on a real PostgreSQL: schema, retries, and what a lost connection is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from servicekit.database import Database, DatabaseUnavailable


@pytest_asyncio.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    admin = await asyncpg.connect(postgres_url)
    await admin.execute("create schema svc; create table svc.item (id int primary key, value jsonb)")
    await admin.close()
    made = Database(postgres_url, "svc", application="dbtest", max_size=4)
    await made.open()
    yield made
    await made.close()


async def kill_all(url: str) -> None:
    admin = await asyncpg.connect(url)
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name = 'dbtest' and datname = current_database()"
    )
    await admin.close()


async def test_the_schema_is_set_json_is_python_and_commits_are_durable(database):
    await database.execute("insert into item values (1, $1)", {"姓名": [1, None, True]})
    assert await database.fetchval("select value from item") == {"姓名": [1, None, True]}
    assert await database.fetchval("show synchronous_commit") == "on"
    assert await database.fetchval("show search_path") == "svc"
    assert await database.fetchval("show timezone") == "UTC"


async def test_a_transaction_is_all_or_nothing(database):
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - what happens before is the subject
        async with database.transaction() as tx:
            await tx.execute("insert into item values (1, null)")
            raise ZeroDivisionError
    assert await database.fetchval("select count(*) from item") == 0


async def test_a_lost_connection_has_one_name_and_the_pool_recovers(database, postgres_url):
    with pytest.raises(DatabaseUnavailable):  # noqa: PT012 - what happens before is the subject
        async with database.transaction() as tx:
            await tx.execute("insert into item values (1, null)")
            await kill_all(postgres_url)
            await tx.execute("insert into item values (2, null)")
    assert await database.fetchval("select count(*) from item") == 0


async def test_idempotent_work_is_run_again_after_a_lost_connection(database, postgres_url):
    tries = 0

    async def work(tx):
        nonlocal tries
        tries += 1
        await tx.execute("insert into item values (1, null) on conflict do nothing")
        if tries == 1:
            await kill_all(postgres_url)
        return await tx.fetchval("select count(*) from item")

    assert await database.run(work) == 1
    assert tries == 2


async def test_a_deadlock_is_run_again(database):
    await database.execute("insert into item values (1, '0'), (2, '0')")
    both = asyncio.Barrier(2)

    async def work(tx, first, second, seen=[]):  # noqa: B006 - shared on purpose: only the first tries meet
        await tx.execute("update item set value = '1' where id = $1", first)
        if len(seen) < 2:
            seen.append(first)
            await both.wait()
        await tx.execute("update item set value = '1' where id = $1", second)

    await asyncio.gather(database.run(lambda tx: work(tx, 1, 2)), database.run(lambda tx: work(tx, 2, 1)))
    assert await database.fetchval("select count(*) from item where value = '1'") == 2


async def test_patience_ends():
    nowhere = Database("postgresql://u:p@127.0.0.1:1/none", "svc", application="dbtest")
    with pytest.raises(RuntimeError, match="not open"):
        await nowhere.fetchval("select 1")
    opening = asyncio.create_task(nowhere.open())
    finished, _ = await asyncio.wait([opening], timeout=0.5)
    assert not finished, "an absent database is waited for"
    opening.cancel()
    with pytest.raises(DatabaseUnavailable):
        await nowhere.run(lambda tx: tx.fetchval("select 1"), patience_s=0.3)
    await nowhere.close()


async def test_a_wrong_password_is_no_matter_of_waiting(postgres_url):
    database = Database(postgres_url.replace("://", "://nobody_"), "svc", application="dbtest")
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
        await asyncio.wait_for(database.open(), 10)
    await database.close()


async def test_wrong_sql_is_our_fault_not_an_outage(database):
    with pytest.raises(asyncpg.UndefinedTableError):
        await database.fetch("select * from nothing")


async def test_a_statement_over_its_time_out_counts_as_unavailable(postgres_url):
    database = Database(postgres_url, "public", application="dbtest", statement_timeout_ms=50)
    await database.open()
    with pytest.raises(DatabaseUnavailable, match="QueryCanceled"):
        await database.fetchval("select pg_sleep(5)")
    await database.close()
