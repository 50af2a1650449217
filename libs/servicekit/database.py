"""The one way a service reaches PostgreSQL: a pool bound to its schema, transactions, and a stated answer to a lost
connection.

Rule: connection loss is `DatabaseUnavailable` (the caller waits, refuses or crashes); it is never mistaken for an
answer. Pooled connections are returned without a reset round trip, so nothing may leave session state on them: no SET,
LISTEN, session advisory lock or open cursor; `Database.dedicated` is for those.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import asyncpg
import msgspec
import structlog

from servicekit import own_metrics as metrics

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from servicekit.settings import ServiceSettings

    Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
else:
    Connection = asyncpg.Connection

T = TypeVar("T")

log = structlog.get_logger()

CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 10.0
"""A request that found no free connection for this long is refused; waiting longer only builds a queue nobody reads."""

COMMAND_GRACE_S = 5.0
"""PostgreSQL ends a statement at its time-out itself; one that is silent for so much longer is not there any more."""

IDLE_IN_TRANSACTION_MS = 60_000
LOCK_TIMEOUT_MS = 10_000

_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    # A statement over its time-out: PostgreSQL is there, but not in time, which to the caller is the same.
    asyncpg.QueryCanceledError,
    ConnectionError,
)
_NOT_CONNECTED = (*_LOST, OSError, TimeoutError, asyncpg.InterfaceError)
REPEATABLE = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)
"""Conflicts with other transactions: rolled back for sure, and likely to succeed when run again."""


class DatabaseUnavailable(Exception):
    """PostgreSQL cannot be reached or went away; after a commit was sent, its fate is unknown."""


class _Connection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose return to the pool costs no round trip (see the module's rule)."""

    __slots__ = ()

    def get_reset_query(self) -> str:
        return ""


