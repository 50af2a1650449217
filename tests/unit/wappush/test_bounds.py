"""What a hostile document may cost: its own size, however it names things again and again."""

import pytest
from fuzz import cost

from wappush import documents, wbxml
from wappush.codec import decode_fields, encode_fields
from wappush.elements import MOST_OCTETS, parse
from wappush.faults import PushError
from wappush.octets import uintvar


def named_again(count, size):
    """An SI whose text is one string of the table, named ``count`` times."""
    head = b"\x02\x05\x6a" + uintvar(size + 1) + b"x" * size + b"\0"
    return head + b"\x45\xc6\x0b\x03a\0\x01" + b"\x83\x00" * count + b"\x01\x01"


def refused(document):
    with pytest.raises(PushError):
        wbxml.decode(document)


def test_a_string_of_the_table_named_again_and_again_is_refused():
    with pytest.raises(PushError) as caught:
        wbxml.decode(named_again(60_000, 100_000))
    assert caught.value.code == "too_long"
    document = named_again(50_000, 1_000)
    assert cost.peak(lambda: refused(document)) < 4 * MOST_OCTETS
    assert wbxml.decode(named_again(3, 5)).root.children[0].text == "x" * 15


def test_an_address_of_tokens_only_is_written_in_one_pass():
    href = "http://www." + "a.com/.org/" * 10_000
    document = wbxml.encode(documents.to_tree(documents.Loading(href=href)))
    assert documents.from_tree(wbxml.decode(document).root) == documents.Loading(href=href)
    assert len(document) < 6 * 10_000
    assert cost.lines(lambda: wbxml.encode(documents.to_tree(documents.Loading(href=href))), 200_000)


def test_a_text_in_many_pieces_is_joined_once():
    root = parse(b"<a>" + b"x<b/>" * 40_000 + b"</a>")
    assert (root.text, len(root.children)) == ("x" * 40_000, 40_000)


def test_an_empty_document_is_malformed_at_its_beginning():
    with pytest.raises(PushError) as caught:
        parse(b"")
    assert (caught.value.code, caught.value.at) == ("xml_malformed", 0)


def test_a_header_without_elements_is_kept():
    octets = bytes.fromhex("0001060403b081ea02066a00850c037800880379000701")
    fields = decode_fields("wappush", octets)
    assert fields["UDH"] == []
    assert encode_fields("wappush", fields) == octets
