"""A template's literal text is screened once, then only its variables with the seams around them.

A rule's term lies wholly in a literal core, which is the same in every row, or it touches a variable and then lies
wholly in that variable's window: the value with as much literal text on either side as any term could begin or end in.
 Cores end at cuts between two plain ideographs, across which no view carries anything.  Rows whose windows add nothing
 share one screening; the rest is
screened in full.  A property test holds this equal to screening every rendered text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from spamfilter.domain import features, fold, pinyin, views
from spamfilter.domain.matcher import CLEAN, Matcher, Screening

_SPLIT_PARTS = frozenset("".join(fold.SPLIT))
_LEAD = frozenset("微薇威维卫扣企进加入拉回退拒")
_FOLLOW = frozenset("信号群公众星扣鹅是为同订")
"""Ideographs with which a contact may begin before a variable, or go on after one (`features`)."""

CONTACT_REACH = 12
"""Characters of literal text within which such an ideograph widens a window."""


@dataclass(frozen=True, slots=True)
class _Window:
    """Slots ``first`` .. ``last`` (positions in the entry's slots) with the literal text left, between and right of
    them.
    """

    first: int
    last: int
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Seams:
    """A template cut for one matcher."""

    windows: tuple[_Window, ...]
    literal: frozenset[int]
    """Terms in the literal cores: they are in every row."""
    triggered: bool
    """Whether one of them triggers a rule, so that a feature in a variable would matter."""


def cut(matcher: Matcher, pieces: Sequence[str]) -> Seams:
    """Return where the template's variables touch its literal text, for ``len(pieces) - 1`` variables."""
    narrow = _cut(matcher, pieces, reach=0)
    # Features (contacts, links) count only beside a trigger; only then must windows be wide enough to show them.
    return _cut(matcher, pieces, reach=CONTACT_REACH) if narrow.triggered else narrow


def _cut(matcher: Matcher, pieces: Sequence[str], reach: int) -> Seams:
    cores: list[str] = []
    windows: list[_Window] = []
    first, left = 0, ""
    last_piece = len(pieces) - 1
    for number, piece in enumerate(pieces):
        # (where the core begins, where the window before it ends) and (where the core ends, where the next begins).
        head = _head(matcher, piece, reach) if number else (0, 0)
        tail = _tail(matcher, piece, reach) if number < last_piece else (len(piece), len(piece))
        if number and number < last_piece and (head[1] >= tail[1] or head[0] >= tail[0]):
            # Too short to hold a core: the variables on both sides share a window.
            continue
        cores.append(piece[head[0] : tail[0]])
        if number:
            windows.append(_Window(first, number - 1, left, piece[: head[1]]))
        first, left = number, piece[tail[1] :]
    found = [terms for terms in matcher.hits(cores) if terms]
    literal = frozenset(term for terms in found for term in terms)
    return Seams(tuple(windows), literal, triggered=matcher.triggers(literal))


@lru_cache(maxsize=512)
def cut_cached(matcher: Matcher, pieces: tuple[str, ...]) -> Seams:
    """Return `cut`, remembered: a task's template comes with each of its chunks."""
    return cut(matcher, pieces)


def screen_rows(
    matcher: Matcher, seams: Seams, pieces: Sequence[str], slots: Sequence[int], rows: Sequence[Sequence[str]],
    port: str, at_ms: int,
) -> list[Screening]:  # fmt: skip
    """Return the screening of every row, as if each rendered text had been screened by itself."""
    flagged = _flagged(matcher, seams, pieces, slots, rows)
    out: list[Screening] = [CLEAN] * len(rows)
    plain = next((i for i in range(len(rows)) if i not in flagged), None)
    if plain is not None and seams.triggered:
        shared = matcher.screen([_render(pieces, slots, rows[plain])], [port], at_ms)[0]
        if shared is not CLEAN:
            # Spans move with the lengths of the values, so a finding in the literal text is worked out row by row.
            flagged = set(range(len(rows)))
    if flagged:
        order = sorted(flagged)
        texts = [_render(pieces, slots, rows[i]) for i in order]
        for i, screening in zip(order, matcher.screen(texts, [port] * len(texts), at_ms), strict=True):
            out[i] = screening
    return out


def _flagged(
    matcher: Matcher, seams: Seams, pieces: Sequence[str], slots: Sequence[int], rows: Sequence[Sequence[str]]
) -> set[int]:
    """Return the rows whose variables bring a term or a feature of their own."""
    flagged: set[int] = set()
    for window in seams.windows:
        left, right = window.left, window.right
        if window.first == window.last:
            slot = slots[window.first]
            texts = [f"{left}{values[slot]}{right}" for values in rows]
        else:
            inner = ["", *pieces[window.first + 1 : window.last + 1]]
            spots = slots[window.first : window.last + 1]
            texts = [
                left + "".join(piece + values[slot] for piece, slot in zip(inner, spots, strict=True)) + right
                for values in rows
            ]
        # A form of address, a month, a round sum: many rows say the same.
        distinct = list(dict.fromkeys(texts))
        found = {
            text
            for text, terms in zip(distinct, matcher.hits(distinct), strict=True)
            if terms is not None and not seams.literal.issuperset(terms)
        }
        if seams.triggered:
            base = views.base_of(views.join(distinct))
            if features.ANY_CONTACT.search(base):
                bases = base.split(fold.MARK)
                found.update(t for t, b in zip(distinct, bases, strict=True) if features.ANY_CONTACT.search(b))
        if found:
            flagged.update(i for i, text in enumerate(texts) if text in found)
    return flagged


def _render(pieces: Sequence[str], slots: Sequence[int], values: Sequence[str]) -> str:
    return pieces[0] + "".join(values[slot] + piece for slot, piece in zip(slots, pieces[1:], strict=True))


def _plain(character: str) -> bool:
    """Return whether nothing on one side of this character changes what the views make of the other."""
    return fold.is_han(character) and fold.BARE[ord(character)] not in _SPLIT_PARTS and ord(character) in _SOUNDED


def _alphanumeric(character: str) -> bool:
    """Return whether a link, a number or a contact's name may begin or go on with this character."""
    folded = fold.BASE[ord(character)]
    return folded.isascii() and any(c.isalnum() or c in "+@/.:-_=" for c in folded)


class _Sounded:
    """Ideographs that have one sound: others might fold to letters, of which runs are made."""

    def __contains__(self, code: int) -> bool:
        folded = fold.BARE[code]
        return len(folded) == 1 and ord(folded) in pinyin.SOUND


_SOUNDED = _Sounded()


def _safe_before(piece: str, at: int) -> int:
    """Return the last safe cut at or before ``at``, 0 if there is none."""
    while at > 0 and not (at < len(piece) and _plain(piece[at - 1]) and _plain(piece[at])):
        at -= 1
    return at


def _safe_after(piece: str, at: int) -> int:
    """Return the first safe cut at or after ``at``, the length if there is none."""
    while at < len(piece) and not (at > 0 and _plain(piece[at - 1]) and _plain(piece[at])):
        at += 1
    return at


def _tail(matcher: Matcher, piece: str, reach: int) -> tuple[int, int]:
    """Return (end of the core, begin of the window) for the literal text before a variable."""
    inner = _safe_before(piece, len(piece))
    traced = views.trace_skeleton(piece[:inner])
    outer = inner
    for view in (traced, views.trace_pinyin(traced)):
        size = next(
            (n for n in range(min(matcher.longest, len(view.view)), 0, -1) if view.view[-n:] in matcher.heads), 0
        )
        if size:
            outer = min(outer, view.starts[-size])
    leads = [i for i in range(max(0, len(piece) - reach), outer) if piece[i] in _LEAD or _alphanumeric(piece[i])]
    return inner, _safe_before(piece, min([outer, *leads]))


def _head(matcher: Matcher, piece: str, reach: int) -> tuple[int, int]:
    """Return (begin of the core, end of the window) for the literal text after a variable."""
    inner = _safe_after(piece, 1)
    traced = views.trace_skeleton(piece[inner:])
    outer = inner
    for view in (traced, views.trace_pinyin(traced)):
        size = next(
            (n for n in range(min(matcher.longest, len(view.view)), 0, -1) if view.view[:n] in matcher.tails), 0
        )
        if size:
            outer = max(outer, inner + view.ends[size - 1])
    follows = [i + 1 for i in range(outer, min(len(piece), reach)) if piece[i] in _FOLLOW or _alphanumeric(piece[i])]
    return inner, _safe_after(piece, max([outer, *follows]))
