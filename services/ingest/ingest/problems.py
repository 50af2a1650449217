"""Every refusal of this service: its code, HTTP status and words in both languages.

Boundary: the domain raises `Refused` with a short code; here it becomes a problem document (RFC 9457).  Codes never change meaning.
"""

from __future__ import annotations

from typing import Any, Final

from servicekit.problems import INVALID_REQUEST, MALFORMED, TOO_LARGE, Problem, ProblemType, define

IDEMPOTENCY_CONFLICT: Final = define(
    "idempotency.conflict", 409, "幂等键已用于不同的请求", "The idempotency key was used for a different request"
)
OVERLOADED: Final = define("server.overloaded", 503, "系统繁忙，请稍后重试", "Too busy; try again shortly")
DISK_LOW: Final = define("disk_low", 503, "存储空间不足，暂停受理", "Storage is nearly full; nothing is accepted")
SIGNATURE_INVALID: Final = define("auth.signature_invalid", 401, "请求签名无效", "The request's signature is not valid")
SIGNATURE_REPLAYED: Final = define(
    "auth.signature_replayed", 401, "请求签名已被使用", "The request's signature was used before"
)
SCOPE_MISSING: Final = define("auth.scope_missing", 403, "密钥没有所需的权限", "The key lacks the scope needed")
CALLBACK_REFUSED: Final = define("callback_refused", 422, "回调地址不被允许", "The callback URL is not allowed")
FILE_INVALID: Final = define("file_invalid", 422, "文件无法读取", "The file cannot be read")
TASK_FINISHED: Final = define(
    "task_finished", 409, "任务已全部完结，无法取消", "Every message of the task has ended; nothing to cancel"
)
EXISTS: Final = define("resource.exists", 409, "已存在", "It exists already")

_UNPROCESSABLE = 422

REFUSALS: Final[dict[str, ProblemType]] = {
    "malformed": MALFORMED,
    "invalid": INVALID_REQUEST,
    "too_large": TOO_LARGE,
    "callback_refused": CALLBACK_REFUSED,
    "file_invalid": FILE_INVALID,
    "port_invalid": define("port_invalid", 422, "端口号不合法", "The port is not valid"),
    "port_not_registered": define(
        "port_not_registered",
        403,
        "端口未登记，密钥无权使用任意主叫",
        "The port is not registered and the key may not use any sender",
    ),
    "port_not_allowed": define("port_not_allowed", 403, "密钥无权使用该端口", "The key may not use this port"),
    "port_suspended": define("port_suspended", 403, "端口已暂停", "The port is suspended"),
    "one_text_needed": define(
        "one_text_needed",
        _UNPROCESSABLE,
        "须且只须给出 content、template、template_id 之一",
        "Exactly one of content, template and template_id is needed",
    ),
    "template_unknown": define(
        "template_unknown", _UNPROCESSABLE, "该端口没有这个模板", "The port has no such template"
    ),
    "template_invalid": define("template_invalid", _UNPROCESSABLE, "模板不合法", "The template is not valid"),
    "content_too_long": define("content_too_long", _UNPROCESSABLE, "内容过长", "The content is too long"),
    "content_invalid": define(
        "content_invalid", _UNPROCESSABLE, "内容含有无法发送的字符", "The content holds characters that cannot be sent"
    ),
    "content_empty": define("content_empty", _UNPROCESSABLE, "内容为空", "The content is empty"),
    "schedule_too_far": define(
        "schedule_too_far", _UNPROCESSABLE, "定时时间过远", "The scheduled time is too far ahead"
    ),
    "validity_out_of_range": define(
        "validity_out_of_range", _UNPROCESSABLE, "有效期超出范围", "The validity is out of range"
    ),
    "no_valid_recipient": define(
        "no_valid_recipient", _UNPROCESSABLE, "没有可发送的号码", "No recipient can be sent to"
    ),
    "recipient_invalid": define("recipient_invalid", _UNPROCESSABLE, "号码无法发送", "The recipient cannot be sent to"),
}
"""By the domain's code."""

ROW_REASONS: Final[dict[str, tuple[str, str]]] = {
    "duplicate": ("任务内重复的号码", "the same recipient and text is in the task already"),
    "variable_missing": ("缺少模板变量", "a variable of the template is missing"),
    "variable_too_long": ("变量过长", "a variable's value is too long"),
    "variable_invalid": ("变量含有无法发送的字符", "a variable holds characters that cannot be sent"),
    "text_too_long": ("内容过长", "the text needs too many segments"),
}
"""Reasons of single recipients beside those of `smstext.REASONS`."""


def problem_of(code: str, details: dict[str, Any]) -> Problem:
    """Return the problem for a `Refused`; its details become members of the document."""
    reason = str(details.get("reason", ""))
    rest = {name: value for name, value in details.items() if name != "reason"}
    return Problem(REFUSALS[code], zh=reason, en=reason, **rest)
