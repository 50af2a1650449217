"""Metrics of ingest; every figure an SRE needs to see whether acceptance is quick, durable and published."""

from __future__ import annotations

from servicekit.metrics import counter, gauge, histogram

ACCEPTED = counter(
    "guanxin_ingest_accepted_messages_total",
    "messages",
    "Messages accepted (committed) by class and way in",
    ("lane", "way"),
)
REFUSED = counter("guanxin_ingest_refused_total", "requests", "Requests to send that were refused, by code", ("code",))
RECIPIENTS_REJECTED = counter(
    "guanxin_ingest_rejected_recipients_total",
    "recipients",
    "Recipients of accepted tasks that get no message, by reason",
    ("reason",),
)
COMMIT_SECONDS = histogram(
    "guanxin_ingest_commit_seconds", "seconds", "Time of the transaction that makes an acceptance durable", ("way",)
)
GATHERED = histogram(
    "guanxin_ingest_gathered_messages",
    "messages",
    "Single messages committed together",
    (),
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000),
)
PENDING = gauge("guanxin_ingest_pending_singles", "messages", "Single messages waiting for their commit")
COMPOSE_SECONDS = histogram(
    "guanxin_ingest_compose_seconds", "seconds", "Time to parse and cut a task, by where it was done", ("where",)
)
UNPUBLISHED = gauge(
    "guanxin_ingest_unpublished_chunks", "chunks", "Chunks accepted and not yet acknowledged by the broker"
)
WAITING = gauge(
    "guanxin_ingest_waiting_chunks", "chunks", "Chunks with messages that reached neither dispatch, a person nor an end"
)
SWEPT = counter("guanxin_ingest_swept_chunks_total", "chunks", "Chunks published again because nothing followed")
ASKED = counter(
    "guanxin_ingest_asked_again_total",
    "questions",
    "Chunks and withdrawals whose further stages were asked for again because none was heard of",
    ("what",),
)
PROJECTED = counter("guanxin_ingest_projected_events_total", "events", "Events applied to states, by type", ("type",))
REPEATED = counter(
    "guanxin_ingest_repeated_events_total", "events", "Events seen before and therefore not applied", ("type",)
)
UNKNOWN_CHUNKS = counter(
    "guanxin_ingest_unknown_chunk_events_total",
    "events",
    "Events on chunks that are not (or no longer) stored here",
    ("type",),
)
PROJECT_SECONDS = histogram(
    "guanxin_ingest_project_seconds", "seconds", "Time to apply a batch of events, without its commit"
)
WEBHOOKS = counter("guanxin_ingest_webhook_requests_total", "requests", "Webhook requests by result", ("result",))
WEBHOOKS_DUE = gauge("guanxin_ingest_webhooks_due", "rows", "Webhook rows waiting to be delivered")
WEBHOOKS_DEAD = counter("guanxin_ingest_webhooks_dead_total", "rows", "Webhook rows given up after the time allowed")
DISK_FREE = gauge("guanxin_ingest_disk_free_octets", "octets", "Free space of the fullest file system watched")
