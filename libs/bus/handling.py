"""What a service implements to consume: a handler without state, or one whose effect is a database transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from bus.producer import Outgoing
from bus.records import Batch, Invalid
from servicekit.database import Connection

OffsetMode = Literal["with_effect", "after_publish"]
"""When the stored offset passes a batch.

``with_effect``: in the effect's transaction.  What is to be published stands in rows of it (outbox) and a relay
publishes it.
``after_publish``: the effect commits, its events are published and acknowledged, and the offset follows with the next
transaction (or at idle).  After a crash between, the batch comes again: the effect must be idempotent and give the same
events.
"""


@dataclass(frozen=True, slots=True)
class Effect:
    """What a stateful handler answers."""

    publish: Sequence[Outgoing] = ()
    """Events to publish after the commit; only with ``after_publish``."""
    invalid: Sequence[Invalid] = ()
    note: Any = None
    """Passed on to `StatefulHandler.committed`."""


@dataclass(frozen=True, slots=True)
class Call:
    """The effect of a batch as one call of a function in SQL: it and the move of the offsets are one round trip and one commit.

    The schema has `servicekit.tables.MOVE_OFFSETS`.
    """

    sql: str
    """A function with one row of results and numbered arguments: ``take_in($1, $2)``."""
    args: Sequence[Any]
    settle: Callable[[Any], Effect]
    """Makes of that row what is to be published and told; called once it is durable."""
    invalid: Sequence[Invalid] = ()
    lost: Callable[[], None] = lambda: None
    """Called instead of ``settle`` when nobody knows whether it happened; the batch comes again, or was taken."""


DECLINED = "GX004"
"""SQLSTATE by which the function of a `Call` says that this batch is not as plain as it looked: nothing was done, `effect` decides."""


class StatelessHandler(Protocol):
    """A pure stage: it publishes what follows itself, awaits the acknowledgement, then returns."""

    async def handle(self, batch: Batch) -> Sequence[Invalid]:
        """Handle a batch; return the records that will never be understood; raise `Busy` for back-pressure.

        May be called again with the same records after a crash or a rebalance.
        """
        ...


@runtime_checkable
class StatefulHandler(Protocol):
    """A stage whose effect is in the database."""

    async def effect(self, tx: Connection, batch: Batch) -> Effect:
        """Do the batch's effect inside ``tx``, in which the offset moves too; raise `Busy` to roll back and try again."""
        ...


@runtime_checkable
class CallingHandler(Protocol):
    """A stage whose effect is a call in SQL, for all batches or, beside `StatefulHandler`, for the plain ones.

    With ``overlap_lanes`` calls may run beside anything, effects of such a handler one after the other: its memory is theirs alone.
    """

    async def call(self, batch: Batch) -> Call | None:
        """Return the batch's effect; None where it needs `StatefulHandler.effect`."""
        ...


@runtime_checkable
class AfterCommit(Protocol):
    """What a stateful handler may have beside `effect`."""

    async def committed(self, batch: Batch, effect: Effect) -> None:
        """Act on what is durable now (fast path of the outbox, waking a queue); does not happen after a crash."""
        ...
