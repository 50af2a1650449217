"""From the carrier letter of a recipient to a group of links, and why.

A link serves the carriers its setting names (all when it names none).  Links with the same carriers form a group; inside a group the
lower ``rank`` goes first and others take over when no session of it is up.  A letter goes to the most specific group that serves it
and is not wholly suspended; when all are, to the most specific one, where messages wait.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contracts.chunk import CARRIERS

ALL_LETTERS = "MUTBV"
"""What a link without `carriers` serves: every mobile carrier and virtual operators (protocols.md, section 11)."""

UNSENDABLE = "FX"
"""Fixed lines and unknown numbers cannot receive a short message."""

LETTER_OF: dict[str, str] = {name.upper(): letter for letter, name in CARRIERS.items()}


@dataclass(frozen=True, slots=True)
class RouteLink:
    """What routing must know of a link."""

    name: str
    group: str
    rank: int
    letters: str
    active: bool


@dataclass(frozen=True, slots=True)
class Route:
    """Where a letter goes: ``group`` empty when nowhere."""

    letter: str
    group: str
    links: tuple[str, ...]
    reason: str
    reason_zh: str


def letters_of(carriers: Sequence[str]) -> str:
    """Return the letters of carrier names or letters, in the order of `ALL_LETTERS`; raises ValueError for an unknown one."""
    if not carriers:
        return ALL_LETTERS
    wanted = set()
    for carrier in carriers:
        letter = carrier.upper() if carrier.upper() in CARRIERS else LETTER_OF.get(carrier.upper(), "")
        if not letter:
            raise ValueError(f"unknown carrier {carrier!r}; known: {', '.join(CARRIERS.values())}")
        wanted.add(letter)
    return "".join(letter for letter in (*ALL_LETTERS, *UNSENDABLE) if letter in wanted)


def group_of(letters: str, name: str = "") -> str:
    """Return the group of a link: the one it names, else links with equal carriers are one group."""
    return name or f"@{letters}"


class RouteTable:
    """The routes of one moment; made anew whenever a link changes."""

    def __init__(self, links: Iterable[RouteLink]) -> None:
        """``links`` are all configured links."""
        groups: dict[str, list[RouteLink]] = {}
        for link in links:
            groups.setdefault(link.group, []).append(link)
        self._groups = {
            name: tuple(sorted(members, key=lambda m: (m.rank, m.name))) for name, members in groups.items()
        }
        self._routes: Mapping[str, Route] = {letter: self._find(letter) for letter in (*ALL_LETTERS, *UNSENDABLE)}

    def links_of(self, group: str) -> tuple[RouteLink, ...]:
        """Return the links of a group in fail-over order."""
        return self._groups.get(group, ())

    def route(self, letter: str) -> Route:
        """Return where messages to this carrier go."""
        return self._routes.get(letter) or self._find(letter)

    def split(self, letters: str, indices: Sequence[int] | None) -> dict[str, list[int]]:
        """Return the indices by group; group "" holds those with no route."""
        groups = {letter: route.group for letter, route in self._routes.items()}
        result: dict[str, list[int]] = {}
        if indices is None and len(set(letters)) == 1:
            return {groups.get(letters[0], ""): list(range(len(letters)))}
        for index in range(len(letters)) if indices is None else indices:
            result.setdefault(groups.get(letters[index], ""), []).append(index)
        return result

    def _find(self, letter: str) -> Route:
        serving = [
            (sum(1 for x in ALL_LETTERS if any(x in m.letters for m in members)), name, members)
            for name, members in self._groups.items()
            if any(letter in m.letters for m in members)
        ]
        carrier = CARRIERS.get(letter, letter)
        if not serving:
            return Route(letter, "", (), f"no link serves {carrier}", f"没有链路服务于 {carrier}")
        serving.sort(key=lambda entry: (not any(m.active for m in entry[2]), entry[0], entry[1]))
        _, name, members = serving[0]
        names = tuple(m.name for m in members)
        if not any(m.active for m in members):
            return Route(
                letter, name, names, f"every link for {carrier} is suspended: waits", f"{carrier} 的链路均已暂停，等待"
            )
        return Route(
            letter, name, names, f"links for {carrier}, in fail-over order", f"服务于 {carrier} 的链路，按备用顺序"
        )


def may_serve(table: RouteTable, group: str, link: str, up: Mapping[str, bool]) -> bool:
    """Return whether ``link`` should take work of ``group`` now: it is active and no lower rank is up."""
    for member in table.links_of(group):
        if member.name == link:
            return member.active
        if member.active and up.get(member.name, False) and member.rank < _rank(table, group, link):
            return False
    return False


def _rank(table: RouteTable, group: str, link: str) -> int:
    return next((m.rank for m in table.links_of(group) if m.name == link), 1 << 15)
