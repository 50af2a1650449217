"""PAP 2.0: documents against the schema, records, addresses, results, multipart requests."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wappush import PushError, pap
from wappush.elements import Element
from wappush.multipart import Part, join, split
from wappush.pap_schema import MOST_ADDRESSES, OPERATIONS, RULES, check

PUSH = b"""<?xml version="1.0"?>
<!DOCTYPE pap PUBLIC "-//WAPFORUM//DTD PAP 2.0//EN" "http://www.wapforum.org/DTD/pap_2.0.dtd">
<pap product-name="example">
 <push-message push-id="20300102-1@pi.example.com" deliver-before-timestamp="2030-01-02T04:00:00Z"
   ppg-notify-requested-to="http://pi.example.com/notify" progress-notes-requested="false">
  <address address-value="WAPPUSH=+8613800000000/TYPE=PLMN@ppg.example.com"/>
  <quality-of-service priority="medium" delivery-method="unconfirmed"/>
 </push-message>
</pap>"""

ADDRESS = pap.ClientAddress("+8613800000000", "PLMN", "ppg.example.com")


def test_the_references_push() -> None:
    operation = pap.parse_pap(PUSH)
    assert operation.name == "push-message"
    message = pap.push_message(operation)
    assert message == pap.PushMessage(
        push_id="20300102-1@pi.example.com",
        addresses=(ADDRESS,),
        deliver_before="2030-01-02T04:00:00Z",
        notify_to="http://pi.example.com/notify",
        quality=pap.Quality(delivery_method="unconfirmed"),
    )


NAMES = st.text(alphabet="abcXYZ019-._@短 &<\"'", max_size=20)
TIMES = st.datetimes().map(lambda moment: moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%SZ"))
ADDRESSES = st.builds(
    pap.ClientAddress,
    st.text(alphabet="+0123456789ab短/@%", min_size=1, max_size=20),
    st.sampled_from(["PLMN", "USER", "IPv4", "IPv6"]),
    st.sampled_from(["ppg.example.com", "10.0.0.1", "ppg-1"]),
)
QUALITIES = st.builds(
    pap.Quality,
    priority=st.sampled_from(["high", "medium", "low"]),
    delivery_method=st.sampled_from(["confirmed", "preferconfirmed", "unconfirmed", "notspecified"]),
    network=NAMES,
    network_required=st.booleans(),
    bearer=NAMES,
    bearer_required=st.booleans(),
)
MESSAGES = st.builds(
    pap.PushMessage,
    push_id=NAMES.filter(bool),
    addresses=st.lists(ADDRESSES, min_size=1, max_size=4).map(tuple),
    replace_push_id=NAMES,
    replace_method=st.sampled_from(["", "pending-only", "all"]),
    deliver_before=st.one_of(st.just(""), TIMES),
    deliver_after=st.one_of(st.just(""), TIMES),
    source_reference=NAMES,
    notify_to=NAMES,
    progress_notes=st.booleans(),
    quality=QUALITIES,
)


@given(MESSAGES)
def test_push_messages_round_trip(message: pap.PushMessage) -> None:
    document = pap.write_pap(pap.push_element(message), "guanxin")
    assert pap.push_message(pap.parse_pap(document)) == message


def test_the_default_quality_is_not_written() -> None:
    message = pap.PushMessage(push_id="x", addresses=(ADDRESS,))
    element = pap.push_element(message)
    assert [child.name for child in element.children] == ["address"]
    assert pap.push_message(element) == message


@given(ADDRESSES)
def test_addresses_round_trip(address: pap.ClientAddress) -> None:
    assert pap.parse_address(str(address)) == address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("wappush=+86138/type=plmn@ppg", pap.ClientAddress("+86138", "PLMN", "ppg")),
        ("WAPPUSH=a%2Fb/TYPE=USER@ppg", pap.ClientAddress("a/b", "USER", "ppg")),
        ("WAPPUSH=10.0.0.1/TYPE=IPV4@ppg", pap.ClientAddress("10.0.0.1", "IPv4", "ppg")),
        ("WAPPUSH=x/TYPE=OTHER@ppg", pap.ClientAddress("x", "OTHER", "ppg")),
    ],
)
def test_address_forms(text: str, address: pap.ClientAddress) -> None:
    assert pap.parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "+8613800000000", "WAPPUSH=/TYPE=PLMN@x", "WAPPUSH=1/TYPE=@x", "WAPPUSH=1/TYPE=PLMN@"]
)
def test_bad_addresses(text: str) -> None:
    with pytest.raises(PushError) as caught:
        pap.parse_address(text)
    assert caught.value.code == "address_invalid"


def sample(name: str) -> Element:
    """The smallest valid element of a name."""
    rule = RULES[name]
    values: dict[tuple[str, ...] | None, str] = {None: "x", ("time",): "2030-01-02T03:04:05Z", ("code",): "1000"}
    attributes = {key: values.get(allowed) or (allowed or ("",))[0] for key, allowed in rule.required.items()}
    children = [sample(child) for child, (least, _) in rule.children.items() for _ in range(least)]
    return Element(name, attributes, children)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_is_written_and_read(name: str) -> None:
    operation = sample(name)
    assert pap.parse_pap(pap.write_pap(operation)) == operation


def document(inner: str) -> bytes:
    return f"<pap>{inner}</pap>".encode()


ONE = '<address address-value="x"/>'


@pytest.mark.parametrize(
    ("text", "code", "field"),
    [
        (b"<pup/>", "element_unknown", "pup"),
        (b"<pap/>", "element_missing", "pap"),
        (b"<pap x='1'><ccq-message/></pap>", "attribute_unknown", "x"),
        (document("<address address-value='x'/>"), "element_unknown", "address"),
        (
            document(f"<ccq-message>{ONE}</ccq-message><ccq-message>{ONE}</ccq-message>"),
            "element_repeated",
            "ccq-message",
        ),
        (document("<ccq-message/>"), "element_missing", "address"),
        (document(f"<ccq-message>{ONE}{ONE}</ccq-message>"), "element_repeated", "address"),
        (document("<cancel-message/>"), "attribute_missing", "push-id"),
        (document("<cancel-message push-id=''/>"), "attribute_missing", "push-id"),
        (document("<cancel-message push-id='x'>text</cancel-message>"), "text_misplaced", "cancel-message"),
        (document("<badmessage-response code='x'/>"), "attribute_invalid", "code"),
        (document(f"<push-message push-id='{'x' * 3000}'/>"), "attribute_invalid", "push-id"),
        (
            document("<push-message push-id='x' deliver-before-timestamp='now'/>"),
            "attribute_invalid",
            "deliver-before-timestamp",
        ),
        (
            document("<push-message push-id='x' progress-notes-requested='maybe'/>"),
            "attribute_invalid",
            "progress-notes-requested",
        ),
    ],
)
def test_what_is_not_pap(text: bytes, code: str, field: str) -> None:
    with pytest.raises(PushError) as caught:
        pap.parse_pap(text)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_addresses_are_bounded() -> None:
    operation = Element(
        "push-message", {"push-id": "x"}, [Element("address", {"address-value": "x"})] * (MOST_ADDRESSES + 1)
    )
    with pytest.raises(PushError) as caught:
        check(Element("pap", {}, [operation]))
    assert caught.value.code == "element_repeated"


def test_answers() -> None:
    answer = pap.parse_pap(pap.write_pap(pap.push_response("x", 1001, reply_time="2030-01-02T03:04:05Z", sender="ppg")))
    assert answer.attributes == {"push-id": "x", "sender-address": "ppg", "reply-time": "2030-01-02T03:04:05Z"}
    assert answer.children[0].attributes == {"code": "1001", "desc": "accepted for processing"}
    bad = pap.parse_pap(pap.write_pap(pap.bad_message(2000, "<broken\x00" + "x" * 500)))
    assert bad.attributes["bad-message-fragment"].startswith("<broken?xxx")
    assert len(bad.attributes["bad-message-fragment"]) == 200
    result = pap.result_element(
        "statusquery-result",
        1000,
        [pap.address_element(ADDRESS)],
        message_state="delivered",
        event_time="2030-01-02T03:04:05Z",
    )
    status = pap.element("statusquery-response", {"push-id": "x"}, [result])
    assert pap.addresses_of(pap.parse_pap(pap.write_pap(status)).children[0]) == (ADDRESS,)
    assert pap.result_element("response-result", 5028).attributes == {"code": "5028"}


PARTS = [
    Part({"content-type": "application/xml"}, PUSH),
    Part({"content-type": "text/vnd.wap.si; charset=UTF-8", "x-wap-application-id": "x"}, b"<si/>\r\n"),
]


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=3))
def test_multipart_round_trip(contents: list[bytes]) -> None:
    parts = [Part({"content-type": "application/xml"}, content) for content in contents]
    content_type, body = join(parts, "xYz-1")
    assert split(content_type, body) == parts


def test_multipart_requests() -> None:
    content_type, body = join(PARTS, "b")
    assert content_type == 'multipart/related; boundary="b"; type="application/xml"'
    found = split(content_type, b"preamble\r\n" + body + b"epilogue")
    assert found == PARTS
    assert found[1].content_type == "text/vnd.wap.si"
    assert split("application/xml", PUSH) == [Part({"content-type": "application/xml"}, PUSH)]
    # Line feeds alone, no headers, a folded header, spaces behind the delimiter.
    body = b"--b \n\nfirst\n--b\nContent-Type: text/plain;\n  charset=utf-8\n\nsecond\n--b--"
    assert split("Multipart/Mixed; boundary=b", body) == [
        Part({}, b"first"),
        Part({"content-type": "text/plain; charset=utf-8"}, b"second"),
    ]
    # A delimiter in the middle of a line or with more behind it is content.
    body = b"--b\r\n\r\nx--b\r\n--bc\r\n\r\n--b--\r\n"
    assert split("multipart/mixed;boundary=b", body) == [Part({}, b"x--b\r\n--bc\r\n")]


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("multipart/related", b"", "multipart_malformed"),
        ("multipart/related; boundary=b", b"", "multipart_malformed"),
        ("multipart/related; boundary=b", b"--b\r\n\r\nx", "multipart_malformed"),
        ("multipart/related; boundary=b", b"--b\r\nno end of headers\r\n--b--", "multipart_malformed"),
        ("multipart/related; boundary=b", b"--b\r\nno colon\r\n\r\nx\r\n--b--", "multipart_malformed"),
        ("multipart/related; boundary=b", b"--b\r\n\r\n" * 5 + b"--b--", "multipart_malformed"),
        ("application/xml", bytes(300_000), "too_long"),
    ],
)
def test_bad_multipart(content_type: str, body: bytes, code: str) -> None:
    with pytest.raises(PushError) as caught:
        split(content_type, body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("parts", "boundary"),
    [
        ([Part({}, b"--b")], "b"),
        ([Part({}, b"")], ""),
        ([Part({}, b"")], "a b"),
        ([Part({}, b"")], "短"),
        ([Part({"a": "b\r\nc: d"}, b"")], "b"),
    ],
)
def test_joining_is_strict(parts: list[Part], boundary: str) -> None:
    with pytest.raises(PushError):
        join(parts, boundary)


@given(st.binary(max_size=200))
def test_any_body_is_parts_or_the_declared_error(body: bytes) -> None:
    for candidate in (body, b"--b\r\n" + body + b"\r\n--b--"):
        with contextlib.suppress(PushError):
            split("multipart/related; boundary=b", candidate)
    with contextlib.suppress(PushError):
        pap.parse_pap(body)
