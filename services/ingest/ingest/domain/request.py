"""What a caller may ask: the bodies of the sending endpoints, decoded and bounded by msgspec in one pass.

Limits that depend on settings or on the key are checked in `ingest.domain.admission`; here are those of the format.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts.lanes import Lane
from ingest.domain.refusal import Refused

MAX_RECIPIENTS_JSON = 100_000
MAX_TEXT = 2_000
"""Characters of a content or template (setting `max_text` may only lower it)."""
MAX_VALUE = 200
"""Characters of one variable's value."""

Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Number = Annotated[str, Meta(min_length=0, max_length=40)]
Port = Annotated[str, Meta(pattern=r"^[0-9]{3,21}\Z")]
Ref = Annotated[str, Meta(max_length=64)]
TemplateId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.-]{1,64}\Z")]
Url = Annotated[str, Meta(max_length=1_000)]
Validity = Annotated[int, Meta(ge=0, le=100_000_000)]
Moment = Annotated[datetime, Meta(tz=True)]
Variables = Annotated[dict[str, str], Meta(max_length=50)]


class Recipient(msgspec.Struct, frozen=True):
    """One recipient with the values of the template's variables."""

    to: Number
    variables: Variables = {}


class TaskRequest(msgspec.Struct, frozen=True, rename={"lane": "class"}):
    """Body of ``POST /v1/tasks``: exactly one of ``content``, ``template``, ``template_id``."""

    port: Port
    lane: Lane
    recipients: Annotated[list[Number | Recipient], Meta(min_length=1, max_length=MAX_RECIPIENTS_JSON)]
    content: Text | UnsetType = UNSET
    template: Text | UnsetType = UNSET
    template_id: TemplateId | UnsetType = UNSET
    at: Moment | None = None
    validity: Validity | None = None
    ref: Ref = ""
    callback_url: Url = ""


class TaskForm(msgspec.Struct, frozen=True, rename={"lane": "class"}):
    """The fields beside the file of ``POST /v1/tasks/upload``; recipients come from the file."""

    port: Port
    lane: Lane
    content: Text | UnsetType = UNSET
    template: Text | UnsetType = UNSET
    template_id: TemplateId | UnsetType = UNSET
    at: Moment | None = None
    validity: Validity | None = None
    ref: Ref = ""
    callback_url: Url = ""


class MessageRequest(msgspec.Struct, frozen=True, rename={"lane": "class"}):
    """Body of ``POST /v1/messages``: one recipient."""

    port: Port
    to: Number
    lane: Lane
    content: Text | UnsetType = UNSET
    template: Text | UnsetType = UNSET
    template_id: TemplateId | UnsetType = UNSET
    variables: Variables = {}
    at: Moment | None = None
    validity: Validity | None = None
    ref: Ref = ""
    callback_url: Url = ""


task_decoder = msgspec.json.Decoder(TaskRequest)
message_decoder = msgspec.json.Decoder(MessageRequest)


def decode_task(body: bytes) -> TaskRequest:
    """Return the request; raises `Refused` (`malformed`, `invalid` with the place)."""
    try:
        return task_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused("invalid", {"reason": _redacted(error)}) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("malformed") from error


def decode_message(body: bytes) -> MessageRequest:
    """Return the request; raises `Refused` like `decode_task`."""
    try:
        return message_decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Refused("invalid", {"reason": _redacted(error)}) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("malformed") from error


def decode_form(fields: dict[str, str | int]) -> TaskForm:
    """Return the upload's fields; empty ones count as absent."""
    try:
        return msgspec.convert({name: value for name, value in fields.items() if value != ""}, TaskForm, strict=False)
    except msgspec.ValidationError as error:
        raise Refused("invalid", {"reason": _redacted(error)}) from error


def _redacted(error: msgspec.ValidationError) -> str:
    # msgspec names the place and the rule; only an invalid enum value is quoted, and a class name is no secret.
    return str(error)[:300]
