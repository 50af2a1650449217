"""A link as its `[[links]]` entry describes it, checked: names, limits, carriers, protocol settings.

Secrets are in `LinkConfig.secret` only and appear in no text, no table and no log.  Pure: reading the file is the caller's affair.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from carrier.dialect import Credentials, Dialect, Limits
from carrier.dialects import dialect
from carrier.errors import CarrierError, UsageError
from carrier.ids import IdMode
from contracts.chunk import CARRIERS
from dispatch.domain.routing import group_of, letters_of

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")
_ACCOUNT_KEYS = ("account", "system_id", "sp_id", "client_id", "node_id")
"""The protocols' own names of the account (cli.md, `[[links]]`), the first that is given; ``node_id`` is also a setting of the
protocol that has it, which stamps it on everything sent."""

MAX_LINKS = 1_000
MAX_SEGMENTS = 10
"""Segments of the longest message ingest accepts: all go to one session, so a window must hold them."""

MOST_SLOTS = 1_000
IDLE_SHARE = 0.75
"""Who uses a connection ends it when idle, before the other side does (protocols.md 3.1: after 60 s): what is written while the
carrier closes would be uncertain."""

ALPHABETS = {"auto": "", "ucs2": "ucs2", "gb18030": "gb18030"}

DEFAULT_RATE = 100
"""Messages a second, as published for the three carriers (spec/dispatch.md, "Links and sessions")."""


class LinkConfigError(ValueError):
    """The links file is wrong; the text names the link and the setting, never a secret."""


def carrier_of(letters: str) -> str:
    """Return the carrier's name when a link of these letters serves exactly one, else `mixed`."""
    return CARRIERS[letters] if len(letters) == 1 else "mixed"


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
    workers: int = 0
    """On how many dispatch workers its sessions are spread at most; 0: on all there are (see `domain.gathering`)."""
    window: int = 16
    letters: str = ""
    group: str = ""
    rank: int = 0
    id_mode: IdMode = IdMode.AUTO
    long: str = "udh8"
    """How long messages travel: `udh8`, `udh16` or `fields` (the protocol's own part fields)."""
    alphabet: str = "auto"
    """What text beyond the narrow alphabet is written in: `auto` and `ucs2` the same, or `gb18030`."""
    numbers: str = "international"
    """How recipients are written: `international` (8613...) or `national` (13...)."""
    receipts: bool = True
    """Whether a receipt is asked for, for every segment."""
    response_s: float = 30.0
    keepalive_s: float = 30.0
    keepalive_tries: int = 3
    proof: str = "warn"
    """What to do when the carrier proves itself with another secret: `warn`, or `require` and not stay bound."""
    listen_host: str = ""
    """Address on which the carrier's own connections are taken, where the carrier calls; empty: every address."""
    listen_port: int = 0
    listen_account: str = ""
    listen_secret: str = ""
    listen_from: tuple[str, ...] = ()
    """Networks the carrier may call from; empty: any, and only its account and secret decide."""
    listen_sessions: int = 8
    """Connections the carrier may have open to one worker, those not yet bound included."""
    hold_s: float = 600.0
    """How long an uncertain submit of a class with rule `hold` waits for a receipt before it is sent again."""
    receipt_hours: float = 72.0
    settings: dict[str, Any] = {}
    """The protocol's own settings."""

    @property
    def carrier(self) -> str:
        """The carrier's name when the link serves exactly one, else `mixed`."""
        return carrier_of(self.letters)

    def dialect(self) -> Dialect:
        """Return the protocol with the link's settings."""
        return dialect(self.protocol, self.settings)

    @property
    def called(self) -> bool:
        """Whether the carrier's own connections are awaited."""
        return self.listen_port > 0

    def limits(self, made: Dialect) -> Limits:
        """Return windows and times of a session of ours; one attempt, because resending is the journal's decision."""
        return replace(
            made.limits,
            window=self.window,
            response=self.response_s,
            attempts=1,
            keepalive_idle=self.keepalive_s,
            keepalive_tries=self.keepalive_tries,
            idle_close=made.limits.idle_close * IDLE_SHARE,
        )

    def sequences(self, made: Dialect, slot: int) -> tuple[int, int] | None:
        """Return the part of the sequence space that is a slot's own, where sequences are message ids."""
        if not made.sequence_is_id:
            return None
        span = (made.last_sequence - made.first_sequence + 1) // (MOST_SLOTS + 1)
        first = made.first_sequence + slot * span
        return first, first + span - 1

    def credentials(self) -> Credentials:
        """Return who we are on this link."""
        return Credentials(self.account, self.secret)

    def public(self) -> dict[str, Any]:
        """Return the configuration without its secrets, for the table and the API."""
        return {k: v for k, v in msgspec.to_builtins(self).items() if k not in _SECRETS}


_SECRETS = {"secret", "listen_secret"}
_OWN = {
    "rate",
    "sessions",
    "workers",
    "window",
    "rank",
    "id_mode",
    "long",
    "alphabet",
    "numbers",
    "receipts",
    "response_s",
    "keepalive_s",
    "keepalive_tries",
    "hold_s",
    "receipt_hours",
    "proof",
    "listen_host",
    "listen_port",
    "listen_from",
    "listen_sessions",
}
_LISTEN = {"listen_account", "listen_password", "listen_secret"}
_ACCOUNT_ONLY = set(_ACCOUNT_KEYS) - {"node_id"}
_SECRET_KEYS = ("password", "secret", "shared_secret")
_IGNORED = {
    "carriers",
    "group",
    "name",
    "protocol",
    "host",
    "port",
    "settings",
    *_SECRET_KEYS,
    *_ACCOUNT_ONLY,
    *_LISTEN,
}


