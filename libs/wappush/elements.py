"""XML as a small tree, read safely and written: no entities, no DTD is ever fetched, every size is bounded.

It knows no vocabulary: SI, SL and PAP each check their own (`documents`, `pap_schema`).
"""

from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

import msgspec

from wappush.faults import PushError

MOST_OCTETS: Final = 256 * 1024  # a PAP control entity with 1,000 addresses is about 100 kB
MOST_DEPTH: Final = 8  # PAP nests 4 deep, SI 3


class Element(msgspec.Struct):
    """An element: attributes in order of writing, child elements, and its text with the white space around it gone."""

    name: str
    attributes: dict[str, str] = {}
    children: list["Element"] = []
    text: str = ""

    def all(self, name: str) -> list["Element"]:
        """Children of a name."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> "Element | None":
        """The first child of a name."""
        return next((child for child in self.children if child.name == name), None)


class _Builder:
    """Handlers of one parse."""

    def __init__(self) -> None:
        self.roots: list[Element] = []
        self.open: list[Element] = []
        self.texts: list[list[str]] = []  # pieces of each open element's text: many when it has many children

    def start(self, name: str, attributes: dict[str, str]) -> None:
        element = Element(name, dict(attributes))
        if len(self.open) >= MOST_DEPTH:
            raise PushError("too_deep", 0, name)
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.roots.append(element)
        self.open.append(element)
        self.texts.append([])

    def end(self, name: str) -> None:
        del name
        self.open.pop().text = "".join(self.texts.pop()).strip(" \t\r\n")

    def characters(self, data: str) -> None:
        self.texts[-1].append(data)

    def doctype(self, name: str, system: str | None, public: str | None, internal: int) -> None:
        del system, public
        if internal:
            raise PushError("xml_forbidden", 0, name)


def parse(document: bytes) -> Element:
    """The root of a document. Raises `PushError`: too long, not well formed, entities or an internal DTD declared."""
    if len(document) > MOST_OCTETS:
        raise PushError("too_long", MOST_OCTETS)
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    parser.StartDoctypeDeclHandler = builder.doctype
    try:
        parser.Parse(document, True)
    except expat.ExpatError:
        raise PushError("xml_malformed", max(0, parser.ErrorByteIndex)) from None  # -1 for an empty document
    except (ValueError, LookupError) as error:  # a declared encoding that Python has not, or cannot be used by expat
        if isinstance(error, PushError):
            raise PushError(error.code, max(0, parser.CurrentByteIndex), error.field) from None
        raise PushError("charset_unsupported") from None
    return builder.roots[0]  # expat has raised for a document with none or two


def write(root: Element, doctype: str = "") -> bytes:
    """A document in UTF-8 with its declaration. Raises `PushError("text_invalid")`: characters XML 1.0 has not."""
    head = '<?xml version="1.0"?>\n' + (f"{doctype}\n" if doctype else "")
    return (head + _written(root) + "\n").encode("utf-8")


def _written(element: Element) -> str:
    attributes = "".join(
        f" {name}={quoteattr(_checked(value, element.name), {chr(10): '&#10;', chr(9): '&#9;', chr(13): '&#13;'})}"
        for name, value in element.attributes.items()
    )
    inner = escape(_checked(element.text, element.name), {"\r": "&#13;"})
    inner += "".join(_written(child) for child in element.children)
    return f"<{element.name}{attributes}>{inner}</{element.name}>" if inner else f"<{element.name}{attributes}/>"


def _checked(text: str, name: str) -> str:
    for at, char in enumerate(text):
        if (char < " " and char not in "\t\n\r") or "\ud800" <= char <= "\udfff" or char in "\ufffe\uffff":
            raise PushError("text_invalid", at, name)
    return text
