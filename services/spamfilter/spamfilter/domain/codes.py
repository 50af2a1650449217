"""Whether a message sent as a verification code is one: the class is earned, not declared.

It is, when it matches an approved code template of its port, or has the shape of a code: short, says that it is a
code, holds exactly one, and neither link nor contact.  Anything else is demoted to the notice lane.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from spamfilter.domain import features, fold, views

MAX_CODE_TEXT = 100
"""Code points; a code with signature and the usual warning has 40 to 80."""

MAX_PATTERN = 300

SLOT = "{code}"
"""Where the code stands in an approved template; `{minutes}` or any other name takes up to 20 other characters."""

CODE = r"[A-Za-z0-9]{4,8}"

_CUE = re.compile(
    r"验证码|校验码|动态码|动态密码|确认码|激活码|随机码|短信码|登录码|安全码|口令|取件码|提取码"
    r"|\bcode\b|\botp\b|\bpin\b|verification|passcode|密码为|密码是|码[:：为是]"
)
_TOKEN = re.compile(rf"(?<![A-Za-z0-9]){CODE}(?![A-Za-z0-9])")
_DIGITS = re.compile(r"\d")
_NAME = re.compile(r"\{[a-z_]{1,20}\}")


class PatternError(ValueError):
    """A code template cannot be approved as it is; the text says why."""


def pattern_of(template: str) -> re.Pattern[str]:
    """Return the expression for an approved template's text; raises `PatternError` unless it has `{code}` exactly
    once.
    """
    if len(template) > MAX_PATTERN:
        raise PatternError(f"{len(template)} characters, at most {MAX_PATTERN}")
    if template.count(SLOT) != 1:
        raise PatternError("{code} must be there exactly once / 必须恰好包含一个 {code}")
    parts = []
    at = 0
    for match in _NAME.finditer(template):
        parts.append(re.escape(template[at : match.start()]))
        # A free variable takes neither links nor long text, so an approved template cannot carry an advertisement.
        parts.append(f"({CODE})" if match[0] == SLOT else r"[^\s/:：@.]{0,20}")
        at = match.end()
    if len(template) - sum(len(m[0]) for m in _NAME.finditer(template)) < 4:
        raise PatternError("a template needs words around its code / 模板除变量外至少要有四个字")
    return re.compile("".join([*parts, re.escape(template[at:])]))


class CodeTemplates:
    """Approved code templates of every port, immutable; a reload swaps one reference."""

    def __init__(self, templates: Iterable[tuple[str, str, str]]) -> None:
        """Take (tenant, port, template text)."""
        self._by_port: dict[tuple[str, str], list[re.Pattern[str]]] = {}
        for tenant, port, template in templates:
            self._by_port.setdefault((tenant, port), []).append(pattern_of(template))

    def of(self, tenant: str, port: str) -> list[re.Pattern[str]]:
        """Return the patterns approved for the port."""
        return self._by_port.get((tenant, port), [])


def approved(text: str, patterns: Iterable[re.Pattern[str]]) -> bool:
    """Return whether the text is wholly one of the approved templates with a code in it."""
    return any(pattern.fullmatch(text) for pattern in patterns)


def has_code_shape(text: str) -> bool:
    """Return whether the text has the shape of a code: short, a cue, one code of 4-8 digits or letters, no link, no
    contact.
    """
    if len(text) > MAX_CODE_TEXT:
        return False
    base = views.base_of(fold.prepare(text))
    if _CUE.search(base) is None or features.find("@link", base) or features.find("@contact", base):
        return False
    tokens = set(_TOKEN.findall(unicodedata.normalize("NFKC", text)))
    numbered = {token for token in tokens if _DIGITS.search(token)}
    # Where no token has a digit: a code of letters is written in capitals; ordinary words are not.
    return len(numbered or {token for token in tokens if token.isupper()}) == 1