def parse_links(document: Any) -> list[LinkConfig]:
    """Return the links of a decoded links file, checked.  Raises `LinkConfigError`."""
    if isinstance(document, dict):
        document = document.get("links")
    if not isinstance(document, list):
        raise LinkConfigError("the links file is not a list of links")
    if len(document) > MAX_LINKS:
        raise LinkConfigError(f"{len(document)} links, at most {MAX_LINKS}")
    links = [_parse(entry, place) for place, entry in enumerate(document)]
    _distinct(links)
    return links


def _distinct(links: list[LinkConfig]) -> None:
    names: set[str] = set()
    doors: dict[int, str] = {}
    for link in links:
        if link.name in names:
            raise LinkConfigError(f"two links are called {link.name}")
        names.add(link.name)
        if not link.called:
            continue
        other = doors.setdefault(link.listen_port, link.name)
        if other != link.name:
            # Workers share a port on purpose; two links on one could not be told apart by who answers.
            raise LinkConfigError(f"links {other} and {link.name}: both listen on port {link.listen_port}")


def _parse(entry: Any, place: int) -> LinkConfig:
    if not isinstance(entry, Mapping):
        raise LinkConfigError(f"link {place} is not a table of settings")
    name = entry.get("name")
    if not isinstance(name, str) or not _NAME.match(name):
        raise LinkConfigError(f"link {place}: `name` must be letters, digits, dots and dashes")
    settings = {k: v for k, v in entry.items() if k not in _OWN and k not in _IGNORED}
    settings |= entry.get("settings", {})
    account = next((str(entry[key]) for key in _ACCOUNT_KEYS if key in entry), "")
    secret = next((str(entry[key]) for key in _SECRET_KEYS if key in entry), "")
    protocol = entry.get("protocol", "smpp34")
    try:
        made = dialect(protocol, settings)
        letters = letters_of(entry.get("carriers") or ())
        link = msgspec.convert(
            {
                **_published(made),
                "name": name,
                "protocol": protocol,
                "host": entry.get("host", ""),
                "port": entry.get("port", 0),
                "account": account,
                "secret": secret,
                "letters": letters,
                "group": group_of(letters, str(entry.get("group", ""))),
                "settings": settings,
                "listen_account": str(entry.get("listen_account", account)),
                "listen_secret": str(entry.get("listen_password", entry.get("listen_secret", secret))),
                **{key: entry[key] for key in _OWN if key in entry},
            },
            LinkConfig,
            strict=False,
        )
        # Written once here, because an account that does not fit its field would be found only when connected.
        made.bind(link.credentials(), made.first_sequence, 0.0)
    except (msgspec.ValidationError, UsageError, CarrierError, ValueError) as error:
        raise LinkConfigError(f"link {name}: {error}") from error
    _check(link)
    _check_protocol(link, made)
    return link


def _published(made: Dialect) -> dict[str, Any]:
    """Return what the protocol says where the link says nothing."""
    limits = made.limits
    return {
        "window": limits.window,
        "response_s": limits.response,
        "keepalive_s": limits.keepalive_idle,
        "keepalive_tries": limits.keepalive_tries,
        "id_mode": made.id_mode,
        "numbers": "national" if made.national_numbers else "international",
    }


def _check_protocol(link: LinkConfig, made: Dialect) -> None:
    """What this protocol cannot do."""
    if link.long == "fields" and not made.has_part_fields:
        raise LinkConfigError(f"link {link.name}: `long`: {link.protocol} has no part fields")
    if ALPHABETS[link.alphabet] and ALPHABETS[link.alphabet] not in made.codings:
        raise LinkConfigError(f"link {link.name}: `alphabet`: {link.protocol} has no {link.alphabet}")
    if not link.called:
        return
    if not made.carrier_calls:
        raise LinkConfigError(f"link {link.name}: `listen_port`: in {link.protocol} the carrier calls no listener")
    if not link.listen_secret:
        raise LinkConfigError(f"link {link.name}: `listen_password` is missing")
    for network in link.listen_from:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise LinkConfigError(f"link {link.name}: `listen_from`: {error}") from error


def _check(link: LinkConfig) -> None:
    """Bounds: what no carrier agrees to is a typing error."""
    for setting, value, least, most in (
        ("port", link.port, 1, 65_535),
        ("rate", link.rate, 1, 1_000_000),
        ("sessions", link.sessions, 1, MOST_SLOTS),
        ("workers", link.workers, 0, MOST_SLOTS),
        ("window", link.window, MAX_SEGMENTS, 10_000),
        ("response_s", link.response_s, 0.05, 600),
        ("keepalive_s", link.keepalive_s, 0, 3_600),
        ("hold_s", link.hold_s, 0, 7 * 86_400),
        ("receipt_hours", link.receipt_hours, 0.001, 24 * 30),
        ("listen_port", link.listen_port, 0, 65_535),
        ("listen_sessions", link.listen_sessions, 1, 1_000),
    ):
        if not least <= value <= most:
            raise LinkConfigError(f"link {link.name}: `{setting}` is {value}, must be {least} to {most}")
    for setting, text, known in (
        ("long", link.long, ("udh8", "udh16", "fields")),
        ("numbers", link.numbers, ("international", "national")),
        ("alphabet", link.alphabet, tuple(ALPHABETS)),
        ("proof", link.proof, ("warn", "require")),
    ):
        if text not in known:
            raise LinkConfigError(f"link {link.name}: `{setting}` must be one of {', '.join(known)}")
    if not link.host:
        raise LinkConfigError(f"link {link.name}: `host` is missing")
