"""What operators see of links and sessions, from the tables, so that every worker shows the same."""

from __future__ import annotations

from typing import Any

from dispatch.store import slots
from servicekit.database import Database


async def links_view(database: Database) -> list[dict[str, Any]]:
    """Return every link with its sessions: state, owner, window, rate share, last error."""
    links, rows, _ = await slots.overview(database)
    flying = {
        (r["link"], r["slot"]): r["n"]
        for r in await database.fetch(
            "select link, slot, sum(cardinality(indices))::int8 n from grants group by link, slot"
        )
    }
    result = []
    for link in links:
        sessions = [
            {
                "slot": row["slot"],
                "state": row["phase"],
                "bound": row["bound"],
                "owner": (row["owner"] or "").partition(":")[0],
                "epoch": row["epoch"],
                "rate": row["tokens"],
                "in_flight": flying.get((row["link"], row["slot"]), 0),
                "window": link["win"],
                "last_error": row["last_error"],
            }
            for row in rows
            if row["link"] == link["name"]
        ]
        result.append(
            {
                "name": link["name"],
                "protocol": link["protocol"],
                "state": link["state"] if link["configured"] else "removed",
                "group": link["grp"],
                "carriers": link["letters"],
                "rate": link["rate"],
                "window": link["win"],
                "listens": link["listens"],
                "workers": link["workers"],
                "sessions_agreed": link["sessions"],
                "sessions_bound": sum(1 for s in sessions if s["bound"]),
                "sessions": sessions,
            }
        )
    return result
