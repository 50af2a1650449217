"""Where a text may be cut without breaking what a reader sees as one character; it knows nothing about segments.

A subset of Unicode's grapheme clusters (UAX 29) that needs only the standard library's data: combining marks,
variation selectors, emoji modifiers, ZWJ sequences, flags, tag sequences, Hangul jamo and CR LF.
"""

import re
import unicodedata
from typing import Final

_ZWJ: Final = "\u200d"
_MARKS: Final = frozenset({"Mn", "Mc", "Me"})

# A character that can never continue a cluster nor be continued across a cut: the usual texts are cut without looking.
_PLAIN: Final = re.compile(
    "[\n\x20-\x7e\u00a1-\u02ff\u2010-\u2027\u2030-\u205e\u3000-\u3029\u3030-\u3098\u309b-\u30ff\u3400-\u9fff\uff01-\uffee]"
)


def may_cut(text: str, start: int, at: int) -> bool:
    """Whether a cut between `text[at - 1]` and `text[at]` leaves both sides whole; `start < at < len(text)`.

    `start` is where the current segment begins: flags are pairs counted from there, which also bounds the look back.
    """
    before, after = text[at - 1], text[at]
    if after == "\n" and before == "\r":
        return False
    if before == _ZWJ:
        return False
    if _PLAIN.match(after):
        return True
    if after == _ZWJ or unicodedata.category(after) in _MARKS:
        return False
    point = ord(after)
    if 0x1F3FB <= point <= 0x1F3FF or 0xE0020 <= point <= 0xE007F:  # emoji modifier, tag
        return False
    if 0x1F1E6 <= point <= 0x1F1FF:
        return _flags_before(text, start, at) % 2 == 0
    return not _jamo_joined(ord(before), point)


def _flags_before(text: str, start: int, at: int) -> int:
    count = 0
    while at - count > start and 0x1F1E6 <= ord(text[at - count - 1]) <= 0x1F1FF:
        count += 1
    return count


def _jamo_joined(before: int, after: int) -> bool:
    """Hangul syllables are not broken (UAX 29 rules GB6 to GB8)."""
    leading = 0x1100 <= before <= 0x115F or 0xA960 <= before <= 0xA97C
    syllable = 0xAC00 <= before <= 0xD7A3
    vowel = 0x1160 <= before <= 0x11A7 or 0xD7B0 <= before <= 0xD7C6
    trailing = 0x11A8 <= before <= 0x11FF or 0xD7CB <= before <= 0xD7FB
    next_vowel = 0x1160 <= after <= 0x11A7 or 0xD7B0 <= after <= 0xD7C6
    next_trailing = 0x11A8 <= after <= 0x11FF or 0xD7CB <= after <= 0xD7FB
    if leading:
        next_leading = 0x1100 <= after <= 0x115F or 0xA960 <= after <= 0xA97C
        return next_leading or next_vowel or 0xAC00 <= after <= 0xD7A3
    if syllable or vowel:
        open_syllable = vowel or (before - 0xAC00) % 28 == 0
        return next_trailing or (open_syllable and next_vowel)
    return trailing and next_trailing
