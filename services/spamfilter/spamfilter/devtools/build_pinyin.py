"""Make `data/pinyin.txt`: every Han character by its syllable, from the tables of pypinyin (MIT licence).

Run by hand when the table shall change: ``python -m spamfilter.devtools.build_pinyin``.  Only characters that stand
for themselves after simplification are kept, because the table is applied after it.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from opencc import OpenCC
from pypinyin import Style, pinyin

FIRST, LAST = 0x4E00, 0x9FFF
"""CJK Unified Ideographs, the block that holds everything in daily use."""

TARGET = Path(__file__).parent.parent / "data" / "pinyin.txt"


def main() -> None:
    """Write the table: one line a syllable, `syllable<TAB>characters`."""
    simplify = OpenCC("t2s")
    by_syllable: dict[str, list[str]] = defaultdict(list)
    for code in range(FIRST, LAST + 1):
        character = chr(code)
        if simplify.convert(character) != character:
            continue
        syllable = pinyin(character, style=Style.NORMAL, errors="ignore", v_to_u=False)
        if syllable and syllable[0][0].isascii() and syllable[0][0].isalpha():
            by_syllable[syllable[0][0].lower()].append(character)
    lines = [f"{syllable}\t{''.join(characters)}" for syllable, characters in sorted(by_syllable.items())]
    TARGET.write_text("# Made by spamfilter.devtools.build_pinyin from pypinyin's tables.\n" + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
