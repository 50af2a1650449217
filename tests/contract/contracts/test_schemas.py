"""The committed schemas, the examples and the types agree, and a breaking change is recognised as one."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

import contracts
from contracts.envelope import EnvelopeError, decode, encode
from contracts.events import EVENT_TYPES
from contracts.examples import examples
from contracts.export import asyncapi_document, breaking_differences, schema_documents
from contracts.topics import LANE_STAGES, TOPICS

ROOT = Path(contracts.__file__).parent
EXAMPLES = examples()


def _committed(name: str) -> Any:
    return msgspec.json.decode((ROOT / "schemas" / name).read_bytes())


def test_committed_schemas_are_those_of_the_types() -> None:
    for name, document in schema_documents().items():
        assert _committed(name) == document, f"run: python -m contracts ({name})"
    assert _committed("asyncapi.json") == asyncapi_document()


def test_every_event_has_an_example_and_a_topic() -> None:
    assert set(EXAMPLES) == set(EVENT_TYPES)
    carried = {event for topic in TOPICS.values() for event in topic.events}
    assert carried == set(EVENT_TYPES)


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_example_survives_the_wire_and_its_schema(name: str) -> None:
    octets = encode(EXAMPLES[name])
    assert decode(octets) == EXAMPLES[name]
    assert decode(octets, name) == EXAMPLES[name]
    jsonschema.validate(msgspec.json.decode(octets), _committed(f"{name}.v1.json"))


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_example_file_still_decodes_to_the_example(name: str) -> None:
    # The files are what an older producer wrote: they are never rewritten for a change of the types.
    octets = (ROOT / "example_files" / f"{name}.v1.json").read_bytes()
    assert decode(octets) == EXAMPLES[name]


@pytest.mark.parametrize("name", sorted(EVENT_TYPES))
def test_unknown_fields_are_accepted(name: str) -> None:
    document = msgspec.json.decode(encode(EXAMPLES[name]))
    document["novelty"] = 1
    document["data"]["novelty"] = {"a": [1]}
    assert decode(msgspec.json.encode(document)) == EXAMPLES[name]


def test_breaking_changes_are_found() -> None:
    old = schema_documents()["SegmentsAnswered.v1.json"]

    def changed(edit: Any) -> list[str]:
        new = copy.deepcopy(old)
        edit(new["$defs"]["SegmentsAnswered"])
        return breaking_differences(old, new)

    assert breaking_differences(old, old) == []
    assert changed(lambda d: d["properties"].pop("link")) == ["SegmentsAnswered.link: removed"]
    assert changed(lambda d: d["properties"].update(link={"type": "integer"})) == [
        "SegmentsAnswered.link: type changed"
    ]
    assert changed(lambda d: d["properties"].update(extra={"type": "string"})) == []
    assert changed(lambda d: d["required"].append("refs")) == ["SegmentsAnswered.refs: became required"]


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b'{"type":"Nobody","version":1}', "unknown_type"),
        (b'{"type":"ChunkAccepted","version":1}', "invalid"),
        (b" " * (1024 * 1024 + 1), "too_large"),
    ],
)
def test_what_is_no_event_is_refused_with_a_code(octets: bytes, code: str) -> None:
    with pytest.raises(EnvelopeError) as caught:
        decode(octets)
    assert caught.value.code == code


def test_a_later_version_is_refused_not_misread() -> None:
    document = msgspec.json.decode(encode(EXAMPLES["ChunkAccepted"]))
    document["version"] = 2
    with pytest.raises(EnvelopeError) as caught:
        decode(msgspec.json.encode(document), "ChunkAccepted")
    assert caught.value.code == "unknown_version"


def test_header_and_envelope_must_agree() -> None:
    octets = encode(EXAMPLES["OptedOut"])
    with pytest.raises(EnvelopeError):
        decode(octets, "MessageReceived")


def test_lanes_have_equal_partitions_in_every_stage() -> None:
    counts = {topic.partitions for topic in TOPICS.values() if topic.lane is not None}
    assert len(counts) == 1
    assert len([topic for topic in TOPICS.values() if topic.lane is not None]) == 4 * len(LANE_STAGES)
