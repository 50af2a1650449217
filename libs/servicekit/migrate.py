"""Schema migrations: one alembic history per service, in the service's own schema, run by its own role.

``python -m servicekit.migrate all|SERVICE`` connects with ``GUANXIN_DATABASE_URL`` (an account that may create roles
and schemas, or, when role and schema exist, the service's own), makes schema and role, and upgrades to the newest
version.  Safe to run repeatedly, and by several processes at once (advisory lock).  Statements wait at most
`LOCK_TIMEOUT` for a lock, so that a migration never stops running services.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from alembic import op
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only

from servicekit.settings import ENV_PREFIX, ServiceSettings, SettingsError

LOCK_TIMEOUT = "5s"
ATTEMPTS = 5
_LOCK_KEY = 0x6775616E78696E  # "guanxin"
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,40}\Z")


@dataclass(frozen=True, slots=True)
class Owner:
    """A service that has a schema."""

    service: str
    package: str
    schema: str

    @property
    def role(self) -> str:
        """The database role the service runs as; owns the schema and sees no other."""
        return f"guanxin_{self.schema}"


OWNERS: dict[str, Owner] = {
    owner.service: owner
    for owner in (
        Owner("ingest", "ingest", "ingest"),
        Owner("spamfilter", "spamfilter", "spamfilter"),
        Owner("review", "review", "review"),
        Owner("dispatch", "dispatch", "dispatch"),
        Owner("billing-sync", "billing_sync", "billing"),
    )
}


class MigrationSettings(ServiceSettings):
    """``GUANXIN_ROLE_PASSWORDS`` is a JSON object: schema to the password its role logs in with."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="ignore", frozen=True)

    service: str = "migrate"
    role_passwords: dict[str, SecretStr] = Field(default_factory=dict)


class MigrationError(RuntimeError):
    """A migration cannot be run; the text says of which service and why."""


def script(sql: str) -> None:
    """Run SQL text of any number of statements inside the migration's transaction; call it from ``upgrade()``.

    ``op.execute`` prepares its text, and PostgreSQL prepares one statement only.
    """
    bind = op.get_bind()
    bind.execute(text("select 1"))  # opens the transaction that the driver's own call below would not open
    driver: Any = bind.connection.driver_connection
    await_only(driver.execute(sql))


def versions_of(owner: Owner) -> Path | None:
    """Return the folder of a service's migrations, None when the service is not installed or has none."""
    spec = importlib.util.find_spec(owner.package)
    if spec is None or not spec.submodule_search_locations:
        return None
    for location in spec.submodule_search_locations:
        folder = Path(location) / "store" / "migrations"
        if (folder / "versions").is_dir():
            return folder
    return None


async def migrate(dsn: str, owner: Owner, role_password: str = "") -> str:
    """Bring one service's schema to the newest version and return that version.

    Raises `MigrationError`, or asyncpg's and SQLAlchemy's errors as they come.
    """
    folder = versions_of(owner)
    if folder is None:
        raise MigrationError(f"{owner.service}: no migrations found in package {owner.package} / 未找到迁移脚本")
    if not _IDENTIFIER.match(owner.schema):
        raise MigrationError(f"{owner.schema!r} is not a schema name")
    guard = await asyncpg.connect(dsn, timeout=10)
    try:
        await guard.execute("select pg_advisory_lock($1)", _LOCK_KEY)
        await _prepare_patiently(guard, owner, role_password)
        await _upgrade(dsn, owner, folder)
        version = await guard.fetchval(f'select version_num from "{owner.schema}".alembic_version')  # noqa: S608 - checked against _IDENTIFIER
    finally:
        await guard.close()
    return str(version)


