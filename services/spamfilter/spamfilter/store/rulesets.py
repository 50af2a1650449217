"""Rule sets and code templates in PostgreSQL; one writer at a time, every change a row of `policy_change`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from servicekit.database import Connection, Database
from spamfilter.domain.rules import Rule, RuleSet, decode_rules, encode_rules, rule_set

_LOCK = 0x7370616D  # "spam": serialises changes of policy, so that "the set before this one" has one answer


@dataclass(frozen=True, slots=True)
class Summary:
    """One stored rule set, without its rules."""

    number: int
    version: str
    rules: int
    note: str
    created_by: str
    created_at: datetime
    active: bool


@dataclass(frozen=True, slots=True)
class StoredTemplate:
    """One approved code template."""

    id: int
    tenant: str
    port: str
    pattern: str
    approved_by: str


class Rulesets:
    """The repository."""

    def __init__(self, database: Database) -> None:
        """Use the pool of schema spamfilter."""
        self._database = database

    async def version(self) -> int:
        """Return the number of the newest change, 0 when there was none: what running processes compare."""
        return int(await self._database.fetchval("select coalesce(max(id), 0) from policy_change"))

    async def active(self) -> RuleSet | None:
        """Return the set in force, or None before the first activation."""
        row = await self._database.fetchrow("select number, rules from ruleset where number = (" + _ACTIVE + ")")  # noqa: S608
        return None if row is None else rule_set(row["number"], decode_rules(row["rules"]))

    async def get(self, number: int) -> RuleSet | None:
        """Return one set."""
        row = await self._database.fetchrow("select number, rules from ruleset where number = $1", number)
        return None if row is None else rule_set(row["number"], decode_rules(row["rules"]))

    async def newest(self, limit: int) -> list[Summary]:
        """Return the newest sets."""
        rows = await self._database.fetch(
            "select number, digest, count, note, created_by, created_at, number = (" + _ACTIVE + ") as active "
            "from ruleset order by number desc limit $1",
            limit,
        )
        return [
            Summary(
                number=row["number"],
                version=f"{row['number']}-{row['digest'][:12]}",
                rules=row["count"],
                note=row["note"],
                created_by=row["created_by"],
                created_at=row["created_at"],
                active=bool(row["active"]),
            )
            for row in rows
        ]

    async def add(self, rules: list[Rule], by: str, note: str) -> RuleSet:
        """Store a new set and return it; it is not in force yet."""
        draft = rule_set(0, rules)
        number = await self._database.fetchval(
            "insert into ruleset (digest, rules, count, note, created_by) values ($1, $2, $3, $4, $5) returning number",
            draft.digest,
            encode_rules(draft.rules),
            len(draft.rules),
            note,
            by,
        )
        return rule_set(number, rules)

    async def activate(self, number: int, by: str) -> None:
        """Put a stored set in force; doing so again changes nothing."""
        async with self._database.transaction() as tx:
            await _lock(tx)
            if await tx.fetchval(_ACTIVE) != number:
                await _change(tx, "activate", number, by)

    async def rollback(self, by: str) -> int | None:
        """Put the set back that was in force before this one; return its number, or None when there was none."""
        async with self._database.transaction() as tx:
            await _lock(tx)
            number = await tx.fetchval(_ACTIVE)
            before = await tx.fetchval(
                "select ruleset from policy_change where ruleset is not null and ruleset <> $1 and id < "
                "(select min(id) from policy_change where ruleset = $1) order by id desc limit 1",
                number,
            )
            if before is not None:
                await _change(tx, "rollback", before, by)
            return int(before) if before is not None else None

    async def seed(self, rules: list[Rule]) -> bool:
        """Store and activate the shipped rules where no set was ever in force; return whether that was so."""
        draft = rule_set(0, rules)
        async with self._database.transaction() as tx:
            await _lock(tx)
            if await tx.fetchval(_ACTIVE) is not None:
                return False
            number = await tx.fetchval(
                "insert into ruleset (digest, rules, count, note, created_by) "
                "values ($1, $2, $3, 'shipped rules / 随产品规则', 'guanxin') returning number",
                draft.digest,
                encode_rules(draft.rules),
                len(draft.rules),
            )
            await _change(tx, "activate", number, "guanxin")
            return True

    async def templates(self) -> list[StoredTemplate]:
        """Return every standing code template."""
        rows = await self._database.fetch(
            "select id, tenant, port, pattern, approved_by from code_template where withdrawn_at is null order by id"
        )
        return [StoredTemplate(**dict(row)) for row in rows]

    async def approve_template(self, tenant: str, port: str, pattern: str, by: str) -> int:
        """Store a code template and return its id; the same again returns the same."""
        async with self._database.transaction() as tx:
            await _lock(tx)
            standing = await tx.fetchval(
                "select id from code_template "
                "where tenant = $1 and port = $2 and pattern = $3 and withdrawn_at is null",
                tenant,
                port,
                pattern,
            )
            if standing is not None:
                return int(standing)
            number = await tx.fetchval(
                "insert into code_template (tenant, port, pattern, approved_by) values ($1, $2, $3, $4) returning id",
                tenant,
                port,
                pattern,
                by,
            )
            await _template_change(tx, {"approved": number}, by)
            return int(number)

    async def withdraw_template(self, number: int, by: str) -> bool:
        """Withdraw a code template; return whether there was one."""
        async with self._database.transaction() as tx:
            await _lock(tx)
            done = await tx.fetchval(
                "update code_template set withdrawn_at = now() where id = $1 and withdrawn_at is null returning id",
                number,
            )
            if done is not None:
                await _template_change(tx, {"withdrawn": number}, by)
            return done is not None


_ACTIVE = "select ruleset from policy_change where ruleset is not null order by id desc limit 1"


async def _lock(tx: Connection) -> None:
    await tx.execute("select pg_advisory_xact_lock($1)", _LOCK)


async def _change(tx: Connection, kind: str, number: int, by: str) -> None:
    await tx.execute("insert into policy_change (kind, ruleset, by_whom) values ($1, $2, $3)", kind, number, by)


async def _template_change(tx: Connection, what: dict[str, Any], by: str) -> None:
    await tx.execute("insert into policy_change (kind, what, by_whom) values ('template', $1, $2)", what, by)
