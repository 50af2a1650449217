"""RFC 9457 problem details: every refusal has a stable code, a status, and words in Chinese and English.

A code never changes its meaning; texts may.  Nothing of the request's contents is repeated but field names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of refusal."""

    code: str
    status: int
    title_zh: str
    title_en: str


_registry: dict[str, ProblemType] = {}


def define(code: str, status: int, zh: str, en: str) -> ProblemType:
    """Register a problem type; raises ValueError when the code is taken by a different one."""
    problem_type = ProblemType(code, status, zh, en)
    if _registry.setdefault(code, problem_type) != problem_type:
        raise ValueError(f"problem code {code!r} is defined twice")
    return problem_type


def defined() -> list[ProblemType]:
    """Return all problem types by code, for the documentation."""
    return [_registry[code] for code in sorted(_registry)]


class Problem(Exception):
    """A refusal on its way to the caller; raise it anywhere below the API.

    ``zh`` and ``en`` say what is wrong with this request and what would be right; ``extensions`` become members of the
    document.
    """

    def __init__(
        self,
        problem_type: ProblemType,
        *,
        zh: str = "",
        en: str = "",
        headers: Mapping[str, str] | None = None,
        **extensions: Any,
    ) -> None:
        super().__init__(f"{problem_type.code}: {en or problem_type.title_en}")
        self.type = problem_type
        self.zh = zh
        self.en = en
        self.headers = dict(headers or {})
        self.extensions = extensions

    def document(self, language: str) -> dict[str, Any]:
        """Return the members of the document in ``zh`` or ``en``."""
        chinese = language == "zh"
        document: dict[str, Any] = {
            "type": f"urn:guanxin:problem:{self.type.code}",
            "title": self.type.title_zh if chinese else self.type.title_en,
            "status": self.type.status,
            "code": self.type.code,
        }
        detail = self.zh if chinese else self.en
        if detail:
            document["detail"] = detail
        return {**document, **self.extensions}


def language_of(accept_language: str) -> str:
    """Return ``zh`` or ``en``: whichever the header prefers; Chinese when it names neither."""
    best, best_quality = "zh", 0.0
    for part in accept_language[:200].split(","):
        tag, _, parameter = part.strip().partition(";")
        quality = _quality(parameter)
        primary = tag.strip().lower().partition("-")[0]
        if primary in ("zh", "en") and quality > best_quality:
            best, best_quality = primary, quality
    return best


def problem_response(problem: Problem, accept_language: str = "") -> Response:
    """Return the HTTP response."""
    language = language_of(accept_language)
    return Response(
        msgspec.json.encode(problem.document(language)),
        status_code=problem.type.status,
        media_type=MEDIA_TYPE,
        headers={**problem.headers, "content-language": "zh-CN" if language == "zh" else "en"},
    )


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0


MALFORMED = define("request.malformed", 400, "请求格式错误", "The request is malformed")
UNAUTHENTICATED = define("auth.unauthenticated", 401, "未认证", "Not authenticated")
FORBIDDEN = define("auth.forbidden", 403, "无权限", "Not permitted")
NOT_FOUND = define("resource.not_found", 404, "未找到", "Not found")
METHOD_NOT_ALLOWED = define("request.method_not_allowed", 405, "不支持该方法", "Method not allowed")
CONFLICT = define("resource.conflict", 409, "状态冲突", "Conflict with the current state")
TOO_LARGE = define("request.too_large", 413, "请求过大", "The request is too large")
UNSUPPORTED_MEDIA_TYPE = define("request.unsupported_media_type", 415, "不支持的内容类型", "Unsupported media type")
INVALID_REQUEST = define("request.invalid", 422, "请求内容不合法", "The request is not valid")
TOO_MANY_REQUESTS = define("request.too_many", 429, "请求过于频繁", "Too many requests")
INTERNAL = define("server.error", 500, "服务内部错误", "Internal error")
UNAVAILABLE = define("server.unavailable", 503, "服务暂不可用", "Temporarily unavailable")

BY_STATUS: dict[int, ProblemType] = {
    t.status: t
    for t in (
        MALFORMED,
        UNAUTHENTICATED,
        FORBIDDEN,
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        CONFLICT,
        TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        INVALID_REQUEST,
        TOO_MANY_REQUESTS,
        INTERNAL,
        UNAVAILABLE,
    )
}
"""What the framework's own refusals are called."""
