"""Offsets stored with the effect: one row a partition, moved by compare-and-set in the effect's own transaction.

A process whose expectation is wrong was overtaken by another (a zombie, or a rebalance it has not heard of): it is
`Fenced`, its transaction rolls back, and it reads again where the row says.  Group membership of Kafka plays no part in
this.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bus.records import TopicPartition
from servicekit.database import Connection, Database

_MOVE = """
update consumer_offset o set next_offset = m.next
from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[]) as m(topic, part, expected, next)
where o.group_name = $1 and o.topic = m.topic and o.part = m.part and o.next_offset = m.expected
"""
_READ = """
select topic, part, next_offset from consumer_offset
where group_name = $1 and (topic, part) in (select * from unnest($2::text[], $3::int[]))
"""
_BEGIN = """
insert into consumer_offset (group_name, topic, part, next_offset)
select $1, * from unnest($2::text[], $3::int[], $4::bigint[])
on conflict do nothing
"""
_RESET = "update consumer_offset set next_offset = $4 where group_name = $1 and topic = $2 and part = $3 and next_offset = $5"


FENCED = "GX003"
"""SQLSTATE of `servicekit.tables.MOVE_OFFSETS` when it was overtaken."""


class Fenced(Exception):
    """The stored offset is not what this process expected: another one has moved it."""


@dataclass(frozen=True, slots=True)
class Move:
    """A step of one partition's stored offset."""

    tp: TopicPartition
    expected: int
    next: int


async def move(connection: Connection, group: str, moves: Sequence[Move]) -> None:
    """Move the offsets inside the caller's transaction; raises `Fenced` when any is not where it was expected.

    A move to the same place still locks the row, and so still fences.
    """
    if not moves:
        return
    tag = await connection.execute(_MOVE, *columns(group, moves))
    moved = int(tag.rpartition(" ")[2])
    if moved != len(moves):
        raise Fenced(f"{len(moves) - moved} of {len(moves)} offsets of group {group} were moved by another process")


def columns(group: str, moves: Sequence[Move]) -> list[object]:
    """Return the arguments of `_MOVE` and of `servicekit.tables.MOVE_OFFSETS` for these moves.

    Sorted, so that two processes that disagree lock the rows in one order.
    """
    ordered = sorted(moves, key=lambda m: m.tp)
    return [
        group,
        [m.tp.topic for m in ordered],
        [m.tp.partition for m in ordered],
        [m.expected for m in ordered],
        [m.next for m in ordered],
    ]


async def read(database: Database, group: str, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the stored offsets of those partitions that have one."""
    wanted = sorted(partitions)
    rows = await database.fetch(_READ, group, [tp.topic for tp in wanted], [tp.partition for tp in wanted])
    return {TopicPartition(row["topic"], row["part"]): row["next_offset"] for row in rows}


async def begin(database: Database, group: str, positions: Mapping[TopicPartition, int]) -> None:
    """Store first offsets; a row that exists is left as it is."""
    wanted = sorted(positions)
    await database.execute(
        _BEGIN, group, [tp.topic for tp in wanted], [tp.partition for tp in wanted], [positions[tp] for tp in wanted]
    )


async def reset(database: Database, group: str, step: Move) -> None:
    """Set an offset that lay outside the log, unless another process has moved it since."""
    await database.execute(_RESET, group, step.tp.topic, step.tp.partition, step.next, step.expected)
