"""What carriers and phones say, as it is stored.  Pure."""

from __future__ import annotations

from functools import lru_cache

from carrier.model import Mo, Report
from dispatch.domain.book import storable
from smstext import split_header
from smstext.faults import TextError


def code_of(report: Report) -> str:
    """Return the carrier's own words of a receipt."""
    return _code(report.stat, report.error)


@lru_cache(maxsize=4096)
def _code(stat: str, error: str) -> str:
    """Cached: nearly all receipts say the same."""
    return storable(f"{stat}:{error}" if error else stat)


def mo_row(mo_id: int, link: str, coding_zero: int, mo: Mo, at: int) -> tuple[object, ...]:
    """Return the columns of `mo_raw`; the part numbers come from the header in the content or the protocol's own fields.

    ``coding_zero`` is what data coding 0 is stored as, ``at`` Unix ms.
    """
    reference, total, part, width = mo.part_reference, mo.part_total, mo.part_number, 16
    if mo.udhi:
        try:
            header, _ = split_header(mo.content)
        except TextError:
            header = None  # a header that cannot be read: stored as it is, shown as a single part
        concat = header.concat if header is not None else None
        if concat is not None:
            reference, total, part, width = concat.reference, concat.total, concat.index, concat.width
    return (
        mo_id,
        link,
        storable(mo.source[:40]),
        storable(mo.destination[:40]),
        mo.data_coding or coding_zero,
        mo.udhi,
        mo.content,
        mo.raw,
        reference,
        total,
        part,
        width if total > 1 else 0,
        at,
    )
