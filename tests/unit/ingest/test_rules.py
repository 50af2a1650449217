import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from contracts.events.billing import TariffActivated
from contracts.ids import day_of
from contracts.lanes import Lane
from ingest.domain import callback, pricing
from ingest.domain.admission import ApprovedTemplate, Caller, Limits, admit, sender
from ingest.domain.bucket import TokenBucket
from ingest.domain.identity import fresh_id, id_range, single_of_task, single_task_id
from ingest.domain.refusal import Refused
from ingest.domain.register import Key, Register
from ingest.domain.request import decode_message, decode_task
from ingest.domain.single import gather, groups, judge
from ingest.domain.timing import DEFAULT_VALIDITY_MS, MAX_AHEAD_MS, schedule

NOW = 1_700_000_000_000


def caller(**changes) -> Caller:
    fields = {
        "tenant": "main", "enterprise": "power", "user": "billing", "any_sender": False, "key_ports": [],
        "ports": {"95598": "active", "1065": "active", "106500": "suspended"},
        "templates": {"code": ApprovedTemplate("code", "code", "验证码{code}", ["1065"])},
    }  # fmt: skip
    return Caller(**{**fields, **changes})


# -- ports


def test_a_registered_port_and_its_extension_may_be_used():
    assert sender(caller(), "95598")
    assert sender(caller(), "9559801")


def test_the_longest_registered_port_decides():
    assert sender(caller(), "10651")
    with pytest.raises(Refused, match="port_suspended"):
        sender(caller(), "10650012")


@pytest.mark.parametrize(
    ("changes", "port", "code"),
    [
        ({}, "10010", "port_not_registered"),
        ({"key_ports": ["1065"]}, "95598", "port_not_allowed"),
        ({}, "9" * 21, "port_invalid"),
    ],
)
def test_other_ports_are_refused(changes, port, code):
    with pytest.raises(Refused, match=code):
        sender(caller(**changes), port)


def test_any_sender_is_allowed_and_marked_unregistered():
    assert sender(caller(any_sender=True), "13800138000") is False


# -- texts


def post(**changes):
    fields = {
        "lane": Lane.NOTICE, "port": "95598", "content": UNSET, "template": UNSET, "template_id": UNSET, "at_ms": None,
        "validity_s": None, "ref": "", "callback_url": "", "now_ms": NOW, "limits": Limits(),
    }  # fmt: skip
    return admit(caller(), **{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, "one_text_needed"),
        ({"content": "a", "template": "b"}, "one_text_needed"),
        ({"content": "   "}, "content_empty"),
        ({"content": "a\0"}, "content_invalid"),
        ({"content": "a" * 11, "limits": Limits(max_text=10)}, "content_too_long"),
        ({"template_id": "nope"}, "template_unknown"),
        ({"template_id": "code"}, "template_unknown"),
        ({"template": "{"}, "template_invalid"),
        ({"content": "a", "ref": "\x1b"}, "invalid"),
    ],
)
def test_texts_are_checked(changes, code):
    with pytest.raises(Refused, match=code):
        post(**changes)


def test_an_approved_template_is_for_its_ports():
    head = post(template_id="code", port="10651")
    assert head.template_id == "code"
    assert head.template.names == ["code"]


# -- time


@pytest.mark.parametrize("lane", list(Lane))
def test_validity_has_a_default_by_class(lane):
    assert schedule(lane, NOW, None, None) == (0, NOW + DEFAULT_VALIDITY_MS[lane])


def test_validity_counts_from_the_scheduled_time():
    assert schedule(Lane.NOTICE, NOW, NOW + 5_000, 60) == (NOW + 5_000, NOW + 65_000)


def test_a_time_past_is_at_once():
    assert schedule(Lane.NOTICE, NOW, NOW - 1, 60)[0] == 0


@pytest.mark.parametrize(
    ("at", "validity", "code"),
    [(NOW + MAX_AHEAD_MS + 1, None, "schedule_too_far"), (None, 9, "validity_out"), (None, 604_801, "validity_out")],
)
def test_times_have_bounds(at, validity, code):
    with pytest.raises(Refused, match=code):
        schedule(Lane.NOTICE, NOW, at, validity)


# -- rate


def test_a_bucket_gives_its_burst_then_its_rate():
    bucket = TokenBucket(10, 5, 0.0)
    assert [bucket.take(0.0) for _ in range(5)] == [0.0] * 5
    assert bucket.take(0.0) == pytest.approx(0.1)
    assert bucket.take(0.1) == 0.0
    assert bucket.take(0.1) > 0


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200))
def test_a_bucket_never_gives_more_than_burst_and_rate(gaps):
    bucket = TokenBucket(20, 10, 0.0)
    now, given_out = 0.0, 0
    for gap in gaps:
        now += gap
        given_out += bucket.take(now) == 0.0
    assert given_out <= 10 + 20 * now + 1e-6


# -- ids


@given(st.integers(0, (1 << 48) - 1), st.binary(min_size=10, max_size=10), st.integers(0, 499))
def test_a_single_messages_task_leads_back_to_its_chunk(at, entropy, index):
    chunk_id = fresh_id(at, entropy)
    assert single_of_task(chunk_id) is None
    task_id = single_task_id(chunk_id, index)
    assert single_of_task(task_id) == (chunk_id, index)
    low, high = id_range(at, at)
    assert low.hex <= chunk_id <= high.hex
    if at < 253_402_300_800_000:
        assert day_of(task_id) == day_of(chunk_id)


# -- single messages


def message(**changes):
    body = {"port": "95598", "to": "13800138000", "class": "notice", "content": "您好"}
    return decode_message(json.dumps({**body, **changes}).encode())


