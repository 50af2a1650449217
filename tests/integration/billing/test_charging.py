"""Exactly one record per accepted segment, over replays, doubles, crashes and concurrent writers, on a real database."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest

from billing_sync.domain.record import build
from billing_sync.handlers import files as making
from billing_sync.store import files
from contracts.events.dispatch import CloseCause, MessagesClosed, SegmentState


async def test_answers_and_receipts_repeated_at_random_make_one_record_each(office, make):
    rng = random.Random(7)
    chunks = [make.chunk() for _ in range(6)]
    events = []
    for chunk in chunks:
        events += [make.answered(chunk, 100), make.answered(chunk, 20, first=100, segments=3)]
        events += [make.reported(chunk, 60), make.reported(chunk, 60, first=60)]
        events += [make.reported(chunk, 20, first=100, segment=segment) for segment in (2, 3)]
    again = events + [rng.choice(events) for _ in range(40)]
    rng.shuffle(again)
    while again:
        size = rng.randint(1, 7)
        await office.take(*again[:size])
        again = again[size:]
    figures = await office.figures()
    assert (figures.answered, figures.closed, figures.open) == (960, 960, 0)
    assert (figures.doubled_answers, figures.doubled_records, figures.missing, figures.unfounded) == (0, 0, 0, 0)


async def test_records_of_an_interval_make_a_file_when_it_is_over(office, make):
    chunk = make.chunk()
    await office.take(make.answered(chunk, 10), make.reported(chunk, 4))
    office.clock.now += 4 * make.minute
    await office.clerk.once()
    assert office.folder.offered() == set()
    office.clock.now += make.minute
    await office.clerk.once()
    (name,) = office.folder.offered()
    assert name == "GXCDR_GX01_20261123_080500_00000001.txt"
    lines = office.folder.read(name).decode().splitlines()
    assert lines[0].split("|")[-1] == "4"
    assert lines[-1] == "90|1|4|0.1800"
    # The next interval's file has the next number and the rest.
    await office.take(make.reported(chunk, 6, first=4, state=SegmentState.FAILED))
    office.clock.now += 5 * make.minute
    await office.clerk.once()
    assert sorted(office.folder.offered())[1] == "GXCDR_GX01_20261123_081000_00000002.txt"
    figures = await office.figures()
    assert (figures.filed, figures.closed) == (10, 10)


async def test_a_full_file_is_cut_before_its_interval_is_over(office, make):
    clerk = office.another_clerk(office.directory / "b", most=100)
    chunks = [make.chunk() for _ in range(5)]
    for chunk in chunks:
        await office.take(make.answered(chunk, 60), make.reported(chunk, 60))
    await clerk.once()
    async with office.database.connection() as connection:
        rows = await files.newest(connection, 2**62, 10)
    # Rows are never split: two of sixty would be more than a hundred.
    assert [row.records for row in rows] == [60, 60, 60, 60]
    office.clock.now += 5 * make.minute
    await clerk.once()
    assert (await office.figures()).filed == 300


async def test_without_a_receipt_a_segment_is_unknown_after_seventy_two_hours(office, make):
    early, late = make.chunk(), make.chunk()
    await office.take(make.answered(early, 3), make.answered(early, 2, first=3, at=make.start + make.minute))
    await office.take(make.answered(late, 1, at=make.start + 10 * make.minute))
    term = 72 * 60 * make.minute
    office.clock.now = make.start + term - 1
    await office.clerk.once()
    assert (await office.figures()).closed == 0
    office.clock.now = make.start + term
    await office.clerk.once()
    assert (await office.figures()).closed == 3
    office.clock.now = make.start + term + make.minute
    await office.clerk.once()
    assert (await office.figures()).closed == 5
    # A receipt after that changes nothing.
    await office.take(make.reported(early, 5))
    figures = await office.figures()
    assert (figures.closed, figures.open, figures.doubled_records) == (5, 1, 0)
    office.clock.now += 10 * make.minute
    await office.clerk.once()
    lines = [
        line for name in sorted(office.folder.offered()) for line in office.folder.read(name).decode().splitlines()
    ]
    assert all(line.split("|")[18:20] == ["unknown", "NO_RECEIPT"] for line in lines if line.startswith("20|"))


async def test_dispatch_may_give_up_sooner(office, make):
    chunk = make.chunk()
    closed = MessagesClosed(
        chunk_id=chunk, enterprise="e1", at=make.start, indices=[0, 1], cause=CloseCause.NO_RECEIPT, code="no receipt"
    )
    other = MessagesClosed(chunk_id=chunk, enterprise="e1", at=make.start, indices=[2], cause=CloseCause.EXPIRED)
    await office.take(make.answered(chunk, 3, segments=2), closed, other)
    figures = await office.figures()
    assert (figures.closed, figures.open) == (4, 2)


async def test_a_segment_sent_twice_is_one_charge_and_marked(office, make):
    chunk = make.chunk()
    await office.take(make.answered(chunk, 1), make.answered(chunk, 1, resent=True), make.reported(chunk, 1))
    office.clock.now += 5 * make.minute
    await office.clerk.once()
    (name,) = office.folder.offered()
    records = [line for line in office.folder.read(name).decode().splitlines() if line.startswith("20|")]
    assert len(records) == 1
    assert records[0].endswith("|0.0450|R")


async def test_writers_side_by_side_number_without_gaps_and_file_every_record_once(office, make):
    clerks = [office.another_clerk(office.directory / f"w{n}", most=50) for n in range(4)]
    chunks = [make.chunk() for _ in range(30)]

    async def feed() -> None:
        for chunk in chunks:
            await office.take(make.answered(chunk, 20), make.reported(chunk, 20))

    async def file(clerk) -> None:
        for _ in range(12):
            await clerk.once()

    await asyncio.gather(feed(), *(file(clerk) for clerk in clerks))
    office.clock.now += 5 * make.minute
    await asyncio.gather(*(clerk.once() for clerk in clerks))
    numbers = [row["no"] for row in await office.database.fetch("select no from file order by no")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) >= 12
    figures = await office.figures()
    assert (figures.filed, figures.doubled_records) == (600, 0)
    assert await office.database.fetchval("select sum(records) from file") == 600
    assert await office.database.fetchval("select sum(total) from file") == Decimal("27.0000")


async def test_a_crash_between_the_row_and_the_file_leaves_no_gap(office, make, monkeypatch):
    chunk = make.chunk()
    await office.take(make.answered(chunk, 5), make.reported(chunk, 5))
    office.clock.now += 5 * make.minute

    def power_cut(name, octets):
        (office.folder.outgoing / ".part-half").write_bytes(octets[: len(octets) // 2])
        raise OSError("power cut")

    monkeypatch.setattr(office.folder, "write", power_cut)
    with pytest.raises(OSError, match="power cut"):
        await office.clerk.once()
    assert await office.database.fetchval("select count(*) from file") == 1
    assert office.folder.offered() == set()
    # A new process on the same folder: what was half-written is gone, and the file appears from its row.
    restarted = office.another_clerk(office.directory / "billing")
    await restarted.once()
    assert office.folder.offered() == {"GXCDR_GX01_20261123_080500_00000001.txt"}
    assert not list(office.folder.outgoing.glob(".part-*"))
    assert await office.database.fetchval("select max(no) from file") == 1


async def test_a_file_is_made_again_to_the_octet_from_its_rows(office, make):
    for _ in range(3):
        chunk = make.chunk()
        await office.take(
            make.answered(chunk, 40, segments=2), make.reported(chunk, 40), make.reported(chunk, 40, segment=2)
        )
    office.clock.now += 5 * make.minute
    await office.clerk.once()
    (name,) = office.folder.offered()
    before = office.folder.read(name)
    (office.folder.outgoing / name).unlink()
    await office.clerk.once()
    assert office.folder.read(name) == before
    async with office.database.connection() as connection:
        row = await files.get(connection, 1)
        content = await files.content(connection, await files.ids_of(connection, 1))
    assert build(row.head, content.lines, content.total).octets == before
    assert (await making.verify(office.database, office.folder, row)).disk_agrees


async def test_changed_rows_are_never_offered_under_the_old_name(office, make):
    chunk = make.chunk()
    await office.take(make.answered(chunk, 5), make.reported(chunk, 5))
    office.clock.now += 5 * make.minute
    await office.clerk.once()
    await office.database.execute("update closure set codes[1] = 'FORGED'")
    async with office.database.connection() as connection:
        row = await files.get(connection, 1)
    assert not (await making.verify(office.database, office.folder, row)).rows_agree
    (office.folder.outgoing / row.name).unlink()
    with pytest.raises(RuntimeError, match="no longer make"):
        await office.clerk.once()


async def test_the_tariff_in_force_at_the_submit_decides_the_amount(office, make):
    chunk = make.chunk()
    await office.take(make.answered(chunk, 1))
    body = await office.database.fetchval("select body from tariff")
    later = {**body, "version": "dearer", "valid_from": make.start + make.minute, "per_segment": {"default": "0.1000"}}
    await office.database.execute(
        "insert into tariff (tenant, version, valid_from, body, created_by) values ('demo', 'dearer', $1, $2, 't')",
        make.start + make.minute,
        later,
    )
    await office.take(make.answered(chunk, 1, first=1, at=make.start + make.minute), make.reported(chunk, 2))
    office.clock.now += 5 * make.minute
    await office.clerk.once()
    (name,) = office.folder.offered()
    records = [line.split("|") for line in office.folder.read(name).decode().splitlines() if line.startswith("20|")]
    assert [(fields[22], fields[23]) for fields in records] == [("standard", "0.0450"), ("dearer", "0.1000")]
