"""The registry: the one place where a protocol's name, as a link's settings write it, meets its dialect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from carrier.dialect import Dialect
from carrier.dialects.smpp34 import Smpp34
from carrier.errors import UsageError

_DIALECTS: dict[str, type[Dialect]] = {kind.name: kind for kind in (Smpp34,)}

NAMES: tuple[str, ...] = tuple(_DIALECTS)


def dialect(name: str, settings: Mapping[str, Any] | None = None) -> Dialect:
    """The dialect called ``name`` with a link's own settings.

    Raises ``UsageError`` naming what is wrong: an unknown protocol, an unknown setting, or a value of the wrong type.
    """
    kind = _DIALECTS.get(name)
    if kind is None:
        raise UsageError(f"protocol {name!r} is not one of {', '.join(NAMES)}")
    known = set(kind.settings_type.__dataclass_fields__)
    unknown = sorted(set(settings or {}) - known)
    if unknown:
        raise UsageError(f"{name} has no setting {unknown[0]!r}")
    try:
        return kind(msgspec.convert(dict(settings or {}), kind.settings_type))
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: {error}") from error
