"""A message's timeline, read out of the journal of its chunk: every transition with time, place and cause.

Pure: chunk, states and events go in, a document comes out.  Numbers and text in it are the caller's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from contracts.chunk import CARRIERS, Chunk
from contracts.envelope import Envelope
from contracts.events.billing import SegmentsCharged
from contracts.events.dispatch import (
    MessagesClosed,
    MessagesQueued,
    SegmentsAnswered,
    SegmentsReported,
    SegmentsUncertain,
)
from contracts.events.ingest import ChunkAccepted
from contracts.events.review import MessagesDecided
from contracts.events.spamfilter import ChunkJudged
from contracts.ids import message_id
from contracts.states import State
from ingest.domain.identity import single_of_task
from ingest.domain.projection import CLOSED, REPORTED

Step = dict[str, Any]

_chunk_decoder = msgspec.json.Decoder(ChunkAccepted)


def chunk_of(payload: bytes) -> Chunk:
    """Return the chunk of a stored payload."""
    return _chunk_decoder.decode(payload).chunk


def label(state: int) -> str:
    """Return the state's name in the API."""
    return State(state).label


def steps(chunk: Chunk, index: int, events: Sequence[Envelope[Any]]) -> list[Step]:
    """Return the message's transitions in order of time."""
    entry = chunk.entry_of(index)
    found: list[Step] = [
        {"at": chunk.accepted_at, "state": "accepted", "place": "ingest", "cause": f"posted by {entry.user}"}
    ]
    for envelope in events:
        found.extend(_steps_of(envelope.data, index))
    found.sort(key=lambda step: step["at"])
    return found


def _steps_of(event: Any, index: int) -> Iterator[Step]:
    if isinstance(event, ChunkJudged):
        yield from _judged(event, index)
    elif isinstance(event, MessagesDecided):
        if _concerns(event, index):
            yield _decided(event)
    elif isinstance(event, MessagesQueued):
        if event.indices is None or index in event.indices:
            state = "scheduled" if event.not_before else "queued"
            step: Step = {"at": event.at, "state": state, "place": "dispatch", "cause": "released"}
            yield {**step, "not_before": event.not_before} if event.not_before else step
    elif isinstance(event, MessagesClosed):
        if index in event.indices:
            yield {
                "at": event.at,
                "state": CLOSED[event.cause].label,
                "place": "dispatch",
                "cause": event.cause.value,
                "code": event.code,
            }
    else:
        yield from _segment_steps(event, index)


def _segment_steps(event: Any, index: int) -> Iterator[Step]:
    for position, each in enumerate(getattr(event, "indices", ())):
        if each != index:
            continue
        segment = event.segments[position]
        if isinstance(event, SegmentsAnswered):
            status = event.statuses[position]
            yield {
                "at": event.at,
                "state": "failed" if status else "submitted",
                "place": f"{event.link}/{event.slot}",
                "cause": "refused by the carrier" if status else "accepted by the carrier",
                "code": str(status),
                "segment": segment,
                "segments": event.totals[position],
                "carrier_id": event.carrier_ids[position],
                "protocol": event.protocol,
                "resent": position in event.resent,
            }
        elif isinstance(event, SegmentsReported):
            yield {
                "at": event.at,
                "state": REPORTED[event.states[position]].label,
                "place": event.link,
                "cause": "receipt",
                "code": event.codes[position],
                "segment": segment,
                "segments": event.totals[position],
                "done_at": event.done_at[position],
            }
        elif isinstance(event, SegmentsUncertain):
            yield {
                "at": event.at,
                "state": "uncertain",
                "place": f"{event.link}/{event.slot}",
                "cause": "no answer seen",
                "code": event.rule,
                "segment": segment,
            }
        elif isinstance(event, SegmentsCharged):
            yield {
                "at": event.at,
                "state": "charged",
                "place": "billing",
                "cause": event.file_name,
                "segment": segment,
                "amount": event.amounts[position],
                "tariff": event.tariff,
                "file_no": event.file_no,
            }


def _judged(event: ChunkJudged, index: int) -> Iterator[Step]:
    verdicts = [each for each in event.judgements if each.first <= index < each.first + each.count]
    step: Step = {"at": event.screened_at, "state": "screened", "place": "spamfilter", "ruleset": event.ruleset}
    if index in event.demoted and event.demoted_to is not None:
        step["demoted_to"] = event.demoted_to.value
    if not verdicts:
        yield {**step, "cause": "pass"}
    for each in verdicts:
        findings = [
            {"rule": f.rule, "category": f.category, "level": f.level, "span": f.span, "figure": f.figure}
            for f in each.findings
        ]
        state = "blocked" if each.verdict.value == "block" else "screened"
        yield {**step, "state": state, "cause": each.verdict.value, "code": each.reason, "findings": findings}


def _concerns(event: MessagesDecided, index: int) -> bool:
    if event.indices is not None:
        return index in event.indices
    single = single_of_task(event.task_id) if event.task_id else None
    return single is None or single[1] == index


def _decided(event: MessagesDecided) -> Step:
    return {
        "at": event.at,
        "state": event.decision.value,
        "place": "review",
        "cause": event.reason or event.decision.value,
        "by": event.by,
        "note": event.note,
    }


def segments(found: Sequence[Step], count: int) -> list[Step]:
    """Return what is known of each segment: link, session, carrier's id, receipt, charge."""
    rows: list[Step] = [{"segment": number, "state": "accepted"} for number in range(1, count + 1)]
    for step in found:
        number = step.get("segment")
        if number is None or not 1 <= number <= count:
            continue
        row = rows[number - 1]
        if step["state"] == "charged":
            row["charge"] = {key: step[key] for key in ("amount", "tariff", "file_no", "at")}
        elif step["cause"] == "receipt":
            row["state"] = step["state"]
            row["receipt"] = {key: step[key] for key in ("state", "code", "at", "done_at")}
        else:
            if "receipt" not in row:
                row["state"] = step["state"]
            link, _, session = step["place"].partition("/")
            row.update({"link": link, "session": session, "at": step["at"]})
            if step.get("carrier_id"):
                row["carrier_id"] = step["carrier_id"]
    return rows


def document(chunk: Chunk, index: int, state: int, count: int, events: Sequence[Envelope[Any]]) -> dict[str, Any]:
    """Return everything known of one message."""
    entry = chunk.entry_of(index)
    found = steps(chunk, index, events)
    return {
        "id": message_id(chunk.chunk_id, index),
        "task_id": entry.task_id,
        "class": chunk.lane.value,
        "port": entry.port,
        "to": str(chunk.recipients[index]),
        "carrier": CARRIERS.get(chunk.carriers[index], "unknown"),
        "text": chunk.text_of(index),
        "ref": entry.ref,
        "state": label(state),
        "accepted_at": chunk.accepted_at,
        "not_before": entry.not_before,
        "expires_at": entry.expires_at,
        "segments": segments(found, count),
        "timeline": found,
    }
