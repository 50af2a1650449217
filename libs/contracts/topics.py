"""One record per topic: key, partitions, retention, producer, consumers, dead letter.

The Kafka admin step, the Kubernetes manifests and the documentation are generated from these records.
"""

from __future__ import annotations

import msgspec

from contracts.lanes import LANES, Lane

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class Topic(msgspec.Struct, frozen=True):
    """What is agreed about one topic."""

    name: str
    events: tuple[str, ...]
    key: str
    producer: str
    consumers: tuple[str, ...]
    partitions: int = 4
    """Default; a cluster's overlay may raise it, the same for every lane and stage."""
    retention_ms: int = 3 * _DAY_MS
    compacted: bool = False
    lane: Lane | None = None

    def dead_letter_of(self, consumer: str) -> str:
        """Return the topic that takes what ``consumer`` cannot read."""
        return dead_letter_topic(consumer)


def dead_letter_topic(service: str) -> str:
    """Return the name of a service's dead letter topic."""
    return f"{service}.dlq"


def lane_topic(stage: str, lane: Lane | str) -> str:
    """Return the topic of ``stage`` for ``lane``, such as `ingest.accepted.notice`."""
    return f"{stage}.{Lane(lane).value}"


ACCEPTED = "ingest.accepted"
SCREENED = "spamfilter.screened"
JUDGED = "spamfilter.judged"
RELEASED = "review.released"
DECIDED = "review.decided"
OUTCOMES = "dispatch.outcomes"
CHARGED = "billing.charged"

CANCELLED = "ingest.cancelled"
MISSED = "ingest.missed"
COUNTED = "spamfilter.counted"
REPLIES = "dispatch.replies"
TARIFFS = "billing.tariffs"

SERVICES: tuple[str, ...] = ("ingest", "spamfilter", "review", "dispatch", "billing")
"""Names of the services as producers and consumers; `billing` is the service billing-sync."""

_ENTERPRISE_KEY = "<tenant>:<enterprise>"

_STAGES: tuple[tuple[str, tuple[str, ...], str, tuple[str, ...]], ...] = (
    (ACCEPTED, ("ChunkAccepted",), "ingest", ("spamfilter",)),
    (SCREENED, ("ChunkScreened",), "spamfilter", ("review",)),
    (JUDGED, ("ChunkJudged",), "spamfilter", ("ingest",)),
    (RELEASED, ("ChunkReleased",), "review", ("dispatch",)),
    (DECIDED, ("MessagesDecided",), "review", ("ingest",)),
    (
        OUTCOMES,
        ("MessagesQueued", "SegmentsAnswered", "SegmentsReported", "SegmentsUncertain", "MessagesClosed"),
        "dispatch",
        ("ingest", "billing"),
    ),
    (CHARGED, ("SegmentsCharged",), "billing", ("ingest",)),
)

LANE_STAGES: tuple[str, ...] = tuple(stage[0] for stage in _STAGES)

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        *(
            Topic(
                name=lane_topic(stage, lane),
                events=events,
                key=_ENTERPRISE_KEY,
                producer=producer,
                consumers=consumers,
                lane=lane,
            )
            for stage, events, producer, consumers in _STAGES
            for lane in LANES
        ),
        Topic(
            name=CANCELLED,
            events=("TaskCancelled",),
            key=_ENTERPRISE_KEY,
            producer="ingest",
            consumers=("review", "dispatch"),
        ),
        Topic(
            name=MISSED,
            events=("OutcomesMissed",),
            key=_ENTERPRISE_KEY,
            producer="ingest",
            consumers=("dispatch", "billing"),
            # Asked again as long as it matters: an old question is worth nothing.
            retention_ms=6 * _HOUR_MS,
        ),
        Topic(
            name=COUNTED,
            events=("SenderCounted",),
            key=_ENTERPRISE_KEY,
            producer="spamfilter",
            consumers=("spamfilter",),
            # Twice the longest window an operator may set; the default window is 5 minutes.
            retention_ms=2 * _HOUR_MS,
        ),
        Topic(
            name=REPLIES,
            events=("MessageReceived", "OptedOut"),
            key=_ENTERPRISE_KEY,
            producer="dispatch",
            consumers=("ingest",),
            retention_ms=7 * _DAY_MS,
        ),
        Topic(
            name=TARIFFS,
            events=("TariffActivated",),
            key="<tenant>",
            producer="billing",
            consumers=("ingest",),
            partitions=1,
            compacted=True,
        ),
        *(
            Topic(
                name=dead_letter_topic(service),
                events=(),
                key="as the record had",
                producer=service,
                consumers=(),
                partitions=1,
                retention_ms=14 * _DAY_MS,
            )
            for service in SERVICES
        ),
    )
}
"""Every topic by name."""


def topics_of(stage: str) -> list[str]:
    """Return the topics of a stage in order of priority."""
    return [lane_topic(stage, lane) for lane in LANES]
