"""Counted features of a text: links, telephone numbers, contacts, opt-out offers.

Rules name them as `@link`, `@phone`, `@wechat`, `@qq`, `@contact` (any of phone, wechat, qq, group) and `@money`.
They are looked for in the base view, in which full width, look-alikes and invisible characters are gone already.
"""

from __future__ import annotations

import re

LINK = re.compile(
    r"https?://[^\s一-鿿，。；！？、】）]+"
    r"|(?<![a-z0-9.@-])(?:[a-z0-9-]{1,63}\.){1,4}(?:com|cn|net|org|top|xyz|vip|info|cc|me|io|app|site|club|shop|link|live|online|tv|co|ws|icu|ltd|win|"
    r"ink|fun|pro|wang|pw|gg|ly|hk|tw|us|ru|la)(?![a-z])(?::\d{1,5})?(?:/[^\s一-鿿，。；！？、】）]*)?"
)
"""An address with a scheme, or a host name under a known top level."""

PHONE = re.compile(
    r"(?<!\d)(?:(?:\+?86|0086)[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"
    r"|(?<!\d)0\d{2,3}[- ]\d{7,8}(?!\d)"
    r"|(?<!\d)[48]00[- ]?\d{3}[- ]?\d{4}(?!\d)|(?<!\d)[48]00-?\d{4}-?\d{3}(?!\d)"
)
"""Mobile, fixed with area code, 400 and 800 numbers."""

HOTLINE = re.compile(r"(?<!\d)(?:9[56]\d{3,4}|1[02]\d{3}|123\d{2}|1[01]\d)(?!\d)")
"""Short service numbers of banks, carriers and authorities: no contact by themselves."""

_WX = r"(?:(?:微|薇|威|维|卫|v|wei)\s*(?:信|xin|星)|wechat|\bw?vx|\bwx|(?<![a-z])v(?=\s*[:：+])|微\s*号|薇|[+加]\s*微)"
WECHAT = re.compile(
    rf"{_WX}\s*号?\s*(?:是|为|同号|[:：+=])?\s*(?=[a-z0-9_-]*\d)[a-z][a-z0-9_-]{{5,19}}(?![a-z0-9])"
    rf"|(?:加|\+|添加)\s*(?:我\s*)?{_WX}\s*号?\s*[:：]?\s*[a-z0-9_-]{{5,20}}"
    rf"|{_WX}(?:号)?\s*[:：]\s*[a-z0-9_-]{{5,20}}"
)
QQ = re.compile(r"(?:扣\s*扣|q\s*q|企\s*鹅|\bq)\s*(?:群|号)?\s*[:：+]?\s*[1-9]\d{4,10}(?!\d)")
GROUP = re.compile(r"(?:进|加|入|拉)\s*(?:[q微v]\w{0,2})?群(?!众)")
MONEY = re.compile(r"[¥￥$]\s?\d|\d(?:\.\d+)?\s*(?:元|万|块|圆)")
OPT_OUT = re.compile(r"(?:回|拒收请回复|退订回?复?)\s*(?:t|td|n|r|0{1,4}|退订)(?![a-z0-9])|退订")

SEEN: dict[str, tuple[re.Pattern[str], ...]] = {
    "@link": (LINK,),
    "@phone": (PHONE,),
    "@wechat": (WECHAT,),
    "@qq": (QQ,),
    "@group": (GROUP,),
    "@contact": (WECHAT, QQ, PHONE, GROUP),
    "@money": (MONEY,),
    "@optout": (OPT_OUT,),
}
"""Every feature a rule may name."""

ANY_CONTACT = re.compile("|".join(f"(?:{p.pattern})" for p in (LINK, PHONE, WECHAT, QQ, GROUP, OPT_OUT)))
"""One pass that says whether any of them can be there: most variables of templates are settled by it."""


def find(name: str, base: str) -> tuple[int, int] | None:
    """Return where the feature first is in a base view, or None."""
    hits = [match.span() for pattern in SEEN[name] if (match := pattern.search(base))]
    return min(hits) if hits else None
