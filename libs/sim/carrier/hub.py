"""Gateways of several protocols in one process: each by its name, and all of them together as one country of phones.

Nothing here knows a protocol.  A phone belongs to the gateway that serves its carrier, so that a reply comes back by the network
that would bring it.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import msgspec

from carrier.dialects import dialect
from sim.carrier.faults import Faults
from sim.carrier.gateway import Account, Gateway, Sample
from smstext import normalise_many

_GREATEST = ("max_submits_in_1s",)
"""What is not added up over gateways: a rate of one is not the rate of another."""


class Offer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One gateway as the gateways file describes it; ``carriers`` are the letters (``MUTBV``) of whose phones it serves."""

    protocol: str
    port: int
    accounts: list[Account]
    name: str = ""
    carriers: str = ""
    settings: dict[str, Any] = {}

    def gateway(self, faults: Faults) -> Gateway:
        """Return the gateway, not yet listening.  Raises `carrier.errors.UsageError` or ValueError naming what is wrong."""
        if not self.accounts:
            raise ValueError(f"{self.protocol}: no account")
        return Gateway(dialect(self.protocol, self.settings), self.accounts, faults)


class UnknownGatewayError(ValueError):
    """There is no such gateway; the text names those there are."""


class Hub:
    """All gateways of this process."""

    def __init__(self, gateways: Mapping[str, Gateway], serves: Mapping[str, str] | None = None) -> None:
        """``serves`` maps the letter of a carrier to the name of the gateway its phones belong to."""
        self.gateways = dict(gateways)
        self._serves = dict(serves or {})

    @classmethod
    def alone(cls, gateway: Gateway) -> Hub:
        """Return a hub of one gateway, to which every phone belongs."""
        return cls({gateway.dialect.name: gateway})

    @classmethod
    def of(cls, offers: list[Offer], faults: Faults) -> Hub:
        """Return the gateways of a file."""
        gateways: dict[str, Gateway] = {}
        serves: dict[str, str] = {}
        for offer in offers:
            name = offer.name or offer.protocol
            if name in gateways:
                raise ValueError(f"two gateways are called {name}")
            gateways[name] = offer.gateway(faults)
            serves |= dict.fromkeys(offer.carriers, name)
        return cls(gateways, serves)

    @property
    def first(self) -> Gateway:
        """Return the gateway that was named first."""
        return next(iter(self.gateways.values()))

    def chosen(self, name: str) -> list[Gateway]:
        """Return the gateway called ``name``, all of them when it is empty.  Raises `UnknownGatewayError`."""
        if not name:
            return list(self.gateways.values())
        if name not in self.gateways:
            raise UnknownGatewayError("gateway: known are " + ", ".join(self.gateways))
        return [self.gateways[name]]

    def home_of(self, number: int, account: str, name: str) -> Gateway:
        """Return the gateway a phone's reply goes through: the one named, the only one, the account's, or its carrier's.

        Raises `UnknownGatewayError` when none of these says which.
        """
        if name or len(self.gateways) == 1:
            return self.chosen(name)[0]
        if account:
            owners = [gateway for gateway in self.gateways.values() if account in gateway.accounts]
            if len(owners) == 1:
                return owners[0]
        letter = normalise_many([str(number)]).letters()
        if letter in self._serves:
            return self.gateways[self._serves[letter]]
        raise UnknownGatewayError("gateway: say which; known are " + ", ".join(self.gateways))

    def document(self) -> dict[str, Any]:
        """Return what `GET /stats` answers: the sums over all gateways, and the same by gateway."""
        each = {name: gateway.stats.document(gateway.clock()) for name, gateway in self.gateways.items()}
        if len(each) == 1:
            (sums,) = each.values()
        else:
            sums = {}
            for key, value in next(iter(each.values())).items():
                if isinstance(value, int):
                    values = [one[key] for one in each.values()]
                    sums[key] = max(values) if key in _GREATEST else sum(values)
            sums["accounts"] = {
                f"{name}/{account}": counts for name, one in each.items() for account, counts in one["accounts"].items()
            }
        since = min(gateway.since_ms for gateway in self.gateways.values())
        return {"since": since, **sums, "gateways": each}

    def samples(self, limit: int, name: str = "") -> list[dict[str, Any]]:
        """Return the latest messages as phones show them: the newest of each gateway, then the second of each, and so on."""
        columns = [
            [_named(sample, known) for sample in gateway.samples(limit)]
            for known, gateway in self.gateways.items()
            if name in {"", known}
        ]
        merged = [sample for row in zip_longest(*columns) for sample in row if sample is not None]
        return merged[:limit]


def _named(sample: Sample, gateway: str) -> dict[str, Any]:
    return {**msgspec.structs.asdict(sample), "gateway": gateway}
