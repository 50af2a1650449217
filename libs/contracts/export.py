"""JSON Schema and AsyncAPI of everything on the bus, built from the types, and the test of what may change.

Pure: functions from types to documents.  Writing them to `schemas/` is done by ``python -m contracts``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from contracts.envelope import Envelope
from contracts.events import EVENT_TYPES
from contracts.topics import TOPICS

VERSION = 1


def event_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one event in its envelope."""
    schema = msgspec.json.schema(Envelope[EVENT_TYPES[name]])  # type: ignore[valid-type]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:guanxin:event:{name}:{VERSION}",
        **schema,
    }


def schema_documents() -> dict[str, dict[str, Any]]:
    """Return every event's schema by file name."""
    return {f"{name}.v{VERSION}.json": event_schema(name) for name in EVENT_TYPES}


def asyncapi_document() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document: channels are topics, messages are events."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for topic in TOPICS.values():
        channel = topic.name.replace(".", "_")
        channels[channel] = {
            "address": topic.name,
            "messages": {event: {"$ref": f"#/components/messages/{event}"} for event in topic.events},
            "bindings": {
                "kafka": {
                    "partitions": topic.partitions,
                    "topicConfiguration": {
                        "cleanup.policy": ["compact" if topic.compacted else "delete"],
                        "retention.ms": topic.retention_ms,
                    },
                }
            },
            "description": f"Key: {topic.key}. Producer: {topic.producer}. "
            f"Consumers: {', '.join(topic.consumers) or 'none'}.",
        }
        operations[f"{topic.producer}_sends_{channel}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/{channel}"},
        }
        for consumer in topic.consumers:
            operations[f"{consumer}_receives_{channel}"] = {
                "action": "receive",
                "channel": {"$ref": f"#/channels/{channel}"},
            }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Guanxin events", "version": str(VERSION)},
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {name: {"name": name, "payload": {"$ref": f"./{name}.v{VERSION}.json"}} for name in EVENT_TYPES}
        },
    }


def breaking_differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return what in ``new`` breaks a consumer or producer of ``old``; empty when the change is additive.

    Both are schemas as `event_schema` returns them.  Breaking: a definition or property that went, a property that became
    required, a type that changed, an enum value that went.
    """
    found: list[str] = []
    old_defs, new_defs = old.get("$defs", {}), new.get("$defs", {})
    for name, definition in old_defs.items():
        if name not in new_defs:
            found.append(f"{name}: removed")
            continue
        found.extend(_definition_differences(name, definition, new_defs[name]))
    return found


def _definition_differences(name: str, old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    found: list[str] = []
    if "enum" in old:
        gone = set(old["enum"]) - set(new.get("enum", []))
        found.extend(f"{name}: value {value!r} removed" for value in sorted(gone))
    old_properties, new_properties = old.get("properties", {}), new.get("properties", {})
    for field, shape in old_properties.items():
        if field not in new_properties:
            found.append(f"{name}.{field}: removed")
        elif _shape(shape) != _shape(new_properties[field]):
            found.append(f"{name}.{field}: type changed")
    required = sorted(set(new.get("required", [])) - set(old.get("required", [])))
    return [*found, *(f"{name}.{field}: became required" for field in required)]


def _shape(schema: Any) -> Any:
    """Return the schema without what does not change its meaning (texts and defaults)."""
    if isinstance(schema, dict):
        return {key: _shape(value) for key, value in schema.items() if key not in {"description", "default", "title"}}
    if isinstance(schema, list):
        return [_shape(item) for item in schema]
    return schema
