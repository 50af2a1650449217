"""What is wrong with a field, in Chinese and English, from pydantic's error list; values are never repeated."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MAX_REASONS = 50
"""A body of 100,000 bad recipients is not answered with 100,000 reasons."""

NO_NUL = r"^[^\x00]*$"
"""Pattern of a text that can be stored: PostgreSQL's holds every character but this one.  (Lone surrogates no text field takes.)"""

_ZH: dict[str, str] = {
    "missing": "必填",
    "extra_forbidden": "未知字段",
    "json_invalid": "不是合法的 JSON",
    "string_type": "应为字符串",
    "string_too_short": "至少 {min_length} 个字符",
    "string_too_long": "最多 {max_length} 个字符",
    "string_pattern_mismatch": "格式不符",
    "int_type": "应为整数",
    "int_parsing": "应为整数",
    "int_from_float": "应为整数",
    "float_type": "应为数字",
    "float_parsing": "应为数字",
    "bool_type": "应为布尔值",
    "bool_parsing": "应为布尔值",
    "list_type": "应为数组",
    "dict_type": "应为对象",
    "model_type": "应为对象",
    "model_attributes_type": "应为对象",
    "too_short": "至少 {min_length} 项",
    "too_long": "最多 {max_length} 项",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "应不小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "应不大于 {le}",
    "enum": "应为以下之一: {expected}",
    "literal_error": "应为以下之一: {expected}",
    "datetime_parsing": "应为 ISO 8601 时间",
    "datetime_from_date_parsing": "应为 ISO 8601 时间",
    "datetime_type": "应为 ISO 8601 时间",
    "timezone_aware": "时间须带时区",
    "date_parsing": "应为日期",
    "uuid_parsing": "应为 UUID",
    "url_parsing": "应为合法的 URL",
    "url_scheme": "URL 协议应为: {expected_schemes}",
    "url_type": "应为合法的 URL",
}


def reasons(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return ``field``, ``code``, ``zh``, ``en`` for each error, at most `MAX_REASONS`."""
    found: list[dict[str, str]] = []
    for error in errors:
        if len(found) == MAX_REASONS:
            break
        code = str(error.get("type", "invalid"))
        chinese, english = _chinese(code, error), _english(error)
        if code == "value_error" and " / " in english:
            # Our own validators raise ValueError("中文 / English").
            chinese, _, english = english.partition(" / ")
        found.append({"field": _field(error.get("loc", ())), "code": code, "zh": chinese, "en": english})
    return found


def _field(location: Iterable[Any]) -> str:
    # The first step says where the field was looked for (body, query, path); for JSON errors the second is an octet
    # position.
    steps = [str(step)[:80] for step in location]
    return ".".join(steps[1:]) or (steps[0] if steps else "body")


def _chinese(code: str, error: Mapping[str, Any]) -> str:
    template = _ZH.get(code)
    if template is None:
        return "值不合法"
    try:
        return template.format(**(error.get("ctx") or {}))
    except (KeyError, IndexError):
        return template.partition(" {")[0]


def _english(error: Mapping[str, Any]) -> str:
    message = str(error.get("msg", "invalid value"))
    # `value_error` messages are written by our own validators; every other names types and bounds only, not the input.
    return message.removeprefix("Value error, ")[:300]
