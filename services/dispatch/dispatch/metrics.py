"""What dispatch measures; one declared list, see `servicekit.metrics`."""

from __future__ import annotations

from servicekit.metrics import counter, gauge, histogram

TAKEN_IN = counter(
    "guanxin_dispatch_taken_in_messages_total", "messages", "Released messages taken into the queue", ("lane",)
)
CLOSED = counter(
    "guanxin_dispatch_closed_messages_total",
    "messages",
    "Messages that ended in dispatch without a receipt",
    ("cause",),
)
SUBMITTED = counter(
    "guanxin_dispatch_submitted_segments_total", "segments", "Segments written to carriers", ("link", "lane")
)
ANSWERED = counter(
    "guanxin_dispatch_answered_segments_total", "segments", "Answers to submits by outcome", ("link", "outcome")
)
UNCERTAIN = counter(
    "guanxin_dispatch_uncertain_segments_total", "segments", "Segments written without an answer seen", ("link", "rule")
)
RECEIPTS = counter(
    "guanxin_dispatch_receipts_total", "receipts", "Receipts by how they were matched", ("link", "matched")
)
REPLIES = counter("guanxin_dispatch_replies_total", "messages", "Messages from phones, joined", ("link", "action"))
CYCLES = counter("guanxin_dispatch_cycles_total", "cycles", "Journal cycles committed")
STALE = counter("guanxin_dispatch_stale_items_total", "items", "Items found changed by somebody else when granting")
BULK_REST_SECONDS = gauge(
    "guanxin_dispatch_bulk_rest_seconds", "seconds", "What bulk rests between grants so that codes are quick"
)
CYCLE_SECONDS = histogram("guanxin_dispatch_cycle_seconds", "seconds", "Duration of a journal cycle's commit")
ACCEPT_TO_SUBMIT_SECONDS = histogram(
    "guanxin_dispatch_accept_to_submit_seconds",
    "seconds",
    "From the caller's `accepted` to the first write to a carrier",
    ("lane",),
)
SUBMIT_TO_ANSWER_SECONDS = histogram(
    "guanxin_dispatch_submit_to_answer_seconds", "seconds", "From grant to answer of a flight's last segment", ("link",)
)
SESSIONS_BOUND = gauge(
    "guanxin_dispatch_sessions_bound", "sessions", "Sessions of this worker that are bound", ("link",)
)
CALLERS = gauge(
    "guanxin_dispatch_carrier_calls", "connections", "Connections the carrier has open to this worker", ("link",)
)
SESSION_FAILURES = counter(
    "guanxin_dispatch_session_ends_total", "sessions", "Connections that ended or failed", ("link", "reason")
)
SLOTS_HELD = gauge("guanxin_dispatch_slots_held", "slots", "Session slots this worker owns")
SLOTS_UNOWNED = gauge("guanxin_dispatch_slots_unowned", "slots", "Agreed sessions nobody owns: what scaling looks at")
RATE_TOKENS = gauge(
    "guanxin_dispatch_rate_tokens", "messages per second", "Share of the agreed rate this worker may use", ("link",)
)
QUEUED = gauge("guanxin_dispatch_queued_messages", "messages", "Messages in the queue", ("group", "lane", "state"))
SENDABLE_AGE = gauge(
    "guanxin_dispatch_sendable_age_seconds", "seconds", "Age of the oldest message that could be sent now", ("lane",)
)
PENDING_RECEIPTS = gauge("guanxin_dispatch_pending_receipts", "receipts", "Receipts that match nothing yet")
OUTBOX = gauge("guanxin_dispatch_outbox_events", "events", "Events committed and not yet acknowledged by the bus")
SAID_AGAIN = counter(
    "guanxin_dispatch_said_again_events_total",
    "events",
    "Outcomes published once more because ingest had not heard them",
)
