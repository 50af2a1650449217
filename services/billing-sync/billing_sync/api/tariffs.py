"""Tariff versions over HTTP: list and add; nothing is ever changed, and none begins in the past."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from billing_sync.api.access import Access
from billing_sync.domain.tariff import ChargeOn, Tariff, TariffError, check
from billing_sync.store import tariffs
from servicekit.apidoc import refusals
from servicekit.clock import Clock
from servicekit.database import Database
from servicekit.problems import CONFLICT, INVALID_REQUEST, Problem

Price = Annotated[str, Field(pattern=r"^\d{1,4}(\.\d{1,6})?$")]
Carrier = Annotated[str, Field(max_length=10)]


class TariffIn(BaseModel):
    """A version; prices are decimal text in yuan a segment by carrier (CMCC, CUCC, CTCC, CBN, ...), `default` for the
    rest.
    """

    tenant: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$", examples=["2026-12"])
    valid_from: int | None = Field(default=None, ge=0, le=2**52, description="Unix ms, not in the past; now if absent")
    digits: int = Field(default=4, ge=0, le=6, description="Decimals of every price and amount")
    charge_on: ChargeOn = ChargeOn.ACCEPTED
    per_segment: dict[Carrier, Price] = Field(examples=[{"default": "0.0450", "CMCC": "0.0420"}], max_length=20)
    per_port: dict[Annotated[str, Field(pattern=r"^[0-9]{3,21}$")], dict[Carrier, Price]] = Field(
        default={}, max_length=10_000
    )
    free_lanes: list[str] = Field(default=[], max_length=4, examples=[["internal"]])


class TariffOut(TariffIn):
    """A stored version."""

    number: int
    currency: str


def router(access: Access, database: Database, clock: Clock) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["tariffs"])

    @routes.get("/v1/tariffs", summary="资费版本 / Tariff versions, latest first")
    async def listed(
        _caller: Annotated[str, Depends(access)],
        tenant: Annotated[str, Query(pattern=r"^[a-z0-9-]{0,63}$")] = "",
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> list[TariffOut]:
        async with database.connection() as connection:
            return [_out(tariff) for tariff in await tariffs.newest(connection, tenant, limit)]

    @routes.post("/v1/tariffs", status_code=201, summary="新增资费版本 / Add a version", responses=refusals(409))
    async def added(body: TariffIn, caller: Annotated[str, Depends(access)]) -> TariffOut:
        now = clock.wall_ms()
        begin = now if body.valid_from is None else body.valid_from
        if begin < now:
            # Segments already answered are already priced; a version in the past would make two truths.
            raise Problem(
                INVALID_REQUEST,
                zh="valid_from 不能早于现在",
                en="valid_from must not be in the past",
                field="valid_from",
            )
        fields = body.model_dump(exclude={"valid_from"})
        tariff = Tariff(number=0, currency="CNY", valid_from=begin, **fields)
        try:
            check(tariff)
        except TariffError as error:
            raise Problem(INVALID_REQUEST, zh=f"资费不合法: {error}", en=str(error)) from error
        stored = await database.run(lambda tx: tariffs.add(tx, tariff, caller))
        if stored is None:
            raise Problem(
                CONFLICT, zh="该租户已有同名或同时生效的版本", en="The tenant has a version of this name or beginning"
            )
        return _out(stored)

    return routes


def _out(tariff: Tariff) -> TariffOut:
    return TariffOut(**msgspec.to_builtins(tariff))
