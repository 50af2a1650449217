"""Chooses the language of what the command line says: Chinese where the locale is Chinese, else English.

Both wordings stand side by side at the place of use, so that neither can be forgotten. ``GUANXIN_LANG`` (zh or en)
decides over the locale.
"""

from __future__ import annotations

import os
from functools import cache


@cache
def language() -> str:
    """Return ``zh`` or ``en``, read once from GUANXIN_LANG, LC_ALL, LC_MESSAGES, LANG in that order."""
    for name in ("GUANXIN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def t(zh: str, en: str) -> str:
    """Return the wording of the operator's language."""
    return zh if language() == "zh" else en
