"""What billing-sync says: segments are charged, and which tariff is in force."""

from __future__ import annotations

import msgspec


class SegmentsCharged(msgspec.Struct, frozen=True, omit_defaults=True):
    """Charging records were written to a numbered file; lists run in parallel.

    Amounts are decimal text in yuan with exactly the tariff's digits, never floating point.
    """

    chunk_id: str
    file_no: int
    file_name: str
    at: int
    tariff: str
    indices: list[int]
    segments: list[int]
    amounts: list[str]


class TariffActivated(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tariff version is in force from ``valid_from`` on; the newest wins."""

    version: str
    valid_from: int
    currency: str
    per_segment: dict[str, str]
    """Decimal yuan per segment by carrier (CMCC, ...), `default` for the rest."""
    free_lanes: list[str] = []