def test_a_single_message_is_judged_whole():
    single = judge(message(), caller(), NOW, Limits())
    assert (single.number, single.letter, single.parts, single.values) == (8613800138000, "M", 1, [])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"to": "1"}, "recipient_invalid"),
        ({"content": "字" * 700}, "content_too_long"),
        ({"variables": {"a": "1"}}, "template_invalid"),
    ],
)
def test_a_bad_single_message_is_refused(changes, code):
    with pytest.raises(Refused, match=code):
        judge(message(**changes), caller(), NOW, Limits())


def test_messages_of_one_enterprise_and_lane_share_a_chunk():
    one, other = caller(), caller(enterprise="gas")
    made = [judge(message(to=f"138{n:08d}"), one, NOW, Limits()) for n in range(600)]
    made.insert(3, judge(message(), other, NOW, Limits()))
    made.insert(5, judge(message(**{"class": "verification"}), one, NOW, Limits()))
    shares = groups(made)
    assert sorted(map(len, shares)) == [1, 1, 100, 500]
    assert sorted(position for share in shares for position in share) == list(range(602))
    chunk_id = fresh_id(NOW, bytes(10))
    share = max(shares, key=len)
    micro = gather([made[p] for p in share], chunk_id=chunk_id, accepted_at=NOW)
    assert micro.recipients == [made[p].number for p in share]
    assert len(micro.payload) < 256 * 1024


def test_long_texts_fill_a_chunk_by_octets():
    made = [judge(message(content="{" * 600), caller(), NOW, Limits()) for _ in range(300)]
    shares = groups(made)
    assert len(shares) > 1
    chunk_id = fresh_id(NOW, bytes(10))
    for share in shares:
        assert len(gather([made[p] for p in share], chunk_id=chunk_id, accepted_at=NOW).payload) < 255_000


# -- bodies


@given(st.binary(max_size=200))
def test_any_octets_are_a_request_or_a_refusal(octets):
    for decode in (decode_task, decode_message):
        code = "malformed"
        try:
            decode(octets)
        except Refused as refused:
            code = refused.code
        assert code in ("malformed", "invalid")


def _around(inner):
    # Named, because hypothesis reads a lambda's source where it reports it, which fails near the recursion limit (CPython 3.11).
    return st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    _around,
    max_leaves=10,
)


@given(
    st.dictionaries(
        st.sampled_from(["port", "to", "class", "content", "template", "template_id", "variables", "at", "ref"]),
        JSON | st.sampled_from(["95598", "13800138000", "notice", "{a}", "2026-01-01T00:00:00+08:00"]),
    )
)
def test_any_document_is_judged_or_refused(document):
    with suppress(Refused):
        judge(decode_message(json.dumps(document).encode()), caller(any_sender=True), NOW, Limits())


# -- keys


def test_a_rotated_key_is_valid_until_its_time():
    key = Key("id", "t", "e", "n", frozenset(), 1, 1, False, b"", caller())
    until = datetime.now(UTC)
    register = Register(1, {b"new": key}, {b"old": (key, until)})
    assert register.find(b"new", until) is key
    assert register.find(b"old", until - timedelta(seconds=1)) is key
    assert register.find(b"old", until) is None
    assert register.find(b"none", until) is None


# -- webhooks


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/", "http://", "//example.com", "http://u:p@example.com/", "http://127.0.0.1/", "http://[::1]/",
        "http://10.0.0.1", "http://192.168.1.1:8080/x", "http://169.254.169.254/latest", "http://localhost/", "http://a b/",
        "http://[::ffff:10.0.0.1]/", "http://0.0.0.0/", "http://exämple.com/", "http://example.com:99999/", "http://[::1",
    ],
)  # fmt: skip
def test_urls_that_may_not_be_called(url):
    with pytest.raises(Refused, match="callback_refused"):
        callback.check_url(url, private=False)


def test_urls_that_may():
    assert callback.check_url("https://example.com/hook?x=1", private=False)
    assert callback.check_url("http://127.0.0.1:9000/hook", private=True)


@pytest.mark.parametrize(
    "address", ["64:ff9b::a00:1", "::ffff:127.0.0.1", "fe80::1", "fc00::1", "224.0.0.1", "100.64.0.1"]
)
def test_addresses_in_disguise_are_seen_through(address):
    assert not callback.allowed(ip_address(address), private=False)


def test_pauses_double_to_an_hour():
    pauses = [callback.pause_s(n, 2.0, 0.0) for n in range(1, 20)]
    assert pauses[:4] == [2, 4, 8, 16]
    assert pauses[-1] == 3_600
    assert callback.pause_s(1, 2.0, 0.999) > 1.5


def test_a_signature_covers_time_and_body():
    one = callback.signature(b"secret", 1, b"{}")
    assert one.startswith("t=1,v1=")
    assert len({one, callback.signature(b"secret", 2, b"{}"), callback.signature(b"secret", 1, b"[]")}) == 3


# -- price


def test_prices_are_exact_decimals_per_carrier():
    tariff = TariffActivated(
        version="7", valid_from=0, currency="CNY", per_segment={"CMCC": "0.035", "default": "0.04"},
        free_lanes=["internal"],
    )  # fmt: skip
    document = pricing.price(tariff, Lane.NOTICE, {"M": 3, "U": 1})
    assert document["total"] == "0.145"
    assert document["carriers"]["CMCC"] == {"segments": 3, "per_segment": "0.035", "amount": "0.105"}
    assert pricing.price(tariff, Lane.INTERNAL, {"M": 3})["total"] == "0"


def test_a_preview_counts_segments():
    assert pricing.preview("字" * 71) == {"alphabet": "ucs2", "characters": 71, "segments": 2}
