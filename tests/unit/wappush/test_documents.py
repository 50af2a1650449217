"""SI and SL: records, trees, XML, their rules, and the refusal of everything dangerous."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wappush import Indication, Loading, PushError, from_tree, from_xml, to_tree, to_xml
from wappush.documents import Document
from wappush.elements import MOST_OCTETS, Element, parse, write

XML_TEXT = st.text(
    alphabet=st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=30
)
TRIMMED = XML_TEXT.map(lambda text: text.strip(" \t\r\n"))
DATES = st.datetimes().map(lambda moment: moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%SZ"))
INDICATIONS = st.builds(
    Indication,
    text=TRIMMED,
    href=XML_TEXT,
    si_id=XML_TEXT.filter(bool),
    action=st.sampled_from(["", "signal-none", "signal-low", "signal-medium", "signal-high", "delete"]),
    created=st.one_of(st.just(""), DATES),
    si_expires=st.one_of(st.just(""), DATES),
    info=st.lists(st.tuples(XML_TEXT, TRIMMED), max_size=3).map(tuple),
)
LOADINGS = st.builds(
    Loading, href=XML_TEXT.filter(bool), action=st.sampled_from(["", "execute-low", "execute-high", "cache"])
)


@given(st.one_of(INDICATIONS, LOADINGS))
def test_records_trees_and_xml_round_trip(document: Document) -> None:
    assert from_tree(to_tree(document)) == document
    assert from_xml(to_xml(document)) == document


def test_white_space_around_a_text_is_no_text_and_cdata_is() -> None:
    found = from_xml(
        b"<si>\n <indication href='http://a.com/'>\n a <![CDATA[<b>]]> &amp; &#x77ED;\n</indication>\n</si>"
    )
    assert found == Indication(href="http://a.com/", text="a <b> & 短")


@pytest.mark.parametrize(
    ("document", "code", "field"),
    [
        ("<si/>", "element_missing", "indication"),
        ("<si><info/></si>", "element_missing", "indication"),
        ("<si><indication/><indication/></si>", "element_repeated", "indication"),
        ("<si><indication/><info/><info/></si>", "element_repeated", "info"),
        ("<si><other/></si>", "element_unknown", "other"),
        ("<si><indication><info/></indication></si>", "element_unknown", "info"),
        ("<si x='1'><indication/></si>", "attribute_unknown", "x"),
        ("<si>text<indication/></si>", "text_misplaced", "si"),
        ("<si><indication action='explode'/></si>", "attribute_invalid", "action"),
        ("<si><indication action='delete'/></si>", "attribute_missing", "si-id"),
        ("<si><indication created='2030-13-01T00:00:00Z'/></si>", "date_invalid", "created"),
        ("<si><indication si-expires='tomorrow'/></si>", "date_invalid", "si-expires"),
        ("<sl/>", "attribute_missing", "href"),
        ("<sl href='x' action='delete'/>", "attribute_invalid", "action"),
        ("<sl href='x'><item/></sl>", "element_unknown", "item"),
        ("<wml/>", "document_unknown", "wml"),
    ],
)
def test_the_rules_of_the_dtds(document: str, code: str, field: str) -> None:
    with pytest.raises(PushError) as caught:
        from_xml(document.encode())
    assert (caught.value.code, caught.value.field) == (code, field)
    assert caught.value.zh != caught.value.en


BILLION = b"""<?xml version="1.0"?><!DOCTYPE si [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<si><indication>&b;</indication></si>"""
EXTERNAL = b"""<!DOCTYPE si [<!ENTITY x SYSTEM "file:///etc/passwd">]><si><indication>&x;</indication></si>"""


@pytest.mark.parametrize("document", [BILLION, EXTERNAL, b"<!DOCTYPE si []><si><indication/></si>"])
def test_entities_and_internal_dtds_are_refused(document: bytes) -> None:
    with pytest.raises(PushError) as caught:
        parse(document)
    assert caught.value.code == "xml_forbidden"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "xml_malformed"),
        (b"<si>", "xml_malformed"),
        (b"<si/><si/>", "xml_malformed"),
        (b"<si>&nope;</si>", "xml_malformed"),
        (b"<a>" * 9 + b"</a>" * 9, "too_deep"),
        (b"<a/>" + b" " * MOST_OCTETS, "too_long"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "charset_unsupported"),
    ],
)
def test_bad_xml(document: bytes, code: str) -> None:
    with pytest.raises(PushError) as caught:
        parse(document)
    assert caught.value.code == code


def test_an_undefined_entity_behind_an_external_dtd_does_not_fetch_it() -> None:
    document = b'<!DOCTYPE si SYSTEM "http://127.0.0.1:1/si.dtd"><si>a&x;b</si>'
    assert parse(document).text == "ab"


def test_writing_refuses_what_xml_cannot_hold() -> None:
    for text in ("\x01", "\ud800", "\uffff"):
        with pytest.raises(PushError) as caught:
            write(Element("a", {}, [], f"x{text}"))
        assert (caught.value.code, caught.value.at) == ("text_invalid", 1)
        with pytest.raises(PushError):
            write(Element("a", {"b": text}))
    assert (
        write(Element("a", {"b": '"\n\t<'}, [], "\r&"))
        == b'<?xml version="1.0"?>\n<a b=\'"&#10;&#9;&lt;\'>&#13;&amp;</a>\n'
    )


@given(st.binary(max_size=200))
def test_any_octets_are_a_tree_or_the_declared_error(document: bytes) -> None:
    with contextlib.suppress(PushError):
        from_xml(document)
    with contextlib.suppress(PushError):
        parse(b'<?xml version="1.0"?><si><indication>' + document + b"</indication></si>")


def test_tree_helpers() -> None:
    tree = Element("a", {}, [Element("b"), Element("c"), Element("b")])
    assert len(tree.all("b")) == 2
    assert tree.one("c") is tree.children[1]
    assert tree.one("d") is None
