"""The events, one file per producing service, and the registry that decodes them by name.

Names are past tense.  Unknown fields are accepted; a breaking change is a new version of the type beside the old one.
"""

from __future__ import annotations

import msgspec

from contracts.events.billing import SegmentsCharged, TariffActivated
from contracts.events.dispatch import (
    MessageReceived,
    MessagesClosed,
    MessagesQueued,
    OptedOut,
    SegmentsAnswered,
    SegmentsReported,
    SegmentsUncertain,
)
from contracts.events.ingest import ChunkAccepted, OutcomesMissed, TaskCancelled
from contracts.events.review import ChunkReleased, MessagesDecided
from contracts.events.spamfilter import ChunkJudged, ChunkScreened, SenderCounted

EVENT_TYPES: dict[str, type[msgspec.Struct]] = {
    event.__name__: event
    for event in (
        ChunkAccepted,
        TaskCancelled,
        OutcomesMissed,
        ChunkScreened,
        ChunkJudged,
        SenderCounted,
        ChunkReleased,
        MessagesDecided,
        MessagesQueued,
        SegmentsAnswered,
        SegmentsReported,
        SegmentsUncertain,
        MessagesClosed,
        MessageReceived,
        OptedOut,
        SegmentsCharged,
        TariffActivated,
    )
}
"""Every event by its type name, all of version 1."""

__all__ = [
    "EVENT_TYPES",
    "ChunkAccepted",
    "ChunkJudged",
    "ChunkReleased",
    "ChunkScreened",
    "MessageReceived",
    "MessagesClosed",
    "MessagesDecided",
    "MessagesQueued",
    "OptedOut",
    "OutcomesMissed",
    "SegmentsAnswered",
    "SegmentsCharged",
    "SegmentsReported",
    "SegmentsUncertain",
    "SenderCounted",
    "TariffActivated",
    "TaskCancelled",
]
