"""The register in PostgreSQL: enterprises, ports, keys, templates; read whole into a snapshot, changed row by row.

Every change raises `register_version` in its own transaction, which is how the other processes learn of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg

from ingest.domain.admission import ApprovedTemplate, Caller
from ingest.domain.register import Key, Register
from servicekit.database import Connection

_KEYS = """
select key_id, tenant, enterprise, name, digest, previous_digest, previous_until, scopes, ports, any_sender, rate, burst,
       require_signature, signing_secret
  from api_key where revoked_at is null
"""


async def version(connection: Connection) -> int:
    """Return the register's version."""
    return int(await connection.fetchval("select version from register_version"))


async def load(connection: Connection) -> Register:
    """Return the whole register as of one moment; call it in a transaction of isolation repeatable read."""
    at = await version(connection)
    ports: dict[tuple[str, str], dict[str, str]] = {}
    for row in await connection.fetch("select tenant, enterprise, port, status from port"):
        ports.setdefault((row["tenant"], row["enterprise"]), {})[row["port"]] = row["status"]
    templates: dict[tuple[str, str], dict[str, ApprovedTemplate]] = {}
    for row in await connection.fetch("select tenant, enterprise, template_id, kind, body, ports from template"):
        templates.setdefault((row["tenant"], row["enterprise"]), {})[row["template_id"]] = ApprovedTemplate(
            row["template_id"], row["kind"], row["body"], row["ports"]
        )
    keys: dict[bytes, Key] = {}
    previous: dict[bytes, tuple[Key, datetime]] = {}
    for row in await connection.fetch(_KEYS):
        owner = (row["tenant"], row["enterprise"])
        key = _key(row, ports.get(owner, {}), templates.get(owner, {}))
        keys[row["digest"]] = key
        if row["previous_digest"] is not None:
            previous[row["previous_digest"]] = (key, row["previous_until"])
    return Register(at, keys, previous)


def _key(row: asyncpg.Record, ports: dict[str, str], templates: dict[str, ApprovedTemplate]) -> Key:
    caller = Caller(
        tenant=row["tenant"],
        enterprise=row["enterprise"],
        user=row["name"],
        any_sender=row["any_sender"],
        key_ports=row["ports"],
        ports=ports,
        templates=templates,
    )
    return Key(
        key_id=row["key_id"],
        tenant=row["tenant"],
        enterprise=row["enterprise"],
        name=row["name"],
        scopes=frozenset(row["scopes"]),
        rate=row["rate"],
        burst=row["burst"],
        require_signature=row["require_signature"],
        sealed_secret=row["signing_secret"],
        caller=caller,
    )


async def touch(connection: Connection) -> None:
    """Raise the version; in the transaction of the change."""
    await connection.execute("update register_version set version = version + 1")


async def put_enterprise(connection: Connection, tenant: str, enterprise: str, name: str, grade: str) -> None:
    """Make or change an enterprise."""
    await connection.execute(
        "insert into enterprise (tenant, enterprise, name, grade) values ($1, $2, $3, $4)"
        " on conflict (tenant, enterprise) do update set name = excluded.name, grade = excluded.grade",
        tenant, enterprise, name, grade,
    )  # fmt: skip


async def enterprise_exists(connection: Connection, tenant: str, enterprise: str) -> bool:
    """Return whether there is such an enterprise."""
    return bool(
        await connection.fetchval("select 1 from enterprise where tenant = $1 and enterprise = $2", tenant, enterprise)
    )


async def put_port(
    connection: Connection, tenant: str, enterprise: str, port: str, name: str, signature: str, status: str
) -> bool:
    """Make or change a port; False when it belongs to another enterprise of the tenant."""
    done = await connection.fetchval(
        "insert into port (tenant, port, enterprise, name, signature, status) values ($1, $2, $3, $4, $5, $6)"
        " on conflict (tenant, port) do update set name = excluded.name, signature = excluded.signature, status = excluded.status"
        " where port.enterprise = excluded.enterprise returning 1",
        tenant, port, enterprise, name, signature, status,
    )  # fmt: skip
    return done is not None


async def put_template(
    connection: Connection, tenant: str, enterprise: str, template_id: str, kind: str, body: str, ports: list[str]
) -> None:
    """Make or change an approved template."""
    await connection.execute(
        "insert into template (tenant, enterprise, template_id, kind, body, ports) values ($1, $2, $3, $4, $5, $6)"
        " on conflict (tenant, enterprise, template_id)"
        " do update set kind = excluded.kind, body = excluded.body, ports = excluded.ports",
        tenant, enterprise, template_id, kind, body, ports,
    )  # fmt: skip


async def insert_key(connection: Connection, row: dict[str, Any]) -> bool:
    """Insert a key; False when the name or the key is taken."""
    done = await connection.fetchval(
        "insert into api_key (key_id, tenant, enterprise, name, digest, scopes, ports, any_sender, rate, burst,"
        " require_signature, signing_secret) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        " on conflict do nothing returning 1",
        *(
            row[name]
            for name in (
                "key_id", "tenant", "enterprise", "name", "digest", "scopes", "ports", "any_sender", "rate", "burst",
                "require_signature", "signing_secret",
            )
        ),
    )  # fmt: skip
    return done is not None


async def rotate_key(
    connection: Connection,
    key_id: str,
    digest: bytes,
    signing_secret: bytes,
    grace_s: int,
    tenant: str,
    enterprise: str,
) -> bool:
    """Give the key a new secret, the old one staying valid for ``grace_s`` seconds; False when there is no such key."""
    done = await connection.fetchval(
        "update api_key set previous_digest = digest, previous_until = now() + make_interval(secs => $4), digest = $2,"
        " signing_secret = $3, rotated_at = now() where key_id = $1 and revoked_at is null"
        " and ($5 = '' or (tenant = $5 and enterprise = $6)) returning 1",
        key_id, digest, signing_secret, float(grace_s), tenant, enterprise,
    )  # fmt: skip
    return done is not None


async def revoke_key(connection: Connection, key_id: str, tenant: str, enterprise: str) -> bool:
    """End the key at once; False when there is no such key.  Empty ``tenant`` is the operator's: any key."""
    done = await connection.fetchval(
        "update api_key set revoked_at = now(), previous_digest = null where key_id = $1 and revoked_at is null"
        " and ($2 = '' or (tenant = $2 and enterprise = $3)) returning 1",
        key_id, tenant, enterprise,
    )  # fmt: skip
    return done is not None


async def list_keys(connection: Connection, tenant: str, enterprise: str) -> list[asyncpg.Record]:
    """Return the keys without their secrets."""
    rows: list[asyncpg.Record] = await connection.fetch(
        "select key_id, tenant, enterprise, name, scopes, ports, any_sender, rate, burst, require_signature, created_at,"
        " rotated_at, revoked_at from api_key where ($1 = '' or (tenant = $1 and enterprise = $2)) order by created_at, key_id"
        " limit 1000",
        tenant, enterprise,
    )  # fmt: skip
    return rows
