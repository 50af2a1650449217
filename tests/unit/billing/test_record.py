"""The charging file and its acknowledgement."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_sync.domain import record
from billing_sync.domain.acks import AckError, parse
from billing_sync.domain.record import Answered, Head, Price, build

HEAD = Head(no=7, node="GX01", begin=1795392000000, end=1795392300000)


def line(number=1, *, state="unknown", amount="0.0450", done_at=0, marked=False, **more) -> str:
    fields = {
        "tenant": "demo", "enterprise": "e1", "lane": "notice", "link": "l1", "carrier": "CMCC", "protocol": "smpp34",
        "at": 1795392001000, "tariff": 1, "totals": [1], "recipients": [8613800138000], "senders": ["106900001"],
        "carrier_ids": ["A1"], "task_ids": ["t"], "refs": [],
    }  # fmt: skip
    price = Price(
        state=state, fee_type="segment", fee_code="2026-1/CMCC", tariff="2026-1", amount=Decimal(amount)
    )  # fmt: skip
    opened = Answered(**{**fields, **more}).fields(0, 1)
    return record.line(
        number, "0" * 32 + "-0-1", opened, price=price, done_at=done_at, code="NO_RECEIPT", marked=marked
    )  # fmt: skip


def test_the_name_carries_type_node_date_time_and_sequence():
    assert HEAD.name == "GXCDR_GX01_20261123_080500_00000007.txt"


def test_header_records_and_trailer():
    records = [line(), line(2, done_at=1795392061000, state="delivered", marked=True, amount="0.0500")]
    lines = build(HEAD, records, Decimal("0.0950")).octets.decode().split("\n")
    assert lines[0] == "10|GXCDR|1.0|GX01|7|20261123080000|20261123080500|2"
    assert lines[1] == (
        f"20|1|{'0' * 32}-0-1|demo|e1|notice|t||106900001|8613800138000|CMCC|l1|smpp34|A1|1|1|20261123080001||unknown|"
        "NO_RECEIPT|segment|2026-1/CMCC|2026-1|0.0450|"
    )
    assert lines[2].endswith("|20261123080001|20261123080101|delivered|NO_RECEIPT|segment|2026-1/CMCC|2026-1|0.0500|R")
    assert lines[3] == "90|7|2|0.0950"
    assert lines[4] == ""
    assert len({line.count("|") for line in lines[1:3]}) == 1


@given(
    st.text(max_size=30),
    st.sampled_from(["refs", "tenant", "link", "carrier_ids"]),
    st.sampled_from(["utf-8", "gb18030"]),
)
def test_whatever_a_caller_writes_a_line_stays_a_line_of_as_many_fields(text, name, encoding):
    head = Head(no=1, node="GX01", begin=0, end=1, encoding=encoding)
    value = text if name in {"tenant", "link"} else [text]
    octets = build(head, [line(**{name: value})], Decimal(0)).octets
    plain = build(head, [line()], Decimal(0)).octets
    assert octets.count(b"\n") == plain.count(b"\n")
    assert octets.decode(encoding).split("\n")[1].count("|") == plain.decode(encoding).split("\n")[1].count("|")
    assert octets == build(head, [line(**{name: value})], Decimal(0)).octets


def test_acknowledgements():
    assert parse(b"OK|2|0.0950\n").total == Decimal("0.0950")
    refused = parse("ERR|17|合计不符\n2|bad recipient\n".encode())
    assert not refused.accepted
    assert refused.reason == "17: 合计不符"
    assert refused.bad_lines == ((2, "bad recipient"),)


@pytest.mark.parametrize(
    "octets", [b"", b"OK", b"OK|x|1", b"OK|1|nan", b"OK|1|2|3", b"FINE|1|2", b"ERR|1|a\nx|y", b"\xff\xfe"]
)
def test_anything_else_is_refused_with_a_reason(octets):
    with pytest.raises(AckError):
        parse(octets)


@given(st.binary(max_size=60))
def test_no_octets_make_the_parser_fail_otherwise(octets):
    with suppress(AckError):
        parse(octets)
