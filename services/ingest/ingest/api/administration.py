"""Enterprises, ports, templates and keys: with the operator's token for all, with an `admin` key for its own enterprise's keys."""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ingest import problems
from ingest.api import documents
from ingest.api.services import Services, json
from ingest.domain.register import SCOPES, Key
from ingest.domain.template import clean, parse
from ingest.handlers.gate import Credentials
from ingest.store import register as store
from servicekit.auth import new_api_key
from servicekit.problems import NOT_FOUND, Problem

_NAME = r"^[A-Za-z0-9_.-]{1,64}$"


def _shown(text: str) -> str:
    if not clean(text):
        raise ValueError("含有控制字符 / holds control characters")
    return text


Name = Annotated[str, Field(pattern=_NAME)]
Shown = Annotated[str, Field(max_length=200), AfterValidator(_shown)]
PortNumber = Annotated[str, Field(pattern=r"^[0-9]{3,20}$")]
KeyId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


class EnterpriseBody(BaseModel):
    """An enterprise to make or change."""

    tenant: Name = "main"
    enterprise: Name
    name: Shown
    grade: Literal["ordinary", "silver", "gold", "diamond"] = "ordinary"


class PortBody(BaseModel):
    """A port to make or change."""

    tenant: Name = "main"
    enterprise: Name
    port: PortNumber
    name: Shown = ""
    signature: Shown = ""
    status: Literal["active", "suspended"] = "active"


class TemplateBody(BaseModel):
    """An approved template to make or change."""

    tenant: Name = "main"
    enterprise: Name
    template_id: Name
    kind: Literal["code", "text"] = "text"
    text: str = Field(min_length=1, max_length=2_000)
    ports: list[PortNumber] = Field(default_factory=list, max_length=100)


