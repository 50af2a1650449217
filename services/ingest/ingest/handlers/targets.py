"""Callback URLs as webhook targets: checked, stored once per key and URL, remembered by number."""

from __future__ import annotations

from collections import OrderedDict

from ingest.domain.callback import check_url
from ingest.domain.register import Key
from ingest.store import webhooks
from servicekit.database import Database

MAX_REMEMBERED = 10_000


class Targets:
    """Numbers of webhook targets; one per process."""

    def __init__(self, database: Database, *, private: bool) -> None:
        self._database = database
        self._private = private
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()

    async def of(self, key: Key, url: str) -> int | None:
        """Return the target's number, None without a URL; raises `Refused` (`callback_refused`)."""
        if not url:
            return None
        place = (key.key_id, url)
        known = self._known.get(place)
        if known is None:
            check_url(url, private=self._private)
            async with self._database.connection() as connection:
                known = await webhooks.put_target(connection, key.tenant, key.enterprise, key.key_id, url)
            self._known[place] = known
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return known
