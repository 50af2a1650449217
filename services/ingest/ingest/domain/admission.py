"""May this caller send this, from that port?  The rules of keys, ports and templates, on a snapshot of the register.

Boundary: no database and no clock; the snapshot and the time are arguments, so the same function runs in the event loop for small
requests and in another process for large ones.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from contracts.lanes import Lane
from ingest.domain import template as templates
from ingest.domain import timing
from ingest.domain.refusal import Refused
from ingest.domain.template import Template

MAX_PORT_DIGITS = 20
"""A port with its extension; CMPP's Src_Id holds 21 octets with its terminator."""


class ApprovedTemplate(msgspec.Struct, frozen=True):
    """A template the enterprise had approved; ``ports`` empty is all of its ports."""

    template_id: str
    kind: str
    text: str
    ports: list[str]


class Caller(msgspec.Struct, frozen=True):
    """What the rules need to know of a key and its enterprise."""

    tenant: str
    enterprise: str
    user: str
    any_sender: bool
    key_ports: list[str]
    """Ports this key may use; empty is all registered ports of the enterprise."""
    ports: dict[str, str]
    """Registered ports of the enterprise and their status, `active` or `suspended`."""
    templates: dict[str, ApprovedTemplate]


class Limits(msgspec.Struct, frozen=True):
    """Settable bounds of one request."""

    max_text: int = 2_000
    max_segments: int = 10


class Head(msgspec.Struct, frozen=True):
    """Everything all messages of one request share, checked."""

    lane: Lane
    port: str
    registered: bool
    template: Template
    template_id: str
    content: str
    """The text as posted or as approved, for the record."""
    not_before: int
    expires_at: int
    ref: str
    callback_url: str


def sender(caller: Caller, port: str) -> bool:
    """Return whether the port is in the enterprise's register; raises `Refused` when the caller may not use it.

    A registered port may carry extension digits, so that a reply finds its conversation (spec/dispatch.md, "Sender shown").
    """
    if len(port) > MAX_PORT_DIGITS:
        raise Refused("port_invalid")
    for length in range(len(port), 2, -1):
        base = port[:length]
        status = caller.ports.get(base)
        if status is None:
            continue
        if caller.key_ports and base not in caller.key_ports:
            raise Refused("port_not_allowed")
        if status != "active":
            raise Refused("port_suspended")
        return True
    if not caller.any_sender:
        raise Refused("port_not_registered")
    return False


def text_of(
    caller: Caller,
    port: str,
    content: str | UnsetType,
    template: str | UnsetType,
    template_id: str | UnsetType,
    limits: Limits,
) -> tuple[str, Template, str]:
    """Return (text, template, template id) of the one form of text given."""
    if (content is UNSET) + (template is UNSET) + (template_id is UNSET) != 2:
        raise Refused("one_text_needed")
    if not isinstance(template_id, UnsetType):
        approved = caller.templates.get(template_id)
        if approved is None or (approved.ports and not any(port.startswith(base) for base in approved.ports)):
            raise Refused("template_unknown")
        return approved.text, templates.parse(approved.text), template_id
    text = template if isinstance(content, UnsetType) else content
    assert isinstance(text, str)
    if len(text) > limits.max_text:
        raise Refused("content_too_long", {"characters": len(text), "most": limits.max_text})
    if not templates.clean(text):
        raise Refused("content_invalid")
    if not text.strip():
        raise Refused("content_empty")
    return text, templates.plain(text) if isinstance(template, UnsetType) else templates.parse(text), ""


def admit(
    caller: Caller,
    *,
    lane: Lane,
    port: str,
    content: str | UnsetType,
    template: str | UnsetType,
    template_id: str | UnsetType,
    at_ms: int | None,
    validity_s: int | None,
    ref: str,
    callback_url: str,
    now_ms: int,
    limits: Limits,
) -> Head:
    """Return what the request's messages share; raises `Refused` with the first rule that speaks against it."""
    registered = sender(caller, port)
    text, parsed, approved_id = text_of(caller, port, content, template, template_id, limits)
    if not templates.clean(ref):
        raise Refused("invalid", {"reason": "ref holds control characters"})
    not_before, expires_at = timing.schedule(lane, now_ms, at_ms, validity_s)
    return Head(
        lane=lane,
        port=port,
        registered=registered,
        template=parsed,
        template_id=approved_id,
        content=text,
        not_before=not_before,
        expires_at=expires_at,
        ref=ref,
        callback_url=callback_url,
    )
