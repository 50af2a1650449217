"""The sound of a text: one private-use code point per fuzzy syllable, for Han characters and for Latin runs that spell
syllables.

Homophones and letters in place of characters (微信, 威信, weixin) become the same string here.  Fuzzy means: zh/z,
ch/c, sh/s, n/l at the beginning and -ng/-n at the end are one, as in the accents spam is written in.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib import resources

FIRST_CODE = 0xE000
"""Syllables stand in the private use area from here; such characters never survive folding, so none can be smuggled
in.
"""

LATIN_RUN = re.compile(r"[a-z]+")

SPELLED_SPACE = re.compile("(?<=[\ue000-\uf8ff]) (?=[\ue000-\uf8ff])")
"""A space between two syllables (dai kuan): once both are sounds it parts nothing."""

MAX_RUN = 64
"""Letters; a longer run is no spelling of words and is left as it is."""

_INITIALS = (("zh", "z"), ("ch", "c"), ("sh", "s"), ("n", "l"))


def fuzzy(syllable: str) -> str:
    """Return the syllable with the distinctions dropped that accents drop."""
    for long, short in _INITIALS:
        if syllable.startswith(long):
            syllable = short + syllable[len(long) :]
            break
    return syllable[:-1] if syllable.endswith("ng") else syllable


def _load() -> tuple[dict[int, str], dict[str, str]]:
    """Return (character code -> code point, spelling -> code point)."""
    text = resources.files("spamfilter").joinpath("data/pinyin.txt").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    sounds = sorted({fuzzy(syllable) for syllable, _ in rows})
    code_of = {sound: chr(FIRST_CODE + number) for number, sound in enumerate(sounds)}
    characters = {ord(character): code_of[fuzzy(syllable)] for syllable, group in rows for character in group}
    spellings = {syllable: code_of[fuzzy(syllable)] for syllable, _ in rows if set(syllable) & set("aeiouv")}
    return characters, spellings


SOUND, SPELLING = _load()
"""`SOUND` maps character codes for `str.translate`, `SPELLING` whole syllables."""

_LONGEST = max(map(len, SPELLING))


@lru_cache(maxsize=8192)
def spelled(run: str) -> tuple[tuple[str, int], ...] | None:
    """Return the run as ((code point, letters), ...) if it is wholly syllables, taking the fewest; else None."""
    if not 1 < len(run) <= MAX_RUN:
        return None
    best: list[tuple[tuple[str, int], ...] | None] = [()] + [None] * len(run)
    for end in range(1, len(run) + 1):
        for size in range(min(_LONGEST, end), 0, -1):
            before = best[end - size]
            code = SPELLING.get(run[end - size : end])
            if before is None or code is None:
                continue
            found = best[end]
            if found is None or len(before) + 1 < len(found):
                best[end] = (*before, (code, size))
    return best[len(run)]


def voice(match: re.Match[str]) -> str:
    """Return the syllables of a Latin run, or the run itself: the replacement for `LATIN_RUN`."""
    parts = spelled(match[0])
    return match[0] if parts is None else "".join(code for code, _ in parts)
