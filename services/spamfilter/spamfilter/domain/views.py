"""Three views of a text and the way back: base (punctuation kept), skeleton (letters and digits), pinyin (sounds).

Views of many texts are made in one pass over all of them; where each character came from is worked out only for a text
in which something was found (`trace`), by the same tables one character at a time.  A property test holds both ways
equal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from spamfilter.domain import fold, pinyin


@dataclass(frozen=True, slots=True)
class Views:
    """The views of a batch, each the texts' views joined by `fold.MARK`."""

    base: str
    skeleton: str
    pinyin: str


@dataclass(frozen=True, slots=True)
class Traced:
    """One view of one text: character ``i`` of ``view`` came from ``original[starts[i]:ends[i]]``."""

    view: str
    starts: list[int]
    ends: list[int]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return the span in the original of the view's [start, end)."""
        return self.starts[start], self.ends[end - 1]


def base_of(joined: str) -> str:
    """Return the base view of texts joined by the mark."""
    return joined.translate(fold.BASE)


def skeleton_of(joined: str) -> str:
    """Return the skeleton view of texts joined by the mark."""
    bare = joined.translate(fold.BARE)
    if " " in bare:
        bare = fold.LOOSE_SPACE.sub("", bare)
    return fold.SPLIT_PAIR.sub(lambda match: fold.SPLIT[match[0]], bare)


def pinyin_of(skeleton: str) -> str:
    """Return the pinyin view of a skeleton view."""
    sounds = pinyin.LATIN_RUN.sub(pinyin.voice, skeleton.translate(pinyin.SOUND))
    return pinyin.SPELLED_SPACE.sub("", sounds) if " " in sounds else sounds


def join(texts: Sequence[str]) -> str:
    """Return the texts as one, parted by the mark."""
    return fold.MARK.join(map(fold.prepare, texts))


def trace_base(text: str) -> Traced:
    """Return the base view with its origin."""
    return _folded(fold.prepare(text), fold.BASE)


def trace_skeleton(text: str) -> Traced:
    """Return the skeleton view with its origin."""
    bare = _folded(fold.prepare(text), fold.BARE)
    close = _without(bare, fold.LOOSE_SPACE)
    view, starts, ends = close.view, close.starts, close.ends
    out = Traced("", [], [])
    letters: list[str] = []
    at = 0
    for match in fold.SPLIT_PAIR.finditer(view):
        letters.append(view[at : match.start()])
        out.starts.extend(starts[at : match.start()])
        out.ends.extend(ends[at : match.start()])
        letters.append(fold.SPLIT[match[0]])
        out.starts.append(starts[match.start()])
        out.ends.append(ends[match.end() - 1])
        at = match.end()
    letters.append(view[at:])
    return Traced("".join(letters), out.starts + starts[at:], out.ends + ends[at:])


def trace_pinyin(skeleton: Traced) -> Traced:
    """Return the pinyin view of a traced skeleton with its origin in the original text."""
    sounds = skeleton.view.translate(pinyin.SOUND)
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    at = 0
    for match in pinyin.LATIN_RUN.finditer(sounds):
        parts = pinyin.spelled(match[0])
        if parts is None:
            continue
        letters.append(sounds[at : match.start()])
        starts += skeleton.starts[at : match.start()]
        ends += skeleton.ends[at : match.start()]
        at = match.start()
        for code, size in parts:
            letters.append(code)
            starts.append(skeleton.starts[at])
            ends.append(skeleton.ends[at + size - 1])
            at += size
    letters.append(sounds[at:])
    voiced = Traced("".join(letters), starts + skeleton.starts[at:], ends + skeleton.ends[at:])
    return _without(voiced, pinyin.SPELLED_SPACE)


def _without(traced: Traced, pattern: re.Pattern[str]) -> Traced:
    """Return the view without what the pattern matches."""
    drop = {i for match in pattern.finditer(traced.view) for i in range(*match.span())}
    keep = [i for i in range(len(traced.view)) if i not in drop]
    return Traced(
        "".join(traced.view[i] for i in keep), [traced.starts[i] for i in keep], [traced.ends[i] for i in keep]
    )


def _folded(text: str, table: dict[int, str]) -> Traced:
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for position, character in enumerate(text):
        for letter in table[ord(character)]:
            letters.append(letter)
            starts.append(position)
            ends.append(position + 1)
    return Traced("".join(letters), starts, ends)
