"""One worked example per event, used by every consumer's contract test and by the documentation.

Built from values, so that they cannot drift from the types; ``python -m contracts`` does not write them, the test compares
`example_files/*.json` with them.  Numbers are from no real subscriber's series in use: they are shaped right, nothing more.
"""

from __future__ import annotations

from typing import Any

import msgspec

from contracts import events
from contracts.chunk import Chunk, Entry
from contracts.envelope import Envelope, partition_key, wrap
from contracts.events.dispatch import CloseCause, SegmentState
from contracts.events.review import Decision
from contracts.events.spamfilter import Finding, Judgement, Verdict
from contracts.ids import event_id
from contracts.lanes import Lane

CHUNK_ID = "01939a5c7e8070008000000000000001"
TASK_ID = "01939a5c7e8070008000000000000002"
TENANT = "demo"
ENTERPRISE = "power"
AT = 1_732_320_000_000

CHUNK = Chunk(
    chunk_id=CHUNK_ID,
    tenant=TENANT,
    enterprise=ENTERPRISE,
    lane=Lane.NOTICE,
    accepted_at=AT,
    recipients=[8613800138000, 8613000130000],
    carriers="MU",
    entries=[
        Entry(
            task_id=TASK_ID,
            first=0,
            count=2,
            port="95598",
            pieces=["【国网电力】您", "月电费", "元，请按时缴纳。"],
            slots=[0, 1],
            variables=[["10", "86.40"], ["10", "120.15"]],
            expires_at=AT + 86_400_000,
            task_total=2,
            ref="3301000123",
            user="billing-key",
        )
    ],
)

_DATA: tuple[msgspec.Struct, ...] = (
    events.ChunkAccepted(chunk=CHUNK),
    events.TaskCancelled(task_id=TASK_ID, enterprise=ENTERPRISE, at=AT + 5, by="billing-key"),
    events.OutcomesMissed(
        chunk_id=CHUNK_ID, enterprise=ENTERPRISE, at=AT + 900_000, seen=["answered:4711", "queued-0-0:0"]
    ),
    events.ChunkScreened(
        chunk=CHUNK,
        ruleset="7-3f2a",
        screened_at=AT + 6,
        judgements=[
            Judgement(
                first=1,
                count=1,
                verdict=Verdict.HOLD,
                reason="keyword_hold",
                findings=[
                    Finding(rule="L-12", category="loans", level="hold", span=(6, 10), matched="贷-款", figure=None)
                ],
            )
        ],
    ),
    events.ChunkJudged(chunk_id=CHUNK_ID, ruleset="7-3f2a", screened_at=AT + 6, demoted=[0], demoted_to=Lane.NOTICE),
    events.SenderCounted(chunk_id=CHUNK_ID, sender="8613900139000", at=AT, count=2),
    events.ChunkReleased(
        release_id=event_id(CHUNK_ID, "released", 0),
        chunk=CHUNK,
        released_at=AT + 8,
        reason="approved",
        indices=[0],
        by="reviewer-1",
    ),
    events.MessagesDecided(
        chunk_id=CHUNK_ID,
        decision=Decision.REJECTED,
        at=AT + 9,
        task_id=TASK_ID,
        indices=[1],
        reason="9B-3",
        by="reviewer-1",
        note="signature and content disagree",
    ),
    events.MessagesQueued(chunk_id=CHUNK_ID, at=AT + 10, indices=[0]),
    events.SegmentsAnswered(
        chunk_id=CHUNK_ID,
        enterprise=ENTERPRISE,
        link="carrier-a",
        slot=0,
        epoch=3,
        batch=41,
        at=AT + 20,
        protocol="smpp34",
        carrier="CMCC",
        indices=[0, 1],
        segments=[1, 1],
        totals=[1, 1],
        statuses=[0, 11],
        carrier_ids=["7F00A1", ""],
        recipients=[8613800138000, 8613000130000],
        senders=["95598"],
        task_ids=[TASK_ID],
        refs=["3301000123"],
    ),
    events.SegmentsReported(
        chunk_id=CHUNK_ID,
        enterprise=ENTERPRISE,
        link="carrier-a",
        batch=12,
        at=AT + 900,
        indices=[0],
        segments=[1],
        totals=[1],
        states=[SegmentState.DELIVERED],
        codes=["DELIVRD:000"],
        done_at=[AT + 880],
    ),
    events.SegmentsUncertain(
        chunk_id=CHUNK_ID,
        enterprise=ENTERPRISE,
        link="carrier-a",
        slot=0,
        epoch=3,
        at=AT + 30,
        indices=[1],
        segments=[1],
        rule="resend",
    ),
    events.MessagesClosed(
        chunk_id=CHUNK_ID, enterprise=ENTERPRISE, at=AT + 40, indices=[1], cause=CloseCause.OPTED_OUT
    ),
    events.MessageReceived(
        mo_id="01939a5c7e8070008000000000000009",
        link="carrier-a",
        sender=8613800138000,
        port="95598",
        text="退订",
        at=AT + 2000,
        chunk_id=CHUNK_ID,
        index=0,
        enterprise=ENTERPRISE,
        action="opt_out",
    ),
    events.OptedOut(
        number=8613800138000,
        port="95598",
        enterprise=ENTERPRISE,
        at=AT + 2000,
        mo_id="01939a5c7e8070008000000000000009",
        word="退订",
    ),
    events.SegmentsCharged(
        chunk_id=CHUNK_ID,
        file_no=1,
        file_name="GX_CDR_demo_20241123_000001.txt",
        at=AT + 5000,
        tariff="2024-1",
        indices=[0],
        segments=[1],
        amounts=["0.0500"],
    ),
    events.TariffActivated(
        version="2024-1",
        valid_from=AT,
        currency="CNY",
        per_segment={"default": "0.0500", "CMCC": "0.0450"},
        free_lanes=["internal"],
    ),
)


def examples() -> dict[str, Envelope[Any]]:
    """Return the example of every event, by its type's name."""
    return {
        type(data).__name__: wrap(
            data,
            id=event_id(CHUNK_ID, type(data).__name__),
            key=partition_key(TENANT, ENTERPRISE),
            tenant=TENANT,
            occurred_at=AT,
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        )
        for data in _DATA
    }
