"""Tariffs: what a segment costs, in exact decimals; versions are immutable and the time of the submit chooses one."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum

import msgspec

from billing_sync.domain.vector import Stage
from contracts.chunk import CARRIERS
from contracts.lanes import Lane

DEFAULT = "default"
"""Key of the price for carriers that have none of their own."""

MAX_DIGITS = 6
_MOST = Decimal(1000)
"""Yuan a segment; a greater price is a slip of the pen."""


class ChargeOn(StrEnum):
    """When a segment costs: as soon as the carrier accepted it, or only when it was delivered."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"


class TariffError(ValueError):
    """A tariff cannot be used; the text says why."""


class Tariff(msgspec.Struct, frozen=True):
    """One version.  Prices are decimal text in ``currency`` with at most ``digits`` decimals."""

    number: int
    version: str
    tenant: str
    valid_from: int
    """Unix ms; in force for segments answered from then on, until a later version."""
    currency: str
    digits: int
    charge_on: ChargeOn
    per_segment: dict[str, str]
    per_port: dict[str, dict[str, str]]
    """Prices of senders that begin with a port, the longest first."""
    free_lanes: list[str]


class Charge(msgspec.Struct, frozen=True):
    """What one segment costs and why."""

    amount: Decimal
    fee_type: str
    """`segment`, `free` (class without charge) or `undelivered` (charged on delivery only)."""
    fee_code: str
    """Version and the price's key, such as `2026-1/CMCC` or `2026-1/1069/default`."""


def check(tariff: Tariff) -> None:
    """Raise `TariffError` when the tariff names unknown carriers or classes or prices that are none."""
    if not 0 <= tariff.digits <= MAX_DIGITS:
        raise TariffError(f"digits: 0..{MAX_DIGITS}")
    for lane in tariff.free_lanes:
        if lane not in set(Lane):
            raise TariffError(f"free_lanes: {lane} is no class")
    for where, prices in (("per_segment", tariff.per_segment), *tariff.per_port.items()):
        for carrier, price in prices.items():
            if carrier != DEFAULT and carrier not in CARRIERS.values():
                raise TariffError(f"{where}: {carrier} is no carrier")
            _price(where, price, tariff.digits)
    if DEFAULT not in tariff.per_segment:
        raise TariffError(f"per_segment: a price called {DEFAULT} is needed")


def charge(tariff: Tariff, *, lane: str, sender: str, carrier: str, stage: Stage) -> Charge:
    """Return what a segment costs that closed in ``stage``."""
    zero = Decimal(0).scaleb(-tariff.digits)
    if lane in tariff.free_lanes:
        return Charge(zero, "free", f"{tariff.version}/{lane}")
    if tariff.charge_on is ChargeOn.DELIVERED and stage is not Stage.DELIVERED:
        return Charge(zero, "undelivered", f"{tariff.version}/{stage.label}")
    port = max((p for p in tariff.per_port if sender.startswith(p)), key=len, default=None)
    if port is not None:
        prices = tariff.per_port[port]
        key = carrier if carrier in prices else DEFAULT
        if key in prices:
            return Charge(_price(port, prices[key], tariff.digits), "segment", f"{tariff.version}/{port}/{key}")
    key = carrier if carrier in tariff.per_segment else DEFAULT
    return Charge(_price(key, tariff.per_segment[key], tariff.digits), "segment", f"{tariff.version}/{key}")


def _price(where: str, text: str, digits: int) -> Decimal:
    try:
        price = Decimal(text)
    except InvalidOperation as error:
        raise TariffError(f"{where}: {text[:20]!r} is no decimal number") from error
    if not price.is_finite() or not 0 <= price <= _MOST:
        raise TariffError(f"{where}: a price is between 0 and {_MOST}")
    exact = price.quantize(Decimal(1).scaleb(-digits))
    if exact != price:
        raise TariffError(f"{where}: {text} has more than {digits} decimals")
    return exact
