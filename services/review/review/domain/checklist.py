"""The checklist a decision must cite: the nine prohibitions, the five police rules, the business standards; data
with a version.

The shipped list is the package's `checklist.json`; an installation may keep its own wording in a file of the same form
(setting `GUANXIN_REVIEW_CHECKLIST`).
"""

from __future__ import annotations

import msgspec


class Group(msgspec.Struct, frozen=True):
    """A heading."""

    code: str
    zh: str
    en: str


class Item(msgspec.Struct, frozen=True):
    """One standard; ``penalty`` says whether a refusal citing it counts towards suspension (malformed ones do not)."""

    code: str
    group: str
    zh: str
    en: str
    penalty: bool = True


class Checklist(msgspec.Struct, frozen=True):
    """All standards of one version."""

    version: str
    note_zh: str
    note_en: str
    groups: list[Group]
    items: list[Item]

    def find(self, code: str) -> Item | None:
        """Return the standard of that code."""
        return next((item for item in self.items if item.code == code), None)

    def penalties(self) -> list[str]:
        """Return the codes whose refusals count towards suspension of the port."""
        return [item.code for item in self.items if item.penalty]


def parse(octets: bytes) -> Checklist:
    """Return the checklist; raises `msgspec.ValidationError` or `ValueError` naming what is wrong."""
    checklist = msgspec.json.decode(octets, type=Checklist)
    codes = [item.code for item in checklist.items]
    if len(set(codes)) != len(codes):
        raise ValueError("a code stands twice in the checklist")
    groups = {group.code for group in checklist.groups}
    strays = [item.code for item in checklist.items if item.group not in groups]
    if strays:
        raise ValueError(f"items without a group: {', '.join(strays)}")
    return checklist
