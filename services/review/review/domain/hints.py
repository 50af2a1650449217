"""What can be said of a content before a person reads it: the points of the checklist a machine sees (review.md).

Hints are shown beside the content and decide nothing.
"""

from __future__ import annotations

import difflib
import re
from enum import StrEnum
from typing import NamedTuple

_SIGNATURE = re.compile(r"^\s*【([^】]{1,30})】|【([^】]{1,30})】\s*$")
_LINK = re.compile(r"https?://\S+|\b(?:[a-z0-9-]+\.)+(?:com|cn|net|top|vip|cc|xyz|link|club|info)\b\S*", re.IGNORECASE)
_PHONE = re.compile(r"(?<!\d)(?:1[3-9]\d{9}|0\d{2,3}-?\d{7,8}|[48]00-?\d{3}-?\d{4})(?!\d)")
_SALUTATION = re.compile(r"尊敬的|亲爱的|您好|会员|客户|用户|业主|家长|同学|Dear\b", re.IGNORECASE)
_OPT_OUT = re.compile(r"退订|拒收|回复?\s*T\b|回T", re.IGNORECASE)
_MONEY = re.compile(r"贷款|借款|理财|收益率|年化|授信|额度|放款|信用卡")
_PLACE = re.compile(r"楼盘|开盘|首付|学区房|招生|培训班|辅导|补习")


class HintKind(StrEnum):
    """What was seen or missed."""

    SIGNATURE = "signature"
    NO_SIGNATURE = "no_signature"
    NO_SALUTATION = "no_salutation"
    LINK = "link"
    PHONE = "phone"
    NO_OPT_OUT = "no_opt_out"
    FINANCE = "finance"
    ESTATE_EDUCATION = "estate_education"


class Hint(NamedTuple):
    """``level`` is info or warn; ``what`` quotes the text where there is something to quote."""

    kind: HintKind
    level: str
    what: str = ""


def hints(text: str, lane: str) -> list[Hint]:
    """Return the hints on a text of a lane."""
    found: list[Hint] = []
    signature = _SIGNATURE.search(text)
    if signature:
        found.append(Hint(HintKind.SIGNATURE, "info", signature[1] or signature[2]))
    else:
        found.append(Hint(HintKind.NO_SIGNATURE, "warn"))
    if (money := _MONEY.search(text)) is not None:
        found.append(Hint(HintKind.FINANCE, "warn", money[0]))
    spoken = _SALUTATION.search(text)
    if (place := _PLACE.search(text)) is not None and spoken is None:
        found.append(Hint(HintKind.ESTATE_EDUCATION, "warn", place[0]))
    if spoken is None:
        found.append(Hint(HintKind.NO_SALUTATION, "info"))
    if (link := _LINK.search(text)) is not None:
        found.append(Hint(HintKind.LINK, "warn", link[0][:40]))
    if _PHONE.search(text) is not None:
        # Not quoted: pages show numbers masked.
        found.append(Hint(HintKind.PHONE, "warn"))
    if lane == "marketing" and _OPT_OUT.search(text) is None:
        found.append(Hint(HintKind.NO_OPT_OUT, "warn"))
    return found


class Piece(NamedTuple):
    """A run of text: ``same`` in both, ``new`` in the later one only, ``old`` in the earlier one only."""

    kind: str
    text: str


def differences(earlier: str, later: str) -> list[Piece]:
    """Return how ``later`` differs from ``earlier``, character by character."""
    pieces: list[Piece] = []
    matcher = difflib.SequenceMatcher(None, earlier[:2_000], later[:2_000], autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(Piece("same", later[j1:j2]))
            continue
        if i2 > i1:
            pieces.append(Piece("old", earlier[i1:i2]))
        if j2 > j1:
            pieces.append(Piece("new", later[j1:j2]))
    return pieces
