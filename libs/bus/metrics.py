"""Metrics of the bus."""

from __future__ import annotations

from servicekit.metrics import counter, gauge, histogram

PRODUCED = counter("guanxin_bus_produced_total", "records", "Records acknowledged by the broker", ("topic",))
PRODUCE_SECONDS = histogram(
    "guanxin_bus_produce_seconds", "seconds", "From handing a batch over to its last acknowledgement", ("express",)
)
PRODUCE_RETRIES = counter(
    "guanxin_bus_produce_retries_total", "batches", "Batches handed over again after a retriable fault", ("reason",)
)
CONSUMED = counter("guanxin_bus_consumed_total", "records", "Records whose effect is complete", ("group", "topic"))
BATCH_SECONDS = histogram(
    "guanxin_bus_batch_seconds",
    "seconds",
    "Time a handler took for one batch, offset and publishing included",
    ("group", "topic"),
)
WAIT_SECONDS = histogram(
    "guanxin_bus_wait_seconds", "seconds", "From a record's production to the start of its batch", ("group", "topic")
)
REST_SECONDS = gauge(
    "guanxin_bus_rest_seconds", "seconds", "What other classes rest between batches so that codes are quick", ("group",)
)
BUSY = counter("guanxin_bus_busy_total", "batches", "Batches put back by back-pressure", ("group", "topic"))
FENCED = counter(
    "guanxin_bus_fenced_total",
    "batches",
    "Batches dropped because another process had moved the offset",
    ("group", "topic"),
)
DEAD_LETTERS = counter(
    "guanxin_bus_dead_letters_total", "records", "Records put into the dead letter topic", ("group", "topic", "code")
)
QUEUED = gauge(
    "guanxin_bus_queued_records", "records", "Records fetched and waiting in the process", ("group", "topic")
)
LAG = gauge(
    "guanxin_bus_lag_records",
    "records",
    "Records of a partition whose effect is not complete",
    ("group", "topic", "partition"),
)
ASSIGNED = gauge("guanxin_bus_assigned_partitions", "partitions", "Partitions this process takes", ("group",))
REBALANCES = counter("guanxin_bus_rebalances_total", "events", "Assignments received", ("group",))
OFFSET_RESETS = counter(
    "guanxin_bus_offset_resets_total",
    "events",
    "Stored offsets that lay outside the log, so that reading began elsewhere",
    ("group", "topic"),
)
RELAYED = counter("guanxin_bus_relayed_total", "rows", "Outbox rows published late, by the relay", ("relay",))
RELAY_LEADER = gauge("guanxin_bus_relay_leader", "processes", "1 where this process holds the relay's lock", ("relay",))
