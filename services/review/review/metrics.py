"""Metrics of review, declared once."""

from __future__ import annotations

from servicekit.metrics import counter, gauge, histogram

MESSAGES = counter(
    "guanxin_review_gate_messages_total", "messages", "Messages that passed the gate, by lane and way.", ("lane", "way")
)
CHUNK_SECONDS = histogram(
    "guanxin_review_gate_batch_seconds", "seconds", "Time to decide one batch of screened chunks."
)
DECISIONS = counter(
    "guanxin_review_decisions_total", "tasks", "Held tasks that reached a final state, by state.", ("state",)
)
WAITING = gauge("guanxin_review_waiting_tasks", "tasks", "Held tasks that wait for a person.")
OLDEST = gauge("guanxin_review_oldest_wait_seconds", "seconds", "How long the oldest waiting task has waited.")
MEAN_REVIEW = gauge(
    "guanxin_review_mean_review_seconds", "seconds", "Mean time from queue to decision over the last 24 hours."
)
SUSPENDED = counter("guanxin_review_ports_suspended_total", "ports", "Ports suspended after repeated refusals.")
AUDIT_HEAD = gauge("guanxin_review_audit_head", "records", "Number of the newest audit record, by tenant.", ("tenant",))