class KeyBody(BaseModel):
    """A key to make.  ``ports`` empty: all of the enterprise's."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "billing", "scopes": ["send", "read"]}]})

    name: Name
    scopes: list[Literal["send", "read", "admin"]] = Field(
        default=["send", "read"], min_length=1, max_length=len(SCOPES)
    )
    ports: list[PortNumber] = Field(default_factory=list, max_length=100)
    any_sender: bool = False
    rate: int = Field(default=1_000, ge=1, le=1_000_000, description="requests a second on the mean")
    burst: int = Field(default=2_000, ge=1, le=1_000_000, description="requests at once")
    require_signature: bool = False


class AdminKeyBody(KeyBody):
    """A key for any enterprise; ``key`` brings one made elsewhere (at least 128 random bits)."""

    tenant: Name = "main"
    enterprise: Name
    key: str | None = Field(default=None, pattern=r"^gx_[A-Za-z0-9_-]{22,120}$")


class RotateBody(BaseModel):
    """How long the old key stays valid."""

    grace_seconds: int = Field(default=3_600, ge=0, le=7 * 86_400)


def router(services: Services) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(responses=documents.PROBLEMS)
    _register_routes(routes, services)
    _key_routes(routes, services)
    return routes


def _operator(services: Services, request: Request) -> None:
    credentials = Credentials(request.scope["headers"])
    if not services.gate.operator(credentials):
        # A key of whatever scope is not enough; without any the answer is 401.
        services.gate.key(credentials, "admin")
        raise Problem(problems.SCOPE_MISSING, zh="需要操作员令牌", en="The operator's token is needed")


def _administrator(services: Services, request: Request) -> Key | None:
    """Return the admin key, or None for the operator, who may do everything."""
    credentials = Credentials(request.scope["headers"])
    return None if services.gate.operator(credentials) else services.gate.key(credentials, "admin")


def _register_routes(routes: APIRouter, services: Services) -> None:
    @routes.post(
        "/v1/admin/enterprises", tags=["admin"], response_model=documents.Done, summary="Enterprise / 集团客户"
    )
    async def put_enterprise(request: Request, body: EnterpriseBody) -> Response:
        _operator(services, request)
        async with services.database.transaction() as connection:
            await store.put_enterprise(connection, body.tenant, body.enterprise, body.name, body.grade)
        return json({"done": True})

    @routes.post("/v1/admin/ports", tags=["admin"], response_model=documents.Done, summary="Port / 端口")
    async def put_port(request: Request, body: PortBody) -> Response:
        _operator(services, request)
        async with services.database.transaction() as connection:
            await _needs(connection, body.tenant, body.enterprise)
            mine = await store.put_port(
                connection, body.tenant, body.enterprise, body.port, body.name, body.signature, body.status
            )
            if not mine:
                raise Problem(problems.EXISTS, zh="端口属于其他企业", en="The port belongs to another enterprise")
            await store.touch(connection)
        await services.register.reload()
        return json({"done": True})

    @routes.post("/v1/admin/templates", tags=["admin"], response_model=documents.Done, summary="Template / 模板")
    async def put_template(request: Request, body: TemplateBody) -> Response:
        _operator(services, request)
        _shown_template(body.text)
        async with services.database.transaction() as connection:
            await _needs(connection, body.tenant, body.enterprise)
            await store.put_template(
                connection, body.tenant, body.enterprise, body.template_id, body.kind, body.text, body.ports
            )
            await store.touch(connection)
        await services.register.reload()
        return json({"done": True})


def _shown_template(text: str) -> None:
    parse(text)
    if not clean(text):
        raise Problem(problems.REFUSALS["content_invalid"])


async def _needs(connection: Any, tenant: str, enterprise: str) -> None:
    if not await store.enterprise_exists(connection, tenant, enterprise):
        raise Problem(NOT_FOUND, zh="没有这个企业", en="There is no such enterprise")


def _key_routes(routes: APIRouter, services: Services) -> None:
    @routes.post(
        "/v1/admin/keys",
        tags=["admin"],
        status_code=201,
        response_model=documents.KeyMade,
        summary="Key / 任意企业的密钥",
    )
    async def admin_key(request: Request, body: AdminKeyBody) -> Response:
        _operator(services, request)
        return await _make(services, body, body.tenant, body.enterprise, body.key)

    @routes.post(
        "/v1/keys", tags=["keys"], status_code=201, response_model=documents.KeyMade, summary="Make a key / 新建密钥"
    )
    async def make_key(request: Request, body: KeyBody) -> Response:
        credentials = Credentials(request.scope["headers"])
        admin = services.gate.key(credentials, "admin")
        # No key can make one that may do more than itself.
        caller = admin.caller
        if body.any_sender and not caller.any_sender:
            raise Problem(problems.SCOPE_MISSING, zh="无权授予任意主叫", en="any_sender cannot be granted")
        if caller.key_ports and not (body.ports and set(body.ports) <= set(caller.key_ports)):
            raise Problem(problems.REFUSALS["port_not_allowed"])
        return await _make(services, body, admin.tenant, admin.enterprise, None)

    @routes.get("/v1/keys", tags=["keys"], response_model=documents.KeyPage, summary="Keys / 密钥列表")
    async def list_keys(request: Request) -> Response:
        admin = _administrator(services, request)
        async with services.database.connection() as connection:
            rows = await store.list_keys(connection, *_owner(admin))
        return json({"items": [dict(row) for row in rows]})

    @routes.post(
        "/v1/keys/{key_id}/rotate", tags=["keys"], response_model=documents.KeyMade, summary="Rotate / 轮换密钥"
    )
    async def rotate(request: Request, key_id: KeyId, body: RotateBody) -> Response:
        admin = _administrator(services, request)
        text, secret = new_api_key().text, _signing_secret()
        digest, sealed = services.sealer.digest(text), services.sealer.seal(secret)
        async with services.database.transaction() as connection:
            if not await store.rotate_key(connection, key_id, digest, sealed, body.grace_seconds, *_owner(admin)):
                raise Problem(NOT_FOUND)
            await store.touch(connection)
        await services.register.reload()
        return json({"key_id": key_id, "key": text, "signing_secret": secret})

    @routes.post("/v1/keys/{key_id}/revoke", tags=["keys"], response_model=documents.Done, summary="Revoke / 吊销密钥")
    async def revoke(request: Request, key_id: KeyId) -> Response:
        admin = _administrator(services, request)
        async with services.database.transaction() as connection:
            if not await store.revoke_key(connection, key_id, *_owner(admin)):
                raise Problem(NOT_FOUND)
            await store.touch(connection)
        await services.register.reload()
        return json({"done": True})


def _owner(admin: Key | None) -> tuple[str, str]:
    return ("", "") if admin is None else (admin.tenant, admin.enterprise)


def _signing_secret() -> str:
    return f"gxs_{secrets.token_urlsafe(32)}"


async def _make(services: Services, body: KeyBody, tenant: str, enterprise: str, given: str | None) -> Response:
    made = new_api_key()
    text, secret = given or made.text, _signing_secret()
    row = {
        "key_id": made.key_id,
        "tenant": tenant,
        "enterprise": enterprise,
        "name": body.name,
        "digest": services.sealer.digest(text),
        "scopes": sorted(set(body.scopes)),
        "ports": sorted(set(body.ports)),
        "any_sender": body.any_sender,
        "rate": body.rate,
        "burst": body.burst,
        "require_signature": body.require_signature,
        "signing_secret": services.sealer.seal(secret),
    }
    async with services.database.transaction() as connection:
        await _needs(connection, tenant, enterprise)
        if not await store.insert_key(connection, row):
            raise Problem(problems.EXISTS, zh="密钥名或密钥已存在", en="The key or its name exists")
        await store.touch(connection)
    await services.register.reload()
    return json({"key_id": made.key_id, "key": text, "signing_secret": secret}, 201)
