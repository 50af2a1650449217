"""WBXML: the reference's octets, every token, leniency, lying lengths, fuzz."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wappush import Indication, Loading, PushError, from_tree, to_tree
from wappush.documents import Document
from wappush.elements import Element
from wappush.octets import Reader, uintvar
from wappush.wbxml import decode, encode

SI = "02056A0045C60D036578616D706C650085036E2F31001103613100080AC30620300102030410C304203002010103E79FADE4BFA1000101"
SL = "02066A00850B036578616D706C6500870378000601"

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(lambda text: text.strip())
URLS = st.builds(
    "".join,
    st.lists(st.sampled_from(["http://", "https://", "www.", ".com/", ".net/", ".org/", ".edu/", ".cn/", "a", "短"]), max_size=8),
)  # fmt: skip
DATES = st.datetimes().map(lambda moment: moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%SZ"))
INDICATIONS = st.builds(
    Indication,
    text=TEXT,
    href=URLS,
    si_id=URLS.filter(bool),
    action=st.sampled_from(["", "signal-none", "signal-low", "signal-medium", "signal-high", "delete"]),
    created=st.one_of(st.just(""), DATES),
    si_expires=st.one_of(st.just(""), DATES),
    info=st.lists(st.tuples(URLS, TEXT), max_size=2).map(tuple),
)
LOADINGS = st.builds(
    Loading, href=URLS.filter(bool), action=st.sampled_from(["", "execute-low", "execute-high", "cache"])
)

HEADS = st.sampled_from(["", "02056A0045C6", "02066A0085", "0300006A05616200636400"]).map(bytes.fromhex)


def test_the_references_octets() -> None:
    indication = Indication(
        href="http://www.example.com/n/1",
        si_id="a1",
        action="signal-high",
        created="2030-01-02T03:04:00Z",
        si_expires="2030-02-01T00:00:00Z",
        text="短信",
    )
    assert encode(to_tree(indication)).hex().upper() == SI
    assert from_tree(decode(bytes.fromhex(SI)).root) == indication
    loading = Loading(href="https://example.net/x", action="execute-high")
    assert encode(to_tree(loading)).hex().upper() == SL
    assert from_tree(decode(bytes.fromhex(SL)).root) == loading


@given(st.one_of(INDICATIONS, LOADINGS), st.sampled_from([1, 2, 3]))
def test_round_trip(document: Document, version: int) -> None:
    octets = encode(to_tree(document), version)
    found = decode(octets)
    assert from_tree(found.root) == document
    assert found.version == version
    assert encode(found.root, version) == octets


@given(st.one_of(INDICATIONS, LOADINGS))
def test_truncation_at_every_octet_and_trailing_octets(document: Document) -> None:
    octets = encode(to_tree(document))
    for size in range(len(octets)):
        with pytest.raises(PushError):
            decode(octets[:size])
    with pytest.raises(PushError) as caught:
        decode(octets + b"\x01")
    assert (caught.value.code, caught.value.at) == ("trailing", len(octets))


@given(
    st.binary(max_size=120),
    st.sampled_from([b"", b"\x02\x05\x6a\x00\x45\xc6", b"\x02\x06\x6a\x00\x85", b"\x03\x00\x00\x6a\x05ab\x00cd"]),
)
def test_any_octets_are_a_document_or_the_declared_error(data: bytes, head: bytes) -> None:
    with contextlib.suppress(PushError):
        decode(head + data)


def si(body: str, table: str = "") -> Element:
    strings = bytes.fromhex(table)
    return decode(b"\x02\x05\x6a" + bytes((len(strings),)) + strings + bytes.fromhex(body)).root


def test_lenient_reading() -> None:
    # A date as text, an entity, a string of the table, opaque text, a page switch, a literal attribute.
    root = si(
        "45 C6 0A 03 323033302D30312D30315430303A30303A30305A00 01 02 81 20 83 00 C3 01 78 00 00 01 01", "61 62 00"
    )
    indication = root.children[0]
    assert indication.attributes["created"] == "2030-01-01T00:00:00Z"
    assert indication.text == "\xa0abx"
    root = si("45 C6 04 00 03 78 00 01 01 01", "666F6F00")
    assert root.children[0].attributes == {"foo": "x"}
    assert si("44 00 01", "736900").name == "si"
    # The document type named by the string table.
    name = b"-//WAPFORUM//DTD SL 1.0//EN\0"
    octets = b"\x03\x00\x00\x6a" + bytes((len(name),)) + name + bytes.fromhex("85 08 03 78 00 01")
    assert decode(octets).root == Element("sl", {"href": "x"})
    # Other character sets.
    assert decode(bytes.fromhex("02 05 8F69 00 45 46 03 B6CC 00 01 01")).charset == 2025
    assert decode(bytes.fromhex("020572004546 03B6CCD0C5000101")).root.children[0].text == "短信"


@pytest.mark.parametrize(
    ("octets", "code", "at"),
    [
        ("00056A00", "version_unsupported", 0),
        ("04056A00", "version_unsupported", 0),
        ("02046A0005", "document_unknown", 1),
        ("0205876900", "charset_unsupported", 2),
        ("02056A0546", "truncated", 5),
        ("02056A0009", "token_unknown", 4),
        ("02056A0045C645", "token_misplaced", 6),
        ("02056A0045C6030001", "token_misplaced", 6),
        ("02056A0045C60BFF01", "token_unknown", 7),
        ("02056A00454699", "token_unknown", 6),
        ("02056A00450001", "token_unknown", 6),
        ("02056A004546028480", "truncated", 9),
        ("02056A0045460283B000", "text_invalid", 6),
        ("02056A004546028FFFFFFF7F", "text_invalid", 6),
        ("02056A0045460290808080800001", "number_too_large", 7),
        ("02056A00454683050101", "truncated", 6),
        ("02056A004544050101", "truncated", 5),
        ("02056A0045C60AC302FFFF", "date_invalid", 8),
        ("02056A0045C60AC30820300102030405060101", "date_invalid", 8),
        ("02000A6A00", "truncated", 1),
        ("02056A00" + "45" * 12, "too_deep", 12),
    ],
)
def test_bad_octets(octets: str, code: str, at: int) -> None:
    with pytest.raises(PushError) as caught:
        decode(bytes.fromhex(octets))
    assert (caught.value.code, caught.value.at) == (code, at)


def test_too_long_documents_and_versions() -> None:
    with pytest.raises(PushError) as caught:
        decode(bytes(300_000))
    assert caught.value.code == "too_long"
    with pytest.raises(PushError) as caught:
        encode(to_tree(Loading(href="x")), 4)
    assert caught.value.code == "version_unsupported"


@pytest.mark.parametrize("text", ["a\0b", "a\ud800"])
def test_text_that_cannot_be_written(text: str) -> None:
    for document in (Indication(text=text), Indication(href=text)):
        with pytest.raises(PushError) as caught:
            encode(to_tree(document))
        assert (caught.value.code, caught.value.at) == ("text_invalid", 1)


@given(st.integers(0, 2**32 - 1))
def test_numbers_of_variable_length(value: int) -> None:
    octets = uintvar(value)
    assert Reader(octets).uintvar() == value
    assert len(octets) == max(1, (value.bit_length() + 6) // 7)


@pytest.mark.parametrize("value", [-1, 2**32])
def test_numbers_out_of_range(value: int) -> None:
    with pytest.raises(PushError):
        uintvar(value)
