"""The answers as the OpenAPI document describes them; requests are described by the decoder's own types.

Boundary: documentation only.  Answers are built by the handlers as plain documents; a test validates them against these models.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_TASK_ID = "0193f1a2b3c47d5e8f90a1b2c3d4e400"
_MESSAGE_ID = "0193f1a2b3c47d5e8f90a1b2c3d4e800-0"


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Rejected(_Document):
    """A recipient that gets no message."""

    index: int
    to: str = Field(description="masked")
    reason: str


class Segments(_Document):
    """Segments of a task's accepted messages."""

    total: int
    max: int


class TaskAccepted(_Document):
    """The task is durable."""

    id: str = Field(examples=[_TASK_ID])
    state: str
    class_: str = Field(alias="class")
    port: str
    total: int
    accepted: int
    rejected: int
    rejected_sample: list[Rejected]
    segments: Segments
    not_before: int
    expires_at: int
    created_at: int


class MessageAccepted(_Document):
    """The message is durable."""

    id: str = Field(examples=[_MESSAGE_ID])
    task_id: str
    state: str
    class_: str = Field(alias="class")
    segments: int
    not_before: int
    expires_at: int


class Task(_Document):
    """A task and how many of its messages are in each state."""

    id: str = Field(examples=[_TASK_ID])
    class_: str = Field(alias="class")
    port: str
    content: str
    template_id: str
    ref: str
    user: str
    total: int
    accepted: int
    rejected: int
    rejected_sample: list[Rejected] = []
    message_id: str = ""
    segments: Segments | None = None
    counts: dict[str, int]
    finished: bool
    not_before: int
    expires_at: int
    callback_url: str = ""
    created_at: int
    cancelled_at: int | None


class TaskPage(_Document):
    """Tasks, newest first."""

    items: list[Task]
    next: str | None


class RejectedPage(_Document):
    """Rejected recipients of a task."""

    items: list[Rejected]
    next: int | None


class MessageRow(_Document):
    """One message of a task."""

    id: str
    to: str
    carrier: str
    state: str
    segments: int


class MessagePage(_Document):
    """Messages of a task; ``next`` is the cursor of the following page, null at the end."""

    items: list[MessageRow]
    next: str | None


class Message(_Document):
    """One message with its segments and every transition."""

    id: str = Field(examples=[_MESSAGE_ID])
    task_id: str
    class_: str = Field(alias="class")
    port: str
    to: str
    carrier: str
    text: str
    ref: str
    state: str
    accepted_at: int
    not_before: int
    expires_at: int
    segments: list[dict[str, Any]]
    timeline: list[dict[str, Any]]
    traceparent: str


class Reply(_Document):
    """A message from a phone."""

    id: str
    port: str
    from_: str = Field(alias="from")
    text: str
    at: int
    message_id: str | None
    action: str


class ReplyPage(_Document):
    """Replies, oldest first."""

    items: list[Reply]
    next: str | None


class NumberTimeline(_Document):
    """Everything between the enterprise and a number."""

    number: str
    messages: list[Message]
    replies: list[Reply]
    opt_outs: list[dict[str, Any]]


class Cancelled(_Document):
    """The task is withdrawn."""

    id: str
    cancelled_at: int


class Ledger(_Document):
    """Every accepted message is in exactly one state."""

    since: int
    until: int
    accepted: int
    states: dict[str, int]


class Preview(_Document):
    """What a text will be and cost."""

    alphabet: str
    characters: int
    segments: int
    price: dict[str, Any] | None = Field(description="null when no tariff is in force")


class KeyMade(_Document):
    """A new key; key and signing secret are shown this once."""

    key_id: str
    key: str
    signing_secret: str


class KeyRow(_Document):
    """A key without its secrets."""

    key_id: str
    tenant: str
    enterprise: str
    name: str
    scopes: list[str]
    ports: list[str]
    any_sender: bool
    rate: int
    burst: int
    require_signature: bool
    created_at: str
    rotated_at: str | None
    revoked_at: str | None


class KeyPage(_Document):
    """Keys, oldest first."""

    items: list[KeyRow]


class WebhookTarget(_Document):
    """A callback URL and what waits for it."""

    target_id: int
    url: str
    failures: int
    last_error: str
    last_ok_at: str | None
    retry_at: str
    waiting: int
    delivered: int
    dead: int


class WebhookPage(_Document):
    """Callback URLs of the enterprise."""

    items: list[WebhookTarget]


class Done(_Document):
    """It is done."""

    done: bool = True


class Replayed(_Document):
    """So many given-up rows are offered again."""

    replayed: int


class ProblemDocument(BaseModel):
    """RFC 9457 problem details; ``code`` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": text,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
    }
    for status, text in {
        400: "Malformed / 格式错误",
        401: "No valid key or signature / 未认证",
        403: "Not permitted / 无权限",
        404: "Not found / 未找到",
        409: "Conflict / 冲突",
        413: "Too large / 过大",
        415: "Wrong media type / 内容类型错误",
        422: "Not valid / 内容不合法",
        429: "Too many requests / 请求过于频繁",
        503: "Temporarily unavailable / 暂不可用",
    }.items()
}
"""What every route may answer beside its own."""
