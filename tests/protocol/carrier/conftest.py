"""Strategies made from the layouts themselves: whatever a table allows is generated, so no field can be forgotten."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

from carrier.dialects import NAMES, dialect
from carrier.layout import Choice, Counted, CStr, Literal, Raw, Repeated, Structured, Text, UInt
from carrier.tlv import Tlvs

WIRE_TEXT = st.characters(min_codepoint=1, max_codepoint=255)


def words(most):
    return st.text(WIRE_TEXT, max_size=most)


def octets(least, most):
    return st.binary(min_size=least, max_size=most).map(bytes.hex)


def tag_value(tag):
    if tag.kind == "int":
        return st.integers(0, 256**tag.least - 1)
    if tag.kind == "raw":
        return octets(tag.least, min(tag.most, 40))
    return words(tag.most - 1).filter(lambda text: not text.startswith("hex:"))


def field_items(field):
    """A strategy of the dictionary entries one field yields."""
    if isinstance(field, UInt):
        edge = 256**field.size
        span = st.integers(-edge // 2, edge // 2 - 1) if field.signed else st.integers(0, edge - 1)
        return st.fixed_dictionaries({field.name: span})
    if isinstance(field, Text):
        return st.fixed_dictionaries({field.name: words(field.size)})
    if isinstance(field, Raw):
        return st.fixed_dictionaries({field.name: octets(field.size, field.size)})
    if isinstance(field, CStr):
        text = words(field.limit - 1)
        if field.lengths:
            text = st.sampled_from(field.lengths).flatmap(lambda size: st.text(WIRE_TEXT, min_size=size, max_size=size))
        return st.fixed_dictionaries({field.name: text})
    if isinstance(field, Literal):
        return st.just({})
    if isinstance(field, Structured):
        plain = octets(0, 255).filter(lambda h: len(h) // 2 not in field.shapes)
        shaped = [
            body(shape.fields).map(
                lambda items, n=length: {field.flag: field.marked, field.length_name: n, field.name: items}
            )
            for length, shape in field.shapes.items()
        ]
        return st.one_of(plain.map(lambda h: {field.length_name: len(h) // 2, field.name: h}), *shaped)
    if isinstance(field, Counted):
        return octets(0, min(field.limit, 255)).map(lambda h: {field.length_name: len(h) // 2, field.name: h})
    if isinstance(field, Choice):
        cases = [
            body(fields).map(lambda items, value=value: {field.name: value} | items)
            for value, fields in field.cases.items()
        ]
        return st.one_of(cases)
    if isinstance(field, Repeated):
        one = body(field.group)
        if field.plain:
            one = one.map(lambda items: items[field.group[0].name])
        listed = st.lists(one, min_size=field.least, max_size=min(field.most, 5))
        return listed.map(lambda items: {field.count_name: len(items), field.name: items})
    assert isinstance(field, Tlvs)
    known = st.lists(st.sampled_from(list(field.by_number.values())), max_size=4, unique_by=lambda tag: tag.number)
    unknown = st.integers(0x1401, 0x3FFF).flatmap(lambda n: octets(0, 8).map(lambda h: {f"0x{n:04x}": h}))
    named = known.flatmap(lambda tags: merged([tag_value(tag).map(lambda v, t=tag: {t.name: v}) for tag in tags]))
    return st.one_of(named, merged([named, unknown]))


def merged(strategies):
    return st.tuples(*strategies).map(lambda parts: {key: value for part in parts for key, value in part.items()})


def body(fields):
    return merged([field_items(field) for field in fields])


def any_pdu(made):
    """Every command of a dialect with every field at any value its table allows, as ``decode`` would show it."""
    codec = made.codec
    layouts = [
        (number, pdu, layout)
        for number, pdu in codec.pdus.items()
        for layout in {id(one): one for one in (pdu.body, *pdu.by_total.values())}.values()
    ]

    def one(choice):
        number, pdu, layout = choice
        head = {"command": pdu.name, codec.header.command: number}
        declared = [total for total, other in pdu.by_total.items() if other is layout]
        if declared and layout is not pdu.body:
            head[codec.header.length] = declared[0]
        return merged([st.just(head), body(codec.header.rest), body(layout.fields)])

    return st.sampled_from(layouts).flatmap(one)


@pytest.fixture(params=NAMES)
def made(request):
    return dialect(request.param)


@pytest.fixture(scope="session")
def pdus():
    return any_pdu
