"""How one character is folded for matching: full width, traditional forms, look-alikes, symbols and invisible
characters.

Folding works character by character, so the position of everything in the original text stays known.  Phrase-wise
conversion of traditional text would be better Chinese, but patterns and texts go through the same table, and that is
all matching needs.
"""

from __future__ import annotations

import re
import unicodedata

from opencc import OpenCC

MARK = "\x1e"
"""Record separator between the texts of a batch; it never occurs inside a prepared text (`prepare`)."""

_HAN = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000), range(0xF900, 0xFB00))

# Letters of other scripts that look Latin, and radicals whose code points NFKC does not unite.
_ALIKE = str.maketrans(
    "аеорсухкмтвнібԁɡոѕјԛԝαοριντυκ⺅⺡⺘⺖⻈⺨⻏⺾⺮〇",
    "aeopcyxkmtbhi6dgnsjqwaopivtuk亻氵扌忄讠犭阝艹竹零",
)

# Split characters (拆字): pairs that hardly occur side by side in ordinary writing.  Most begin with a bare radical,
# which ordinary text never holds at all.
SPLIT: dict[str, str] = {
    split[:2]: split[2]
    for row in (
        "亻弋代 亻言信 亻尔你 亻也他 亻尤优 亻介价 亻寸付 亻昔借 亻为伪 氵去法 氵每海 氵由油 氵皮波 氵舌活",
        "氵先洗 氵工江 氵台治 氵罙深 扌丁打 扌殳投 扌是提 扌召招 扌包抱 扌安按 扌旨指 扌奂换 扌甬捅 讠正证",
        "讠果课 讠兑说 讠周调 讠午许 讠公讼 讠人认 讠乍诈 讠秀诱 忄夬快 忄青情 忄生性 忄亥恢 纟工红 纟合给",
        "纟录绿 纟及级 饣欠饮 钅艮银 钅失铁 钅戋钱 钅肖销 钅勾钩 犭者猪 犭句狗 彳导得 彳艮很 贝兼赚 贝者赌",
        "贝尃赙 贝弋贷 代贝贷 口马吗 女乃奶 石马码 火包炮 月佥脸 月巴肥 禾刂利 衤果裸 王求球 马奇骑 礻畐福",
        "方攵放 矢豆短 彡采彩 采彡彩",
    )
    for split in row.split()
}

SPLIT_PAIR = re.compile("|".join(sorted(map(re.escape, SPLIT))))


def prepare(text: str) -> str:
    """Return the text without the batch separator, of the same length."""
    return text.replace(MARK, " ") if MARK in text else text


def is_han(character: str) -> bool:
    """Return whether the character is an ideograph."""
    code = ord(character)
    return any(code in block for block in _HAN)


def _simplified() -> dict[int, str]:
    """Return every ideograph whose simplified form differs, from OpenCC's own table."""
    characters = [chr(code) for block in _HAN for code in block]
    folded = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {ord(old): new for old, new in zip(characters, folded, strict=True) if old != new and len(new) == 1}


class _Table(dict[int, str]):
    """A translation table that works out a character when it is first seen, for `str.translate`."""

    def __init__(self, *, symbols: bool) -> None:
        super().__init__({ord(MARK): MARK})
        self._symbols = symbols

    def __missing__(self, code: int) -> str:
        folded = "".join(self._one(part) for part in unicodedata.normalize("NFKC", chr(code)).translate(_ALIKE))
        # Bounded by Unicode itself: 1.1 million characters at most.
        self[code] = folded
        return folded

    def _one(self, character: str) -> str:
        category = unicodedata.category(character)
        if category[0] == "Z" or character in "\t\n\r\v\f":
            return " "
        if category[0] == "C" or category in {"Mn", "Me"}:
            return ""
        if category[0] in "PSM":
            return character if self._symbols else ""
        lowered = _SIMPLIFIED.get(ord(character), character).lower().translate(_ALIKE)
        return lowered if self._symbols else "".join(c for c in lowered if unicodedata.category(c)[0] in "LN")


_SIMPLIFIED = _simplified()

BASE: dict[int, str] = _Table(symbols=True)
"""Keeps punctuation and symbols: for links, contacts and counted features."""

BARE: dict[int, str] = _Table(symbols=False)
"""Letters, digits and spaces only."""

# Spaces go where they do not part two Latin words; single letters spaced out (u s d t) come together.
LOOSE_SPACE = re.compile(r"(?<![a-z0-9 ]) +| +(?![a-z0-9 ])| (?= )|(?<=(?<![a-z0-9])[a-z]) (?=[a-z](?![a-z0-9]))")
