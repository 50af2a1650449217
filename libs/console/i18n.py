"""Every string a person sees, in Chinese and English, by key; a missing one is a fault that a test finds, never a blank.

Catalogues are TOML tables: ``key = ["中文", "English"]``, nested by tables; texts take ``{name}`` fields.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")
HTML_LANG: dict[Language, str] = {"zh": "zh-CN", "en": "en"}


class CatalogError(ValueError):
    """A catalogue file is not what it should be; the text names file and key."""


class Catalog:
    """The messages of the shell and of a service, joined."""

    def __init__(self, *files: Path) -> None:
        """Read the files; a key in two of them is an error."""
        self._texts: dict[str, tuple[str, str]] = {}
        for path in files:
            for key, value in _flatten(tomllib.loads(path.read_text(encoding="utf-8")), ""):
                if key in self._texts:
                    raise CatalogError(f"{path.name}: {key} is defined twice")
                if not (isinstance(value, list) and len(value) == 2 and all(isinstance(v, str) and v for v in value)):
                    raise CatalogError(f"{path.name}: {key} needs a Chinese and an English text")
                self._texts[key] = (value[0], value[1])

    def keys(self) -> frozenset[str]:
        """Return every key."""
        return frozenset(self._texts)

    def under(self, prefix: str) -> list[str]:
        """Return the keys below ``prefix`` without it, in the order of the files: codes that have a text."""
        return [key[len(prefix) + 1 :] for key in self._texts if key.startswith(f"{prefix}.")]

    def translator(self, language: Language) -> Translator:
        """Return the function that texts of one language come from."""
        return Translator(self, language)

    def text(self, key: str, language: Language) -> str:
        """Return the text of ``key``; raises KeyError when there is none."""
        chinese, english = self._texts[key]
        return chinese if language == "zh" else english


class Translator:
    """``t("queue.title")``; fields are given by name."""

    def __init__(self, catalog: Catalog, language: Language) -> None:
        """Bind a catalogue to a language."""
        self._catalog = catalog
        self.language = language

    def __call__(self, key: str, **fields: Any) -> str:
        """Return the text with its fields filled in."""
        text = self._catalog.text(key, self.language)
        return text.format(**fields) if fields else text

    def known(self, key: str) -> bool:
        """Return whether there is a text of that key: for codes that come from data."""
        return key in self._catalog.keys()  # noqa: SIM118 - a method of ours, not a dict's

    def code(self, prefix: str, code: str) -> str:
        """Return the text of a code from data, the code itself where it has none."""
        key = f"{prefix}.{code}"
        return self(key) if self.known(key) else code

    def pick(self, chinese: str, english: str) -> str:
        """Return whichever of two given texts is of this language."""
        return chinese if self.language == "zh" else english


def language_of(cookie: str | None, accept_language: str) -> Language:
    """Return the language a person chose, else the first one his browser asks for, else Chinese."""
    if cookie in ("zh", "en"):
        return "zh" if cookie == "zh" else "en"
    for part in accept_language[:200].lower().split(","):
        tag = part.partition(";")[0].strip()
        if tag.startswith("zh"):
            return "zh"
        if tag.startswith("en"):
            return "en"
    return "zh"


def _flatten(table: dict[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            yield from _flatten(value, name)
        else:
            yield name, value
