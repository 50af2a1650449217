"""Messages from phones: joined, matched to the last message to that number on that port, published; opt-out words act at once.

A message is stored raw before it is answered to the carrier; this reads only what is stored, so nothing is lost by a restart and
parts that came over different sessions or workers meet in the table.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable

import asyncpg
import structlog

from contracts import envelope, ids, topics
from contracts.events.dispatch import MessageReceived, OptedOut
from dispatch import metrics
from dispatch.domain.book import number_of, storable
from dispatch.domain.optout import announced_words, opt_out_word
from dispatch.domain.outcomes import Outgoing
from dispatch.domain.routing import RouteTable
from dispatch.handlers.claiming import release_of
from dispatch.handlers.confirming import confirmation, enqueue
from dispatch.store import replies as store
from dispatch.store.journal import OUTAGES
from dispatch.store.outbox import insert_events
from servicekit.clock import Clock
from servicekit.database import Connection, Database
from smstext import Concat, Joined, Joiner, Part, coding_of, decode, numbers, split_header

log = structlog.get_logger()

JOIN_WAIT_MS = 3_600_000
"""Parts of a long message are waited for so long, then what is there goes on."""

SWEEP_S = 5.0


class Replies:
    """Handles stored messages from phones."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        words: frozenset[str],
        publish: Callable[[list[Outgoing]], None],
        on_opt_out: Callable[[str, str], None],
        confirm_text: str,
        routes: Callable[[], RouteTable],
    ) -> None:
        self._database = database
        self._clock = clock
        self._words = words
        self._publish = publish
        self._on_opt_out = on_opt_out
        self._confirm_text = confirm_text
        self._routes = routes
        self._waiting: deque[int] = deque()
        self._wake = asyncio.Event()

    def offer(self, mo_ids: list[int]) -> None:
        """These are stored and answered: handle them soon."""
        self._waiting.extend(mo_ids)
        self._wake.set()

    async def run(self) -> None:
        """Handle what comes, and every few seconds what a crash or a missing part left."""
        while True:
            try:
                if not self._waiting:
                    self._waiting.extend(await store.open_ids(self._database))
                while self._waiting:
                    await self.handle(self._waiting[0])
                    self._waiting.popleft()
            except OUTAGES as error:
                log.warning("replies_waiting", reason=str(error))
            self._wake.clear()
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def handle(self, mo_id: int) -> None:
        """Handle one stored message, with the parts it may complete."""
        now_ms = self._clock.wall_ms()
        opted: tuple[str, str] | None = None
        async with self._database.transaction() as tx:
            rows = await store.parts(tx, mo_id)
            if not rows:
                return
            text, used, complete = _join(rows)
            if not complete and now_ms - rows[0]["at"] < JOIN_WAIT_MS:
                return
            events, opted = await self._take(tx, rows, storable(text), now_ms)
            await store.finish(tx, used)
            if events:
                await insert_events(tx, events, now_ms)
        if events:
            self._publish(events)
        if opted is not None:
            self._on_opt_out(*opted)

    async def _take(
        self, tx: Connection, rows: list[asyncpg.Record], text: str, now_ms: int
    ) -> tuple[list[Outgoing], tuple[str, str] | None]:
        first = rows[0]
        mo_id = f"{first['id']:x}"
        sender = number_of(first["source"])
        port = first["destination"]
        match = await self._match(tx, sender, port, now_ms)
        tenant, enterprise, ekey, chunk_id, index, said = match
        word = opt_out_word(text, self._words | announced_words(said)) if sender and enterprise else ""
        action = "opt_out" if word else ""
        if not await store.insert_mo(
            tx, (mo_id, first["link"], sender, port, text, first["at"], chunk_id or None, index, ekey, action)
        ):
            return [], None
        metrics.REPLIES.labels(first["link"], action or "none").inc()
        received = MessageReceived(
            mo_id=mo_id,
            link=first["link"],
            sender=sender,
            port=port,
            text=text,
            at=first["at"],
            chunk_id=chunk_id,
            index=index if chunk_id else -1,
            enterprise=enterprise,
            action=action,
        )
        events = [_event(received, "received", mo_id, ekey, tenant, now_ms)]
        if not word:
            return events, None
        new = await store.opt_out(tx, tenant, enterprise, sender, port, now_ms, word=word, mo_id=mo_id, by="mo")
        if new:
            out = OptedOut(number=sender, port=port, enterprise=enterprise, at=now_ms, mo_id=mo_id, word=word)
            events.append(_event(out, "opted-out", mo_id, ekey, tenant, now_ms))
            if self._confirm_text:
                await self._confirm(tx, tenant, enterprise, ekey, sender, port, now_ms)
        return events, (tenant, enterprise)

    async def _confirm(
        self, tx: Connection, tenant: str, enterprise: str, ekey: str, number: int, port: str, now_ms: int
    ) -> None:
        letter = numbers.normalise_many([str(number)]).letters()
        chunk = confirmation(
            ids.new_id(now_ms, secrets.token_bytes(10)),
            tenant=tenant,
            enterprise=enterprise,
            number=number,
            letter=letter,
            port=port,
            text=self._confirm_text,
            now_ms=now_ms,
        )
        await enqueue(tx, chunk, ekey, self._routes(), now_ms)

    async def _match(self, tx: Connection, sender: int, port: str, now_ms: int) -> tuple[str, str, str, str, int, str]:
        """Return (tenant, enterprise, key, chunk id, index, text sent): the last message there, else the port's owner."""
        for row in await store.last_messages(tx, sender, now_ms):
            chunk = release_of(row).chunk
            sent_from = chunk.entry_of(row["index"]).port
            if port.startswith(sent_from) or sent_from.startswith(port):
                return (
                    row["tenant"],
                    row["enterprise"],
                    row["ekey"],
                    chunk.chunk_id,
                    row["index"],
                    chunk.text_of(row["index"]),
                )
        owner = await store.owner_of(tx, port)
        if owner is None:
            return ("", "", "", "", -1, "")
        return (owner["tenant"], owner["enterprise"], owner["ekey"], "", -1, "")


