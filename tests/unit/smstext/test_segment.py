"""Cutting texts: limits, atoms, clusters, signatures, references; counts always agree with cuts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smstext import (
    LIMITS,
    Coding,
    Limits,
    TextError,
    encode,
    reference_of,
    segment_count,
    single,
    split,
    split_header,
    split_octets,
)
from smstext.alphabet import SEPTETS_OF

TEXT = st.text(
    alphabet=st.one_of(
        st.sampled_from(sorted(SEPTETS_OF)),
        st.sampled_from("你好电费【】"),
        st.sampled_from("👍👨\u200d👩🇨🇳\u0301\ufe0f🏽"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=500,
)


@pytest.mark.parametrize(
    ("text", "coding", "width", "total"),
    [
        ("", None, 8, 1), ("a" * 160, None, 8, 1), ("a" * 161, None, 8, 2), ("a" * 306, None, 8, 2),
        ("a" * 307, None, 8, 3), ("a" * 306, None, 16, 3), ("a" * 304, None, 16, 2), ("€" * 80, None, 8, 1),
        ("€" * 81, None, 8, 2), ("你" * 70, None, 8, 1), ("你" * 71, None, 8, 2), ("你" * 134, None, 8, 2),
        ("你" * 135, None, 8, 3), ("你" * 132, None, 16, 2), ("你" * 133, None, 16, 3), ("👍" * 35, None, 8, 1),
        ("👍" * 36, None, 8, 2), ("👍" * 66, None, 8, 2), ("👍" * 67, None, 8, 3), ("a" * 159, Coding.ASCII, 8, 1),
        ("a" * 160, Coding.ASCII, 8, 2), ("a" * 140, Coding.LATIN1, 8, 1), ("a" * 141, Coding.LATIN1, 8, 2),
        ("你" * 70, Coding.GB18030, 8, 1), ("你" * 134, Coding.GB18030, 8, 2), ("a" + "你" * 134, Coding.GBK, 8, 3),
    ],
)  # fmt: skip
def test_totals(text: str, coding: Coding | None, width: int, total: int) -> None:
    assert segment_count(text, coding, width=width) == total
    assert split(text, coding, width=width).total == total


def test_a_single_message_is_bare() -> None:
    found = split("你好", reference=7)
    assert (found.coding, found.data_coding, found.udhi, found.parts) == (Coding.UCS2, 8, False, ("你好",))
    assert found.payloads == ("你好".encode("utf-16-be"),)


def test_a_long_message_carries_its_header_in_every_part() -> None:
    found = split("a" * 200, reference=0xBEEF, width=16)
    assert found.udhi
    assert [payload[:7].hex() for payload in found.payloads] == ["060804beef0201", "060804beef0202"]
    assert [len(payload) for payload in found.payloads] == [7 + 152, 7 + 48]


def test_links_with_own_part_fields_get_parts_without_header() -> None:
    found = split("你" * 100, header=False)
    assert not found.udhi
    assert [len(payload) for payload in found.payloads] == [134, 66]


def test_limits_are_a_setting_of_the_link() -> None:
    assert split("a" * 141, Coding.ASCII, limits=Limits(140, 134)).total == 2
    assert segment_count("a" * 141, Coding.ASCII, limits=Limits(140, 134)) == 2


def test_an_escape_pair_and_a_surrogate_pair_stay_together() -> None:
    assert [len(part) for part in split("a" * 152 + "€" * 10).parts] == [152, 10]
    assert [len(part) for part in split("你" * 66 + "👍" * 10).parts] == [66, 10]


@pytest.mark.parametrize(
    "cluster",
    ["👨\u200d👩\u200d👧", "e\u0301", "👍🏽", "🇨🇳", "\u1100\u1161\u11a8", "가\u11a8", "❤\ufe0f", "1\ufe0f\u20e3",
     "\r\n", "🏴\U000e0067\U000e007f"],
)  # fmt: skip
def test_clusters_stay_together_where_that_is_free(cluster: str) -> None:
    for before in range(60, 68):
        text = "你" * before + cluster + "你" * 20
        parts = split(text).parts
        assert len(parts) == 2
        assert any(cluster in part for part in parts), before
        assert "".join(parts) == text


def test_flags_are_pairs_counted_from_the_segments_start() -> None:
    text = "你" + "🇨🇳" * 25
    assert [len(part) for part in split(text).parts] == [1 + 32, 18]


def test_jamo_rules() -> None:
    # A leading consonant keeps to a syllable; a closed syllable keeps only trailing consonants.
    for cluster, kept in (
        ("\u1100\u1100\u1161", True),
        ("\u1100가", True),
        ("각\u11a8\u11a8", True),
        ("각\u1161", False),
    ):
        parts = split("你" * (67 - len(cluster) + 1) + cluster + "你" * 10).parts
        assert any(cluster in part for part in parts) is kept, cluster


def test_a_cluster_never_costs_a_segment() -> None:
    text = "你" * 66 + "e\u0301" + "你" * 66  # exactly two full parts, the cut inside the cluster
    assert split(text).total == 2 == segment_count(text)


def test_a_cluster_longer_than_a_part_is_cut() -> None:
    text = "e" + "\u0301" * 200
    assert "".join(split(text).parts) == text


def test_a_closing_signature_is_kept_whole_where_that_is_free() -> None:
    assert split("尊" * 64 + "【国家电网】").total == 1
    text = "尊" * 65 + "【国家电网】"
    assert split(text).parts == ("尊" * 65, "【国家电网】")


def test_a_signature_never_costs_a_segment_but_clusters_are_still_kept() -> None:
    text = "尊" * 128 + "【国家电网】"  # 134: two full parts
    assert split(text).total == 2
    assert split(text).parts[1].endswith("【国家电网】")
    text = "尊" * 131 + "【国家电网】" + "尊"
    assert split(text).total == 3
    tight = "尊" * 65 + "【" + "国" * 20 + "】" + "尊" * 5
    assert "".join(split(tight).parts) == tight


def test_a_signature_that_cannot_move_is_cut() -> None:
    # Both parts are full to the last character; the signature begins before the cut.
    limits = Limits(20, 20)
    text = "甲" * 9 + "【" + "乙" * 9 + "】"
    found = split(text, Coding.UCS2, limits=limits)
    assert found.parts == (text[:10], text[10:])


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("甲" * 65 + "【国网】回T退订" + "乙" * 5, 65),  # not at the end of the text
        ("甲" * 60 + "【国网】" + "乙" * 20, 67),  # closed before the cut
        ("甲" * 60 + "【" + "乙" * 20, 67),  # never closed
        ("甲" * 60 + "【" + "乙" * 30 + "】", 67),  # too long for a signature
        ("【" + "甲" * 80 + "】", 67),
    ],
)
def test_what_counts_as_a_signature(text: str, first: int) -> None:
    parts = split(text).parts
    assert len(parts[0]) == first
    assert len(parts) == 2


def test_too_long_and_too_small() -> None:
    assert segment_count("a" * 153 * 255) == 255 == split("a" * 153 * 255).total
    for call in (split, segment_count):
        for text in ("a" * (153 * 255 + 1), "你" * 70 * 255, "👍" * (33 * 255 + 1)):
            with pytest.raises(TextError) as caught:
                call(text)
            assert caught.value.code == "too_many_segments"
        with pytest.raises(TextError) as caught:
            call("a" * 100, limits=Limits(10, 3))
        assert caught.value.code == "limit_too_small"
        with pytest.raises(TextError) as caught:
            call("a" * 200, width=9)
        assert caught.value.code == "width_invalid"
    with pytest.raises(TextError) as caught:
        split("a" * 200, reference=256)
    assert caught.value.code == "reference_range"
    with pytest.raises(TextError):
        split("\ud83d")


@given(TEXT, st.sampled_from([None, Coding.UCS2, Coding.GB18030]), st.sampled_from([8, 16]))
def test_parts_join_to_the_text_within_limits_and_count(text: str, coding: Coding | None, width: int) -> None:
    found = split(text, coding, reference=3, width=width)
    assert "".join(found.parts) == text
    assert segment_count(text, coding, width=width) == found.total
    assert (found.total > 1) == found.udhi
    for part, payload in zip(found.parts, found.payloads, strict=True):
        content = split_header(payload)[1] if found.udhi else payload
        assert content == encode(part, found.coding)
        assert len(payload) <= (166 if found.coding is Coding.GSM7 and found.udhi else LIMITS[found.coding].single)


@given(TEXT)
def test_single_agrees_with_split(text: str) -> None:
    found = split(text)
    expected = None if found.total > 1 else (found.data_coding, found.payloads[0])
    assert single(text) == expected


@given(st.binary(max_size=1000), st.sampled_from([b"", bytes.fromhex("05040b8423f0")]), st.sampled_from([8, 16]))
def test_octets(data: bytes, elements: bytes, width: int) -> None:
    found = split_octets(data, reference=9, width=width, elements=elements)
    assert all(len(payload) <= 140 for payload in found.payloads)
    contents = [split_header(payload)[1] for payload in found.payloads] if found.udhi else list(found.payloads)
    assert b"".join(contents) == data
    assert found.total == len(found.parts)


def test_octet_limits() -> None:
    assert split_octets(bytes(140)).total == 1
    assert [len(payload) for payload in split_octets(bytes(141)).payloads] == [140, 13]
    with pytest.raises(TextError) as caught:
        split_octets(bytes(134 * 255 + 1))
    assert caught.value.code == "too_many_segments"
    with pytest.raises(TextError) as caught:
        split_octets(bytes(100), elements=bytes.fromhex("05040b8423f0"), limit=12)
    assert caught.value.code == "limit_too_small"


def test_the_reference_is_stable_and_differs_between_neighbours() -> None:
    chunk = "0192f0c1a2b37c4d8e9f0a1b2c3d4e5f"
    references = [reference_of(chunk, index) for index in range(256)]
    assert sorted(references) == list(range(256))
    assert reference_of(chunk, 3) == references[3]
    assert 0 <= reference_of(chunk, 499, width=16) < 65536
    assert reference_of(chunk, 3, width=16) & 0xFF == references[3]
