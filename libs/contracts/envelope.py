"""The envelope around every event, and its JSON form on the wire.

Decoding is typed: one pass over the octets for the registered type.  What cannot be decoded raises `EnvelopeError` and nothing
else, whatever the octets are.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from contracts.events import EVENT_TYPES

T = TypeVar("T")

MAX_EVENT_OCTETS = 1024 * 1024
"""An event above this is refused before it is parsed; a chunk event is at most 256 kB."""


class EnvelopeError(ValueError):
    """The octets are not an event this version understands; ``code`` is stable, the text says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Envelope(msgspec.Struct, Generic[T], frozen=True):
    """``id`` is derived (`contracts.ids.event_id`), ``occurred_at`` Unix ms, ``traceparent`` W3C trace context or empty."""

    id: str
    type: str
    version: int
    key: str
    """The partition key: `<tenant>:<enterprise>`, or what the topic's record says."""
    tenant: str
    occurred_at: int
    traceparent: str
    data: T


class _Head(msgspec.Struct, frozen=True):
    type: str
    version: int


_encoder = msgspec.json.Encoder()
_head_decoder = msgspec.json.Decoder(_Head)
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    name: msgspec.json.Decoder(Envelope[event])  # type: ignore[valid-type]
    for name, event in EVENT_TYPES.items()
}


def wrap(
    data: msgspec.Struct, *, id: str, key: str, tenant: str, occurred_at: int, traceparent: str = ""
) -> Envelope[Any]:
    """Put an event into its envelope; the type name and version come from the event itself."""
    name = type(data).__name__
    if name not in EVENT_TYPES:
        raise TypeError(f"{name} is not a registered event")
    return Envelope(
        id=id, type=name, version=1, key=key, tenant=tenant, occurred_at=occurred_at, traceparent=traceparent, data=data
    )


def partition_key(tenant: str, enterprise: str) -> str:
    """Return the key of everything that belongs to an enterprise."""
    return f"{tenant}:{enterprise}"


def encode(envelope: Envelope[Any]) -> bytes:
    """Return the JSON octets."""
    return _encoder.encode(envelope)


def decode(octets: bytes, type_hint: str = "") -> Envelope[Any]:
    """Return the event in its envelope.

    ``type_hint`` is the record's `type` header: with it the octets are parsed once.  Raises `EnvelopeError` with code
    `too_large`, `malformed`, `unknown_type`, `unknown_version` or `invalid`.
    """
    if len(octets) > MAX_EVENT_OCTETS:
        raise EnvelopeError("too_large", f"{len(octets)} octets, at most {MAX_EVENT_OCTETS}")
    name = type_hint
    if name not in _decoders:
        name = _head(octets).type
        if name not in _decoders:
            raise EnvelopeError("unknown_type", f"no event is called {name[:80]!r}")
    try:
        envelope: Envelope[Any] = _decoders[name].decode(octets)
    except msgspec.ValidationError as error:
        raise EnvelopeError("invalid", f"{name}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError("malformed", str(error)) from error
    if envelope.type != name:
        raise EnvelopeError("invalid", f"header says {name}, envelope says {envelope.type[:80]}")
    if envelope.version != 1:
        raise EnvelopeError("unknown_version", f"{name} version {envelope.version}")
    return envelope


def _head(octets: bytes) -> _Head:
    try:
        return _head_decoder.decode(octets)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeError("malformed", str(error)) from error