async def _prepare_patiently(connection: asyncpg.Connection[asyncpg.Record], owner: Owner, password: str) -> None:
    """Prepare, again when another database's migration touched the same role: roles belong to the whole cluster, locks
    to one database.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with connection.transaction():
                await _prepare(connection, owner, password)
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError, asyncpg.InternalServerError):
            # InternalServerError is "tuple concurrently updated", which has no class of its own.
            if attempt == ATTEMPTS:
                raise
            await asyncio.sleep(0.05 * attempt)
        else:
            return


async def _prepare(connection: asyncpg.Connection[asyncpg.Record], owner: Owner, password: str) -> None:
    """Make the role and the schema it owns; nothing when both are there and no password is to be set."""
    role, schema = owner.role, owner.schema
    if not await connection.fetchval("select 1 from pg_roles where rolname = $1", role):
        await connection.execute(f'create role "{role}" nologin nosuperuser nocreatedb nocreaterole')
    if password:
        # A utility statement takes no parameters: the text is quoted by the server itself.
        quoted = await connection.fetchval("select quote_literal($1::text)", password)
        await connection.execute(f'alter role "{role}" login password {quoted}')
    if not await connection.fetchval("select 1 from pg_namespace where nspname = $1", schema):
        # Only a member may give a schema to a role (a superuser is a member of all).
        await connection.execute(f'grant "{role}" to current_user')
        await connection.execute(f'create schema "{schema}" authorization "{role}"')
        await connection.execute(f'revoke all on schema "{schema}" from public')


async def _upgrade(dsn: str, owner: Owner, folder: Path) -> None:
    url = re.sub(r"^postgres(ql)?://", "postgresql+asyncpg://", dsn)
    engine = create_async_engine(
        url,
        poolclass=NullPool,
        connect_args={"server_settings": {"search_path": owner.schema, "lock_timeout": LOCK_TIMEOUT}},
    )
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f'set role "{owner.role}"'))
            await connection.commit()
            await connection.run_sync(_run_alembic, folder, owner)
            await connection.commit()
    finally:
        await engine.dispose()


def _run_alembic(connection: Connection, folder: Path, owner: Owner) -> None:
    config = _config(folder)
    directory = ScriptDirectory.from_config(config)

    def upgrade(revision: Any, _context: Any) -> Any:
        return directory._upgrade_revs("head", revision)  # noqa: SLF001 - what alembic.command.upgrade itself calls

    with EnvironmentContext(config, directory, fn=upgrade, destination_rev="head") as environment:
        environment.configure(
            connection=connection,
            target_metadata=None,
            version_table="alembic_version",
            version_table_schema=owner.schema,
            transaction_per_migration=True,
        )
        with environment.begin_transaction():
            environment.run_migrations()


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("version_locations", str(folder / "versions").replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


def heads(owner: Owner) -> Sequence[str]:
    """Return the newest versions in the tree; more than one is a mistake that `check` reports."""
    folder = versions_of(owner)
    return ScriptDirectory.from_config(_config(folder)).get_heads() if folder else ()


def main(arguments: Sequence[str]) -> int:
    """Migrate what is named; return the exit code (0 done, 1 failed, 2 wrong use)."""
    names = list(OWNERS) if list(arguments) == ["all"] else list(arguments)
    if not names or any(name not in OWNERS for name in names):
        sys.stderr.write(f"usage: python -m servicekit.migrate all|{'|'.join(OWNERS)}\n")
        return 2
    try:
        settings = MigrationSettings().require("database_url")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return asyncio.run(_migrate_named(settings, names, skip_missing=list(arguments) == ["all"]))


async def _migrate_named(settings: MigrationSettings, names: Sequence[str], *, skip_missing: bool) -> int:
    for name in names:
        owner = OWNERS[name]
        if skip_missing and versions_of(owner) is None:
            sys.stdout.write(f"{name}: no migrations / 无迁移\n")
            continue
        secret = settings.role_passwords.get(owner.schema)
        try:
            version = await migrate(
                settings.database_url.get_secret_value(), owner, secret.get_secret_value() if secret else ""
            )
        except (MigrationError, asyncpg.PostgresError, OSError) as error:
            sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
            return 1
        sys.stdout.write(f"{name}: schema {owner.schema} at {version}\n")
    return 0


__all__ = ["OWNERS", "MigrationError", "Owner", "heads", "main", "migrate", "script", "versions_of"]


if __name__ == "__main__":
    # As __main__ this module would be a second copy of itself beside the one that migrations import.
    from servicekit.migrate import main as run_main

    sys.exit(run_main(sys.argv[1:]))
