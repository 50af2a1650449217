"""Accounts of the console: login with lock, sessions that expire, and what an administrator does with people.

Implements `console.accounts.Accounts`.  Every login, refusal and change is in the audit log.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

import asyncpg

from console.accounts import Account, Login, Refusal, Role
from review.handlers.decide import Actor
from review.settings import ReviewSettings
from review.store import audit
from review.store import people as store
from review.store.audit import Action
from servicekit.auth import hash_password, same, verify_password
from servicekit.clock import Clock
from servicekit.database import Database

WRONG_TRIES = 5
LOCK_MS = 15 * 60_000
LONGEST_SESSION_MS = 12 * 3_600_000
SHORTEST_PASSWORD = 10

OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Change:
    """Role, display name and linked API users of an account."""

    role: Role
    display: str
    api_users: tuple[str, ...]


class People:
    """The console's accounts."""

    def __init__(self, database: Database, clock: Clock, settings: ReviewSettings) -> None:
        """Take the figures of the settings."""
        self._database = database
        self._clock = clock
        self._settings = settings
        self._idle_ms = settings.review_session_minutes * 60_000
        self._decoy: str | None = None

    async def bootstrap(self) -> None:
        """Make the accounts of the settings that do not exist."""
        for seed in self._settings.logins:
            tenant = seed.tenant or self._settings.review_tenant
            async with self._database.connection() as connection:
                if await store.find(connection, seed.user) is not None:
                    continue
            hashed = await hash_password(seed.password.get_secret_value())
            async with self._database.transaction() as tx:
                now = self._clock.wall_ms()
                made = await store.create(
                    tx,
                    name=seed.user,
                    tenant=tenant,
                    role=seed.role.value,
                    display=seed.display,
                    password_hash=hashed,
                    api_users=seed.api_users,
                    at_ms=now,
                )
                if made:
                    action = Action("system", "system", "user.create", seed.user, {"role": seed.role.value})
                    await audit.append(tx, tenant, now, [action])

    # ----------------------------------------------------------------------------------------------------- Accounts

    async def sign_in(self, name: str, password: str) -> Login | Refusal:
        """Open a session, or say why not."""
        async with self._database.connection() as connection:
            row = await store.find(connection, name)
        now = self._clock.wall_ms()
        if row is not None and row["locked_until"] > now:
            return Refusal.LOCKED
        # Unknown names cost the same time as known ones.
        stored = row["password_hash"] if row is not None else await self._decoy_hash()
        right = await verify_password(stored, password)
        if row is None or row["disabled"]:
            return Refusal.WRONG
        if not right:
            return await self._wrong(row, now)
        token, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        async with self._database.transaction() as tx:
            await store.right_try(tx, name)
            await store.open_session(tx, _digest(token), name, csrf, now, now + LONGEST_SESSION_MS)
            await audit.append(tx, row["tenant"], now, [Action(name, row["role"], "user.login", name, {})])
        return Login(_account(row), csrf, token)

    async def session(self, token: str) -> Login | None:
        """Return the live session of a cookie."""
        async with self._database.connection() as connection:
            row = await store.session(connection, _digest(token), self._clock.wall_ms(), self._idle_ms)
        return None if row is None else Login(_account(row), row["csrf"], token)

    async def sign_out(self, login: Login) -> None:
        """End the session."""
        account = login.account
        async with self._database.transaction() as tx:
            await store.close_session(tx, _digest(login.token))
            action = Action(account.name, account.role.value, "user.logout", account.name, {})
            await audit.append(tx, account.tenant, self._clock.wall_ms(), [action])

    # -------------------------------------------------------------------------------------------------------- JSON API

    def operator(self, bearer: str) -> Actor | None:
        """Return the operator when the token is his: administration over HTTP, with every right."""
        token = self._settings.operator_token.get_secret_value()
        if not token or not same(token, bearer):
            return None
        return Actor(self._settings.review_tenant, OPERATOR, OPERATOR)

    # ----------------------------------------------------------------------------------------------------------- admin

    async def create(self, by: Account, name: str, password: str, change: Change) -> bool:
        """Make an account in the administrator's tenant; False when the name is taken."""
        hashed = await hash_password(password)
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            made = await store.create(
                tx,
                name=name,
                tenant=by.tenant,
                role=change.role.value,
                display=change.display,
                password_hash=hashed,
                api_users=change.api_users,
                at_ms=now,
            )
            if made:
                detail = {"role": change.role.value, "api_users": list(change.api_users)}
                await audit.append(tx, by.tenant, now, [Action(by.name, by.role.value, "user.create", name, detail)])
        return made

    async def change(self, by: Account, name: str, change: Change) -> bool:
        """Change an account; False when there is none."""
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            done = await store.update(
                tx,
                by.tenant,
                name,
                role=change.role.value,
                display=change.display,
                api_users=change.api_users,
                at_ms=now,
            )
            if done:
                detail = {"role": change.role.value, "api_users": list(change.api_users)}
                await audit.append(tx, by.tenant, now, [Action(by.name, by.role.value, "user.change", name, detail)])
        return done

    async def reset(self, by: Account, name: str, password: str) -> bool:
        """Set a password, one's own or as administrator another's; ends its sessions."""
        hashed = await hash_password(password)
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            done = await store.set_password(tx, by.tenant, name, hashed, now)
            if done:
                await audit.append(tx, by.tenant, now, [Action(by.name, by.role.value, "user.password", name, {})])
        return done

    async def disable(self, by: Account, name: str, *, disabled: bool) -> bool:
        """Disable or enable an account (which also unlocks it)."""
        async with self._database.transaction() as tx:
            now = self._clock.wall_ms()
            done = await store.set_disabled(tx, by.tenant, name, disabled=disabled, at_ms=now)
            if done:
                verb = "user.disable" if disabled else "user.enable"
                await audit.append(tx, by.tenant, now, [Action(by.name, by.role.value, verb, name, {})])
        return done

    async def check_password(self, account: Account, password: str) -> bool:
        """Return whether the password is the account's."""
        async with self._database.connection() as connection:
            row = await store.find(connection, account.name)
        return row is not None and await verify_password(row["password_hash"], password)

    async def people(self, tenant: str) -> list[asyncpg.Record]:
        """Return the tenant's accounts."""
        async with self._database.connection() as connection:
            return await store.people(connection, tenant)

    async def _wrong(self, row: asyncpg.Record, now: int) -> Refusal:
        async with self._database.transaction() as tx:
            locked = await store.wrong_try(tx, row["name"], now, WRONG_TRIES, LOCK_MS)
            verb = "user.locked" if locked else "user.wrong_password"
            await audit.append(tx, row["tenant"], now, [Action(row["name"], row["role"], verb, row["name"], {})])
        return Refusal.LOCKED if locked else Refusal.WRONG

    async def _decoy_hash(self) -> str:
        if self._decoy is None:
            self._decoy = await hash_password(secrets.token_urlsafe(24))
        return self._decoy


def actor_of(account: Account) -> Actor:
    """Return the account as one who acts on tasks."""
    return Actor(account.tenant, account.name, account.role.value, account.api_users)


def _account(row: asyncpg.Record) -> Account:
    return Account(row["name"], row["display"], Role(row["role"]), row["tenant"], tuple(row["api_users"]))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
