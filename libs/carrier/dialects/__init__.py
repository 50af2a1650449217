"""The registry: the one place where a protocol's name, as a link's settings write it, meets its dialect."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from carrier.dialect import Dialect
from carrier.dialects.cmpp import Cmpp20, Cmpp30
from carrier.dialects.sgip12 import Sgip12
from carrier.dialects.smgp30 import Smgp30
from carrier.dialects.smpp34 import Smpp34
from carrier.errors import UsageError

_DIALECTS: dict[str, tuple[Callable[[Any], Dialect], type[Any]]] = {
    Smpp34.name: (Smpp34, Smpp34.settings_type),
    Cmpp20.name: (Cmpp20, Cmpp20.settings_type),
    Cmpp30.name: (Cmpp30, Cmpp30.settings_type),
    Sgip12.name: (Sgip12, Sgip12.settings_type),
    Smgp30.name: (Smgp30, Smgp30.settings_type),
}

NAMES: tuple[str, ...] = tuple(_DIALECTS)


def dialect(name: str, settings: Mapping[str, Any] | None = None) -> Dialect:
    """The dialect called ``name`` with a link's own settings.

    Raises ``UsageError`` naming what is wrong: an unknown protocol, an unknown setting, or a value of the wrong type.
    """
    if name not in _DIALECTS:
        raise UsageError(f"protocol {name!r} is not one of {', '.join(NAMES)}")
    make, settings_type = _DIALECTS[name]
    given = dict(settings or {})
    unknown = sorted(set(given) - set(settings_type.__dataclass_fields__))
    if unknown:
        raise UsageError(f"{name} has no setting {unknown[0]!r}")
    try:
        return make(msgspec.convert(given, settings_type))
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: {error}") from error
