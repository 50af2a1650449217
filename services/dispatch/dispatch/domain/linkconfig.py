"""A link as its `[[links]]` entry describes it, checked: names, limits, carriers, protocol settings.

Secrets are in `LinkConfig.secret` only and appear in no text, no table and no log.  Pure: reading the file is the caller's affair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from carrier.dialect import Credentials, Dialect, Limits
from carrier.dialects import dialect
from carrier.errors import UsageError
from carrier.ids import IdMode
from contracts.chunk import CARRIERS
from dispatch.domain.routing import group_of, letters_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_ACCOUNT_KEYS = ("system_id", "account", "sp_id", "client_id", "node_id")
"""The protocols' own names of the account (cli.md, `[[links]]`)."""

MAX_LINKS = 1_000
MAX_SEGMENTS = 10
"""Segments of the longest message ingest accepts: all go to one session, so a window must hold them."""

DEFAULT_RATE = 100
"""Messages a second, as published for the three carriers (spec/dispatch.md, "Links and sessions")."""


class LinkConfigError(ValueError):
    """The links file is wrong; the text names the link and the setting, never a secret."""


class LinkConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One carrier account."""

    name: str
    protocol: str
    host: str
    port: int
    account: str
    secret: str
    rate: int = DEFAULT_RATE
    sessions: int = 1
    window: int = 16
    letters: str = ""
    group: str = ""
    rank: int = 0
    id_mode: IdMode = IdMode.AUTO
    long: str = "udh8"
    """How long messages travel: `udh8`, `udh16` or `fields` (the protocol's own part fields)."""
    numbers: str = "international"
    """How recipients are written: `international` (8613...) or `national` (13...)."""
    response_s: float = 30.0
    keepalive_s: float = 30.0
    keepalive_tries: int = 3
    hold_s: float = 600.0
    """How long an uncertain submit of a class with rule `hold` waits for a receipt before it is sent again."""
    receipt_hours: float = 72.0
    settings: dict[str, Any] = {}
    """The protocol's own settings."""

    @property
    def carrier(self) -> str:
        """The carrier's name when the link serves exactly one, else `mixed`."""
        return CARRIERS[self.letters] if len(self.letters) == 1 else "mixed"

    def dialect(self) -> Dialect:
        """Return the protocol with the link's settings."""
        return dialect(self.protocol, self.settings)

    def limits(self, made: Dialect) -> Limits:
        """Return windows and times of a session; one attempt, because resending is the journal's decision."""
        return replace(
            made.limits,
            window=self.window,
            response=self.response_s,
            attempts=1,
            keepalive_idle=self.keepalive_s,
            keepalive_tries=self.keepalive_tries,
        )

    def credentials(self) -> Credentials:
        """Return who we are on this link."""
        return Credentials(self.account, self.secret)

    def public(self) -> dict[str, Any]:
        """Return the configuration without its secret, for the table and the API."""
        return {k: v for k, v in msgspec.to_builtins(self).items() if k != "secret"}


_OWN = {
    "rate",
    "sessions",
    "window",
    "rank",
    "id_mode",
    "long",
    "numbers",
    "response_s",
    "keepalive_s",
    "keepalive_tries",
    "hold_s",
    "receipt_hours",
}
_IGNORED = {"carriers", "group", "name", "protocol", "host", "port", "password", "secret", *_ACCOUNT_KEYS, "settings"}


def parse_links(document: Any) -> list[LinkConfig]:
    """Return the links of a decoded links file, checked.  Raises `LinkConfigError`."""
    if isinstance(document, dict):
        document = document.get("links")
    if not isinstance(document, list):
        raise LinkConfigError("the links file is not a list of links")
    if len(document) > MAX_LINKS:
        raise LinkConfigError(f"{len(document)} links, at most {MAX_LINKS}")
    links = [_parse(entry, place) for place, entry in enumerate(document)]
    names = [link.name for link in links]
    for name in names:
        if names.count(name) > 1:
            raise LinkConfigError(f"two links are called {name}")
    return links


def _parse(entry: Any, place: int) -> LinkConfig:
    if not isinstance(entry, Mapping):
        raise LinkConfigError(f"link {place} is not a table of settings")
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        raise LinkConfigError(f"link {place}: `name` must be letters, digits, dots and dashes")
    settings = {k: v for k, v in entry.items() if k not in _OWN and k not in _IGNORED}
    account = next((str(entry[key]) for key in _ACCOUNT_KEYS if key in entry), "")
    try:
        letters = letters_of(entry.get("carriers") or ())
        link = msgspec.convert(
            {
                "name": name,
                "protocol": entry.get("protocol", "smpp34"),
                "host": entry.get("host", ""),
                "port": entry.get("port", 0),
                "account": account,
                "secret": str(entry.get("password", entry.get("secret", ""))),
                "letters": letters,
                "group": group_of(letters, str(entry.get("group", ""))),
                "settings": {**settings, **entry.get("settings", {})},
                **{key: entry[key] for key in _OWN if key in entry},
            },
            LinkConfig,
            strict=False,
        )
        link.dialect()
    except (msgspec.ValidationError, UsageError, ValueError) as error:
        raise LinkConfigError(f"link {name}: {error}") from error
    _check(link)
    return link


def _check(link: LinkConfig) -> None:
    """Bounds: what no carrier agrees to is a typing error."""
    for setting, value, least, most in (
        ("port", link.port, 1, 65_535),
        ("rate", link.rate, 1, 1_000_000),
        ("sessions", link.sessions, 1, 1_000),
        ("window", link.window, MAX_SEGMENTS, 10_000),
        ("response_s", link.response_s, 0.05, 600),
        ("keepalive_s", link.keepalive_s, 0, 3_600),
        ("hold_s", link.hold_s, 0, 7 * 86_400),
        ("receipt_hours", link.receipt_hours, 0.001, 24 * 30),
    ):
        if not least <= value <= most:
            raise LinkConfigError(f"link {link.name}: `{setting}` is {value}, must be {least} to {most}")
    for setting, text, known in (
        ("long", link.long, ("udh8", "udh16", "fields")),
        ("numbers", link.numbers, ("international", "national")),
    ):
        if text not in known:
            raise LinkConfigError(f"link {link.name}: `{setting}` must be one of {', '.join(known)}")
    if not link.host:
        raise LinkConfigError(f"link {link.name}: `host` is missing")
