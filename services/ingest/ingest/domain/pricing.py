"""What a text will cost before it is sent: segments and, by the tariff in force, the price per carrier in exact decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from contracts.chunk import CARRIERS
from contracts.events.billing import TariffActivated
from contracts.lanes import Lane
from ingest.domain.composition import segments
from smstext import choose


def preview(text: str) -> dict[str, Any]:
    """Return alphabet, characters and segments of a text; raises `Refused` when it cannot be sent."""
    return {"alphabet": choose(text).value, "characters": len(text), "segments": segments(text)}


def price(tariff: TariffActivated, lane: Lane, segments_by_letter: dict[str, int]) -> dict[str, Any]:
    """Return amounts per carrier and in total as decimal text; a carrier the tariff does not name has the default."""
    carriers: dict[str, Any] = {}
    total = Decimal(0)
    for letter, count in sorted(segments_by_letter.items()):
        name = CARRIERS[letter]
        each = Decimal(0) if lane.value in tariff.free_lanes else _rate(tariff, name)
        amount = each * count
        total += amount
        carriers[name] = {"segments": count, "per_segment": str(each), "amount": str(amount)}
    return {"tariff": tariff.version, "currency": tariff.currency, "carriers": carriers, "total": str(total)}


def _rate(tariff: TariffActivated, carrier: str) -> Decimal:
    return Decimal(tariff.per_segment.get(carrier) or tariff.per_segment.get("default") or "0")
