"""Accounts and sessions of the console.  Sessions are kept by the digest of their token: the table opens no door."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from servicekit.database import Connection

_PERSON = "name, tenant, role, display, api_users, wrong_tries, locked_until, disabled, created_at, changed_at"


async def find(connection: Connection, name: str) -> asyncpg.Record | None:
    """Return the account with its password hash, or None."""
    return await connection.fetchrow("select * from console_user where name = $1", name)


async def people(connection: Connection, tenant: str) -> list[asyncpg.Record]:
    """Return the tenant's accounts without their hashes."""
    sql = f"select {_PERSON} from console_user where tenant = $1 order by disabled, name"  # noqa: S608 - a constant
    return list(await connection.fetch(sql, tenant))


async def create(
    connection: Connection,
    *,
    name: str,
    tenant: str,
    role: str,
    display: str,
    password_hash: str,
    api_users: Sequence[str],
    at_ms: int,
) -> bool:
    """Make an account; False when the name is taken."""
    made = await connection.fetchval(
        """
        insert into console_user (name, tenant, role, display, password_hash, api_users, created_at, changed_at)
        values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict (name) do nothing returning name
        """,
        name,
        tenant,
        role,
        display,
        password_hash,
        list(api_users),
        at_ms,
    )
    return made is not None


async def update(
    connection: Connection, tenant: str, name: str, *, role: str, display: str, api_users: Sequence[str], at_ms: int
) -> bool:
    """Change role, display name and linked API users."""
    done = await connection.fetchval(
        """
        update console_user set role = $3, display = $4, api_users = $5, changed_at = $6
        where tenant = $1 and name = $2 returning name
        """,
        tenant,
        name,
        role,
        display,
        list(api_users),
        at_ms,
    )
    return done is not None


async def set_password(connection: Connection, tenant: str, name: str, password_hash: str, at_ms: int) -> bool:
    """Set a password, unlock the account, and end its sessions."""
    done = await connection.fetchval(
        """
        update console_user set password_hash = $3, wrong_tries = 0, locked_until = 0, changed_at = $4
        where tenant = $1 and name = $2 returning name
        """,
        tenant,
        name,
        password_hash,
        at_ms,
    )
    await connection.execute("delete from console_session where user_name = $1", name)
    return done is not None


async def set_disabled(connection: Connection, tenant: str, name: str, *, disabled: bool, at_ms: int) -> bool:
    """Disable or enable an account; a disabled one has no sessions."""
    done = await connection.fetchval(
        """
        update console_user set disabled = $3, wrong_tries = 0, locked_until = 0, changed_at = $4
        where tenant = $1 and name = $2 returning name
        """,
        tenant,
        name,
        disabled,
        at_ms,
    )
    if disabled:
        await connection.execute("delete from console_session where user_name = $1", name)
    return done is not None


async def wrong_try(connection: Connection, name: str, now: int, limit: int, lock_ms: int) -> int:
    """Count a wrong password and lock at the limit; returns until when it is locked, 0 for not."""
    until: int = await connection.fetchval(
        """
        update console_user set
            wrong_tries = case when wrong_tries + 1 >= $3::int then 0 else wrong_tries + 1 end,
            locked_until = case when wrong_tries + 1 >= $3::int then $2::bigint + $4::bigint else locked_until end
        where name = $1 returning case when wrong_tries = 0 then locked_until else 0 end
        """,
        name,
        now,
        limit,
        lock_ms,
    )
    return until or 0


async def right_try(connection: Connection, name: str) -> None:
    """Forget wrong tries."""
    await connection.execute(
        "update console_user set wrong_tries = 0, locked_until = 0 where name = $1 and wrong_tries > 0", name
    )


async def open_session(connection: Connection, digest: bytes, name: str, csrf: str, now: int, expires: int) -> None:
    """Record a session."""
    await connection.execute(
        "insert into console_session values ($1, $2, $3, $4, $4, $5)", digest, name, csrf, now, expires
    )


async def session(connection: Connection, digest: bytes, now: int, idle_ms: int) -> asyncpg.Record | None:
    """Return the live session with its account, marking it seen (at most once a minute)."""
    row = await connection.fetchrow(
        """
        select s.csrf, s.seen_at, u.name, u.display, u.role, u.tenant, u.api_users
        from console_session s join console_user u on u.name = s.user_name
        where s.digest = $1 and s.expires_at > $2 and s.seen_at > $3 and not u.disabled
        """,
        digest,
        now,
        now - idle_ms,
    )
    if row is not None and now - row["seen_at"] > 60_000:
        await connection.execute("update console_session set seen_at = $2 where digest = $1", digest, now)
    return row


async def close_session(connection: Connection, digest: bytes) -> None:
    """End a session."""
    await connection.execute("delete from console_session where digest = $1", digest)
