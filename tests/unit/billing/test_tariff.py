"""Prices in exact decimals: which one applies, and what is refused."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from billing_sync.domain.tariff import ChargeOn, Tariff, TariffError, charge, check
from billing_sync.domain.vector import Stage

TARIFF = Tariff(
    number=1, version="2026-1", tenant="demo", valid_from=0, currency="CNY", digits=4, charge_on=ChargeOn.ACCEPTED,
    per_segment={"default": "0.05", "CMCC": "0.0420"},
    per_port={"1069": {"default": "0.0333"}, "106900": {"CMCC": "0.01"}}, free_lanes=["internal"],
)  # fmt: skip


def cost(tariff=TARIFF, lane="notice", sender="9500", carrier="CMCC", stage=Stage.DELIVERED):
    return charge(tariff, lane=lane, sender=sender, carrier=carrier, stage=stage)


@pytest.mark.parametrize(
    ("arguments", "amount", "kind", "code"),
    [
        ({}, "0.0420", "segment", "2026-1/CMCC"),
        ({"carrier": "CUCC"}, "0.0500", "segment", "2026-1/default"),
        ({"sender": "10691"}, "0.0333", "segment", "2026-1/1069/default"),
        ({"sender": "10690012"}, "0.0100", "segment", "2026-1/106900/CMCC"),
        ({"sender": "10690012", "carrier": "CTCC"}, "0.0500", "segment", "2026-1/default"),
        ({"lane": "internal"}, "0.0000", "free", "2026-1/internal"),
        ({"stage": Stage.FAILED}, "0.0420", "segment", "2026-1/CMCC"),
    ],
)
def test_the_nearest_price_applies(arguments, amount, kind, code):
    found = cost(**arguments)
    assert (format(found.amount, "f"), found.fee_type, found.fee_code) == (amount, kind, code)


@pytest.mark.parametrize("stage", [Stage.FAILED, Stage.UNKNOWN, Stage.EXPIRED, Stage.REJECTED])
def test_charged_on_delivery_what_was_not_delivered_costs_nothing_but_has_its_record(stage):
    tariff = msgspec.structs.replace(TARIFF, charge_on=ChargeOn.DELIVERED)
    assert cost(tariff, stage=stage).amount == 0
    assert cost(tariff, stage=stage).fee_type == "undelivered"
    assert cost(tariff).amount == Decimal("0.0420")


def test_a_thousand_thirds_of_a_fen_add_up_exactly():
    assert sum((cost(sender="1069").amount for _ in range(1000)), Decimal(0)) == Decimal("33.3000")


@pytest.mark.parametrize(
    "change",
    [
        {"per_segment": {"CMCC": "0.04"}},
        {"per_segment": {"default": "0.12345"}},
        {"per_segment": {"default": "-1"}},
        {"per_segment": {"default": "nan"}},
        {"per_segment": {"default": "cheap"}},
        {"per_segment": {"default": "0.04", "NOBODY": "0.04"}},
        {"per_port": {"1069": {"default": "1e9"}}},
        {"free_lanes": ["spam"]},
        {"digits": 9},
    ],
)
def test_an_unusable_tariff_is_refused(change):
    with pytest.raises(TariffError):
        check(msgspec.structs.replace(TARIFF, **change))


def test_a_usable_one_is_not():
    check(TARIFF)
