"""Migrations on a real PostgreSQL: own schema, own role, repeatable, whole or not at all."""

from __future__ import annotations

import asyncio
import secrets
import sys

import asyncpg
import pytest

from servicekit.migrate import OWNERS, MigrationError, Owner, heads, migrate

FIRST = """
from servicekit.migrate import script
from servicekit.tables import CONSUMER_OFFSET
revision = "0001"
down_revision = None
def upgrade():
    script(CONSUMER_OFFSET)
    script("create table item (id bigserial primary key); create index on item (id);")
"""
SECOND = """
from alembic import op
from servicekit.migrate import script
revision = "0002"
down_revision = "0001"
def upgrade():
    op.execute("alter table item add column name text")
    script("create table other (id int); select 1 / {zero};")
"""


@pytest.fixture
def owner(tmp_path, monkeypatch):
    name = f"svc{secrets.token_hex(4)}"
    folder = tmp_path / name / "store" / "migrations" / "versions"
    folder.mkdir(parents=True)
    (tmp_path / name / "__init__.py").touch()
    (folder / "0001_first.py").write_text(FIRST)
    monkeypatch.syspath_prepend(tmp_path)
    yield Owner(name, name, name), folder
    sys.modules.pop(name, None)


async def drop(url, role):
    admin = await asyncpg.connect(url)
    await admin.execute(f'drop owned by "{role}" cascade; drop role "{role}"')
    await admin.close()


async def test_a_service_role_owns_its_schema_and_sees_no_other(owner, postgres_url):
    service, _ = owner
    assert await migrate(postgres_url, service, "geheim'pw") == "0001"
    try:
        admin = await asyncpg.connect(postgres_url)
        await admin.execute("create schema foreign_schema; create table foreign_schema.secret (x int)")
        tables = await admin.fetch("select tablename, tableowner from pg_tables where schemaname = $1", service.schema)
        assert {r["tablename"] for r in tables} == {"alembic_version", "consumer_offset", "item"}
        assert {r["tableowner"] for r in tables} == {service.role}
        host, port, database = await admin.fetchrow(
            "select host(inet_server_addr()), inet_server_port(), current_database()"
        )
        own = await asyncpg.connect(host=host, port=port, database=database, user=service.role, password="geheim'pw")
        await own.execute(f"insert into {service.schema}.item default values")
        await own.execute(f"create table {service.schema}.partition_of_tomorrow (x int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await own.fetch("select * from foreign_schema.secret")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await own.execute("create schema mine")
        await own.close()
        await admin.close()
    finally:
        await drop(postgres_url, service.role)


async def test_a_failed_step_leaves_nothing_and_the_next_run_goes_on(owner, postgres_url):
    service, folder = owner
    await migrate(postgres_url, service)
    try:
        (folder / "0002_second.py").write_text(SECOND.format(zero=0))
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(postgres_url, service)
        admin = await asyncpg.connect(postgres_url)
        assert await admin.fetchval("select to_regclass($1)", f"{service.schema}.other") is None
        assert await admin.fetchval(f"select version_num from {service.schema}.alembic_version") == "0001"
        await admin.close()
        (folder / "0002_second.py").write_text(SECOND.format(zero=1))
        assert await migrate(postgres_url, service) == "0002"
        assert await migrate(postgres_url, service) == "0002"
        assert list(heads(service)) == ["0002"]
    finally:
        await drop(postgres_url, service.role)


async def test_many_at_once(owner, postgres_url):
    service, folder = owner
    (folder / "0002_second.py").write_text(SECOND.format(zero=1))
    try:
        assert await asyncio.gather(*(migrate(postgres_url, service, "pw") for _ in range(5))) == ["0002"] * 5
    finally:
        await drop(postgres_url, service.role)


async def test_a_service_without_migrations_is_named(postgres_url):
    with pytest.raises(MigrationError, match="no_such_package"):
        await migrate(postgres_url, Owner("x", "no_such_package", "x"))


def test_every_service_has_one_newest_version():
    for service in OWNERS.values():
        assert len(heads(service)) <= 1, service.service
