"""Service Indication and Service Loading (WAP-167, WAP-168) as records, as trees and as XML, with their rules.

A tree made here obeys the DTD; a tree that came from elsewhere is checked before a record is made of it.
"""

import re
from datetime import datetime
from typing import Final

import msgspec

from wappush.elements import Element, parse, write
from wappush.faults import PushError

SI_ACTIONS: Final = ("signal-none", "signal-low", "signal-medium", "signal-high", "delete")
SL_ACTIONS: Final = ("execute-low", "execute-high", "cache")

DOCTYPES: Final = {
    "si": '<!DOCTYPE si PUBLIC "-//WAPFORUM//DTD SI 1.0//EN" "http://www.wapforum.org/DTD/si.dtd">',
    "sl": '<!DOCTYPE sl PUBLIC "-//WAPFORUM//DTD SL 1.0//EN" "http://www.wapforum.org/DTD/sl.dtd">',
}

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)

_ATTRIBUTES: Final[dict[str, tuple[str, ...]]] = {
    "si": (),
    "indication": ("href", "si-id", "action", "created", "si-expires"),
    "info": (),
    "item": ("class",),
    "sl": ("href", "action"),
}
_CHILDREN: Final[dict[str, tuple[str, ...]]] = {"si": ("indication", "info"), "info": ("item",)}


class Indication(msgspec.Struct, frozen=True, kw_only=True):
    """A Service Indication: a text and where it leads. Dates are UTC, `2030-01-02T03:04:00Z`.

    Without `si_id` the href is the identity; the default action is signal-medium; `delete` needs an `si_id`.
    """

    text: str = ""
    href: str = ""
    si_id: str = ""
    action: str = ""
    created: str = ""
    si_expires: str = ""
    info: tuple[tuple[str, str], ...] = ()
    """(class, text) of the items, for software on the phone."""


class Loading(msgspec.Struct, frozen=True, kw_only=True):
    """A Service Loading: what to fetch. The default action is execute-low."""

    href: str
    action: str = ""


Document = Indication | Loading


def to_tree(document: Document) -> Element:
    """The tree of a record; raises `PushError` where the record breaks a rule of its DTD."""
    if isinstance(document, Loading):
        root = Element("sl", _given({"href": document.href, "action": document.action}))
    else:
        attributes = {
            "href": document.href,
            "si-id": document.si_id,
            "action": document.action,
            "created": document.created,
            "si-expires": document.si_expires,
        }
        root = Element("si", {}, [Element("indication", _given(attributes), [], document.text)])
        if document.info:
            root.children.append(
                Element("info", {}, [Element("item", {"class": name}, [], text) for name, text in document.info])
            )
    check(root)
    return root


def from_tree(root: Element) -> Document:
    """The record of a tree; raises `PushError` where it breaks a rule of its DTD."""
    check(root)
    if root.name == "sl":
        return Loading(href=root.attributes["href"], action=root.attributes.get("action", ""))
    indication = root.children[0]
    fields = {name.replace("-", "_"): value for name, value in indication.attributes.items()}
    info = root.one("info")
    items = tuple((item.attributes.get("class", ""), item.text) for item in info.children) if info else ()
    return Indication(text=indication.text, info=items, **fields)


def to_xml(document: Document) -> bytes:
    """The document as XML, with its DOCTYPE."""
    root = to_tree(document)
    return write(root, DOCTYPES[root.name])


def from_xml(document: bytes) -> Document:
    """The record of an XML document, safely parsed."""
    return from_tree(parse(document))


def check(root: Element) -> None:
    """Raise `PushError` where a tree breaks the SI or SL DTD or the rules beside it."""
    if root.name not in DOCTYPES:
        raise PushError("document_unknown", 0, root.name)
    _check_element(root)
    if root.name == "sl":
        _check_action(root, SL_ACTIONS)
        if not root.attributes.get("href"):
            raise PushError("attribute_missing", 0, "href")
        return
    names = [child.name for child in root.children]
    if not names or names[0] != "indication":
        raise PushError("element_missing", 0, "indication")
    if len(names) > 2 or names[1:] == ["indication"]:
        raise PushError("element_repeated", 0, names[1])
    indication = root.children[0]
    _check_action(indication, SI_ACTIONS)
    for name in ("created", "si-expires"):
        if name in indication.attributes:
            check_date(indication.attributes[name], name)
    # WAP-167 clause 6.2: nothing else says which indication is meant.
    if indication.attributes.get("action") == "delete" and not indication.attributes.get("si-id"):
        raise PushError("attribute_missing", 0, "si-id")


def check_date(text: str, field: str) -> None:
    """Raise `PushError("date_invalid")` for what is no UTC date."""
    try:
        valid = _DATE.match(text) is not None and datetime.fromisoformat(text) is not None
    except ValueError:
        valid = False
    if not valid:
        raise PushError("date_invalid", 0, field)


def _check_element(element: Element) -> None:
    for name in element.attributes:
        if name not in _ATTRIBUTES[element.name]:
            raise PushError("attribute_unknown", 0, name)
    if element.text and element.name not in ("indication", "item"):
        raise PushError("text_misplaced", 0, element.name)
    for child in element.children:
        if child.name not in _CHILDREN.get(element.name, ()):
            raise PushError("element_unknown", 0, child.name)
        _check_element(child)


def _check_action(element: Element, actions: tuple[str, ...]) -> None:
    if element.attributes.get("action", actions[0]) not in actions:
        raise PushError("attribute_invalid", 0, "action")


def _given(attributes: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in attributes.items() if value}