class Database:
    """A pool on one schema; ``application`` is what ``pg_stat_activity`` shows."""

    def __init__(
        self, dsn: str, schema: str, *, application: str, max_size: int = 8, statement_timeout_ms: int = 15_000
    ) -> None:
        """Prepare; nothing is connected before `open`."""
        self.schema = schema
        self._dsn = dsn
        self._max_size = max_size
        self._command_timeout_s = statement_timeout_ms / 1_000 + COMMAND_GRACE_S if statement_timeout_ms else None
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._server_settings = {
            "application_name": application,
            "search_path": schema,
            "synchronous_commit": "on",
            "timezone": "UTC",
            "jit": "off",
            "statement_timeout": str(statement_timeout_ms),
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        }

    @classmethod
    def of(cls, settings: ServiceSettings, schema: str) -> Database:
        """Return the database the settings name."""
        settings.require("database_url")
        return cls(
            settings.database_url.get_secret_value(),
            schema,
            application=settings.instance,
            max_size=settings.db_pool_max,
            statement_timeout_ms=settings.db_statement_timeout_ms,
        )

    async def open(self) -> None:
        """Create the pool and wait, with back-off and for as long as it takes, until PostgreSQL answers.

        Raises what is no matter of waiting: a wrong password, a database that does not exist.
        """
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=self._max_size,
            max_inactive_connection_lifetime=300,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=self._command_timeout_s,
            server_settings=self._server_settings,
            connection_class=_Connection,
            init=_init,
        )
        attempt = 0
        while True:
            try:
                await self.fetchval("select 1")
            except DatabaseUnavailable as error:
                attempt += 1
                log.warning("database_waiting", schema=self.schema, attempt=attempt, reason=str(error))
                await asyncio.sleep(_back_off(attempt))
            else:
                return

    async def close(self) -> None:
        """Close the pool; connections still in use after five seconds are cut."""
        if self._pool is None:
            return
        pool, self._pool = self._pool, None
        try:
            async with asyncio.timeout(5):
                await pool.close()
        except TimeoutError:
            pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Yield a connection in autocommit; raises `DatabaseUnavailable` when it cannot be had or is lost."""
        if self._pool is None:
            raise RuntimeError("the database is not open")
        pool = self._pool
        try:
            connection = await pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        except _NOT_CONNECTED as error:
            raise self._lost(error) from error
        try:
            yield connection
        except _LOST as error:
            raise self._lost(error) from error
        except (TimeoutError, asyncio.CancelledError) as error:
            # Something is under way on it that nobody waits for any more.  asyncpg would ask the server to cancel that, and
            # wait for as long as a server that fell silent stays silent: a new connection is cheaper.
            _drop(connection)
            if isinstance(error, TimeoutError):
                raise self._lost(error) from error
            raise
        except asyncpg.InterfaceError as error:
            # asyncpg says "connection is closed" and "connection was closed in the middle of operation" by this class,
            # and also reports wrong use by it: only the former is an outage.
            if "clos" not in str(error):
                raise
            raise self._lost(error) from error
        except asyncpg.InternalClientError as error:
            # A server that died has sent its last word and not yet closed: asyncpg holds such a connection for busy.
            if "cannot switch to state" not in str(error):
                raise
            connection.terminate()
            raise self._lost(error) from error
        finally:
            await pool.release(connection)

    def _lost(self, error: BaseException) -> DatabaseUnavailable:
        metrics.DATABASE_LOST.labels(self.schema).inc()
        return DatabaseUnavailable(f"{type(error).__name__}: {_first_line(error)}")

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Yield a connection inside one transaction: committed at the end, rolled back on any exception."""
        async with self.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            try:
                yield connection
            except (TimeoutError, asyncio.CancelledError):
                _drop(connection)  # its end is its rollback; asking for one would wait for a silent server
                raise
            except BaseException:
                await transaction.rollback()
                raise
            await transaction.commit()

    async def run(self, work: Callable[[Connection], Awaitable[T]], *, patience_s: float = 30.0) -> T:
        """Return what idempotent ``work`` returns, run in a transaction and repeated on conflict or connection loss.

        A connection lost during the commit leaves its fate unknown, and the work is run again: hence idempotent.
        Raises `DatabaseUnavailable` when it could not be done within ``patience_s`` seconds, and the conflict after as
        long.
        """
        deadline = time.monotonic() + patience_s
        attempt = 0
        while True:
            try:
                async with self.transaction() as connection:
                    return await work(connection)
            except (DatabaseUnavailable, *REPEATABLE) as error:
                attempt += 1
                pause = _back_off(attempt)
                if time.monotonic() + pause > deadline:
                    raise
                metrics.DATABASE_RETRIES.labels(self.schema, type(error).__name__).inc()
                log.warning("database_retry", schema=self.schema, attempt=attempt, reason=type(error).__name__)
                await asyncio.sleep(pause)

    async def dedicated(self) -> asyncpg.Connection[asyncpg.Record]:
        """Return a connection outside the pool, for session locks and LISTEN; the caller closes it."""
        try:
            connection = await asyncpg.connect(
                self._dsn, timeout=CONNECT_TIMEOUT_S, server_settings=self._server_settings
            )
            await _init(connection)
        except _NOT_CONNECTED as error:
            raise self._lost(error) from error
        return connection

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Return all rows."""
        async with self.connection() as connection:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *args)
            return rows

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """Return the first row or None."""
        async with self.connection() as connection:
            return await connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first value of the first row or None."""
        async with self.connection() as connection:
            return await connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run one statement and return its command tag (``UPDATE 3``)."""
        async with self.connection() as connection:
            return str(await connection.execute(sql, *args))


def _drop(connection: Connection) -> None:
    with suppress(asyncpg.InterfaceError):  # dropped before, and so no longer ours
        connection.terminate()


async def _init(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_to_json, decoder=msgspec.json.decode)


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _back_off(attempt: int) -> float:
    """Return seconds to wait before attempt ``attempt + 1``: 0.1 doubling to 3, with jitter so that workers do not
    march in step.
    """
    return float(min(3.0, 0.1 * 2 ** min(attempt, 6)) * random.uniform(0.5, 1.0))


def _first_line(error: BaseException) -> str:
    # Details of PostgreSQL's errors quote row values, which may be numbers or contents: the first line does not.
    return str(error).partition("\n")[0]