def _join(rows: list[asyncpg.Record]) -> tuple[str, list[int], bool]:
    """Return the text of the parts, the ids of the rows it took (repetitions too), and whether it is all of it."""
    first = rows[0]
    if first["total"] <= 1:
        part = _part(first)
        return decode(part.content, part.coding, lenient=True), [first["id"]], True
    joiner = Joiner(wait=float(JOIN_WAIT_MS), max_open=1)
    for row in rows:
        concat = Concat(first["reference"], first["total"], row["part"], first["width"] or 16)
        for out in joiner.add(first["link"], first["source"], first["destination"], concat, _part(row), 0.0):
            if isinstance(out, Joined):
                return out.text, _used(rows, dict(enumerate(out.parts, 1))), True
    for late in joiner.expire(float(JOIN_WAIT_MS) * 2):
        return late.text, _used(rows, dict(late.parts)), False
    return "", [row["id"] for row in rows], False


def _used(rows: list[asyncpg.Record], parts: dict[int, Part]) -> list[int]:
    return [row["id"] for row in rows if row["part"] in parts and _part(row).content == parts[row["part"]].content]


def _part(row: asyncpg.Record) -> Part:
    content = row["content"]
    if row["udhi"]:
        _, content = split_header(content)
    return Part(coding_of(row["data_coding"]), content, tag=str(row["id"]))


def _event(data: object, stage: str, mo_id: str, ekey: str, tenant: str, now_ms: int) -> Outgoing:
    event = envelope.wrap(
        data,  # type: ignore[arg-type]
        id=ids.event_id(mo_id, stage),
        key=ekey or ":",
        tenant=tenant,
        occurred_at=now_ms,
    )
    return Outgoing(0, topics.REPLIES, event.key, event.type, "", envelope.encode(event))
