"""7-bit alphabets of national languages: a locking table, a single shift table, and text to septets and back with them.

A message names its tables in its user data header (TS 23.040 clauses 9.2.3.24.15 and .16); putting them there is the
caller's. Language 0 is the default alphabet and its extension.
"""

import tomllib
from functools import cache
from importlib import resources
from typing import Any, Final

from smstext.alphabet import DEFAULT_TABLE, ESCAPE, EXTENSION_TABLE, decode_gsm
from smstext.faults import TextError

LANGUAGES: Final = range(14)
"""National language identifiers with tables: 0 default, 1 Turkish, 2 Spanish, 3 Portuguese, 4-13 Indian languages."""


class Alphabet:
    """One pair of tables. Get it from `alphabet`, which keeps it."""

    def __init__(self, table: str, extension: dict[int, str]) -> None:
        self._table = table
        self._extension = extension
        self._codes = {char: bytes((ESCAPE, code)) for code, char in extension.items()}
        # Space also stands for the codes that a table leaves empty, so the last code of it must not win.
        for code, char in enumerate(table):
            if code != ESCAPE and (char != " " or code == 0x20):
                self._codes[char] = bytes((code,))

    def encode(self, text: str) -> bytes:
        """Unpacked septets; raises `TextError("not_in_alphabet")` with the character's offset."""
        out: list[bytes] = []
        for at, char in enumerate(text):
            code = self._codes.get(char)
            if code is None:
                raise TextError("not_in_alphabet", at)
            out.append(code)
        return b"".join(out)

    def decode(self, septets: bytes, *, lenient: bool = False) -> str:
        """Text of unpacked septets, by the rules of `alphabet.decode_gsm`; a code the table leaves empty is a space."""
        return decode_gsm(septets, lenient=lenient, table=self._table, extension=self._extension)


@cache
def alphabet(locking: int = 0, single: int = 0) -> Alphabet:
    """The alphabet of two national language identifiers.

    An identifier without a table of its own means the default one: TS 23.038 annex A tells a receiver to do that.
    """
    languages = _languages()
    table = languages.get(str(locking), {}).get("locking")
    extension = languages.get(str(single), {}).get("single")
    return Alphabet(
        DEFAULT_TABLE if table is None else _table(table),
        dict(EXTENSION_TABLE) if extension is None else _extension(extension),
    )


@cache
def _languages() -> dict[str, Any]:
    return tomllib.loads(resources.files("smstext").joinpath("national.toml").read_text("utf-8"))


def _table(text: str) -> str:
    return "".join(" " if point == "----" else chr(int(point, 16)) for point in text.split())


def _extension(text: str) -> dict[int, str]:
    pairs = (item.split(":") for item in text.split())
    return {int(code, 16): chr(int(point, 16)) for code, point in pairs}
