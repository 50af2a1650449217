"""Pushes: WSP headers in every form, contents for links, the field capture, the composer's count."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstext import Coding, Joined, Joiner, Part, split_header
from wappush import Indication, Loading, PushError, octets_left, read, segments, to_push, wsp

FIELD = (
    "0B05040B8423F0000303010129060603AE81EA8DCA02056A0045C6080C033231312E3133362E3135332E33302F776170707573682F70757368"
    "496E6465782E6A73703F7075736849643D3035303531313134313630353231000103E8AFB7E782B9E587BBE4BBA5E4B88BE993BEE68EA5E88E"
    "B7E58F96E5BDA9E4BFA1E58685E5AEB9000101"
)
HEADERS = st.one_of(
    st.builds(wsp.header, st.sampled_from(["Content-Length", "X-Wap-Application-Id", "Push-Flag", "0x10"]), st.integers(0, 2**40)),
    st.builds(wsp.header, st.sampled_from(["X-Wap-Initiator-URI", "X-Other", "0x7E"]), st.text(alphabet="abcé短", max_size=9)),
)  # fmt: skip
PUSHES = st.builds(
    wsp.Push,
    tid=st.integers(0, 255),
    content_type=st.sampled_from([*wsp.CONTENT_TYPES.values(), "text/x-anything"]),
    charset=st.one_of(st.none(), st.integers(0, 70000)),
    headers=st.lists(HEADERS, max_size=4).map(tuple),
    body=st.binary(max_size=50),
)


@given(PUSHES)
def test_wsp_round_trip(push: wsp.Push) -> None:
    found = wsp.decode(wsp.encode(push))
    assert (found.tid, found.content_type, found.charset) == (push.tid, push.content_type, push.charset)
    assert (found.headers, found.body) == (push.headers, push.body)
    lengths = [wsp.value_of(header) for header in push.headers if header.name == "Content-Length"]
    assert len(found.differences) == sum(length != len(push.body) for length in lengths)


@given(PUSHES)
def test_wsp_truncation(push: wsp.Push) -> None:
    octets = wsp.encode(push)
    for size in range(len(octets) - len(push.body)):
        with pytest.raises(PushError):
            wsp.decode(octets[:size])


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x01\x06", b"\x01\x06\x08", b"\x01\x06\x20\x03\xae\x81\xea"]))
def test_any_octets_are_a_push_or_the_declared_error(data: bytes, head: bytes) -> None:
    for has_header in (False, True):
        with contextlib.suppress(PushError):
            read(head + data, has_header=has_header)


@pytest.mark.parametrize(
    ("octets", "content_type", "charset"),
    [
        ("0106 01 AE", "application/vnd.wap.sic", None),
        ("0106 01 FE", "0x7E", None),
        ("0106 04 03AE81EA", "application/vnd.wap.sic", 106),
        ("0106 05 1F03AE81EA", "application/vnd.wap.sic", 106),
        ("0106 06 05AE810203F7", "application/vnd.wap.sic", 1015),
        ("0106 04 03AE8141", "application/vnd.wap.sic", None),
        ("0106 04 03AE85EA", "application/vnd.wap.sic", None),
        ("0106 04 612F6200", "a/b", None),
        ("0106 07 06612F620081EA", "a/b", 106),
        ("0106 04 0302012E", "0x12E", None),
        ("0106 03 02012E", "application/vnd.wap.sic", None),
    ],
)
def test_forms_of_the_content_type(octets: str, content_type: str, charset: int | None) -> None:
    found = wsp.decode(bytes.fromhex(octets))
    assert (found.content_type, found.charset) == (content_type, charset)


def test_forms_of_header_values() -> None:
    headers = bytes.fromhex("AE AF82 B481 B0612F6200 785900 7A00 8D020102 7F02 03 8D1F0155 8D00")
    found = wsp.decode(b"\x01\x06" + bytes((len(headers),)) + headers)
    assert [(header.name, wsp.value_of(header)) for header in found.headers] == [
        ("X-Wap-Application-Id", 2), ("Push-Flag", 1), ("X-Wap-Content-URI", "a/b"), ("xY", "z"), ("Content-Length", 258),
        ("Content-Length", None), ("Content-Length", ""),
    ]  # fmt: skip
    assert wsp.value_of(wsp.Header("x", b"")) is None


@pytest.mark.parametrize(
    ("octets", "code"),
    [("0107", "not_a_push"), ("", "truncated"), ("01", "truncated"), ("010605AE", "truncated"),
     ("0106 81 81 81 81 81 01", "number_too_large"), ("0106 03 AE 8D 05", "truncated")],
)  # fmt: skip
def test_bad_pushes(octets: str, code: str) -> None:
    with pytest.raises(PushError) as caught:
        wsp.decode(bytes.fromhex(octets))
    assert caught.value.code == code


def test_headers_are_bounded() -> None:
    with pytest.raises(PushError) as caught:
        wsp.decode(bytes.fromhex("0106 8103 AE") + b"\xaf\x81" * 65)
    assert caught.value.code == "too_long"


@pytest.mark.parametrize(
    "push",
    [
        wsp.Push(tid=256),
        wsp.Push(content_type=""),
        wsp.Push(content_type="短"),
        wsp.Push(headers=(wsp.Header("", b"\x81"),)),
        wsp.Push(headers=(wsp.Header("短", b"\x81"),)),
    ],
)
def test_writing_is_strict(push: wsp.Push) -> None:
    with pytest.raises(PushError):
        wsp.encode(push)


def test_header_values_are_strict() -> None:
    for value in (-1, 2**240, "a\0"):
        with pytest.raises(PushError):
            wsp.header("x", value)
    assert wsp.encode(wsp.Push(charset=None, headers=(wsp.Header("0xFF", b"\x81"), wsp.Header("0xZZ", b"\x81"))))


def test_the_capture_from_the_field_is_read_and_its_difference_told() -> None:
    found = read(bytes.fromhex(FIELD))
    assert found.ports == (2948, 9200)
    assert found.concat is not None
    assert found.push is not None
    assert found.push.differences == ("Content-Length is 74, the body has 112 octets",)
    assert found.document == Indication(
        action="signal-high",
        href="http://211.136.153.30/wappush/pushIndex.jsp?pushId=05051114160521",
        text="请点击以下链接获取彩信内容",
    )


def test_one_message() -> None:
    document = Loading(href="https://example.net/x", action="execute-high")
    found = segments(document)
    assert found.total == 1
    assert found.udhi
    assert found.payloads[0][:7].hex() == "0605040b8423f0"
    assert read(found.payloads[0]).document == document
    assert read(found.payloads[0][7:], has_header=False).document == document


@given(st.integers(0, 400))
def test_the_composers_count_is_exact(length: int) -> None:
    document = Indication(href="http://a.com/", text="x" * length)
    left = octets_left(document)
    assert (segments(document).total == 1) is (left >= 0)
    if left >= 0:
        assert len(segments(document).payloads[0]) == 140 - left


def test_a_long_push_is_joined_and_read() -> None:
    document = Indication(href="http://www.example.com/n/1", text="短信" * 60)
    found = segments(document, reference=9, width=16)
    assert found.total > 1
    joiner = Joiner(wait=1.0)
    out = []
    for content in reversed(found.payloads):
        head, _ = split_header(content)
        part = read(content)
        assert (part.document, part.ports) == (None, (2948, 9200))
        assert head.concat is not None
        out += joiner.add("l", "s", "d", head.concat, Part(Coding.OCTETS, part.payload), 0.0)
    (joined,) = out
    assert isinstance(joined, Joined)
    whole = b"".join(part.content for part in joined.parts)
    assert read(whole, has_header=False).document == document


def test_errors_name_the_octet_of_the_whole_content() -> None:
    with pytest.raises(PushError) as caught:
        read(bytes.fromhex("0605040B8423F0" + "0107"))
    assert (caught.value.code, caught.value.at) == ("not_a_push", 8)
    with pytest.raises(PushError) as caught:
        read(bytes.fromhex("0605040B8423F0" + "010601AE" + "09"))
    assert (caught.value.code, caught.value.at) == ("version_unsupported", 11)
    other = read(bytes.fromhex("0106 01 BE 8C"), has_header=False)
    assert other.document is None
    assert other.push is not None
    assert other.push.body == b"\x8c"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [({"reference": 300}, "field_invalid"), ({"port": 70000}, "field_invalid"), ({"width": 9}, "field_invalid")],
)
def test_bad_arguments(arguments: dict[str, int], code: str) -> None:
    document = Indication(text="x" * 300)
    with pytest.raises(PushError) as caught:
        segments(document, **arguments)
    assert caught.value.code == code


def test_too_many_parts() -> None:
    with pytest.raises(PushError) as caught:
        segments(Indication(text="x" * 128 * 256))
    assert caught.value.code == "too_long"


def test_the_push_of_a_document() -> None:
    push = to_push(Loading(href="x"), charset=None, tid=7)
    assert (push.tid, push.content_type, push.charset) == (7, "application/vnd.wap.slc", None)
