"""Declared metrics of spamfilter."""

from __future__ import annotations

from servicekit.metrics import counter, gauge, histogram

MESSAGES = counter(
    "guanxin_spamfilter_messages_total", "messages", "Messages screened, by lane and verdict", ("lane", "verdict")
)
FINDINGS = counter(
    "guanxin_spamfilter_findings_total", "findings", "Rules that fired, by category and level", ("category", "level")
)
DEMOTED = counter("guanxin_spamfilter_demoted_total", "messages", "Messages sent as codes that are none")
CHUNK_SECONDS = histogram(
    "guanxin_spamfilter_chunk_seconds",
    "seconds",
    "CPU time of screening one chunk",
    ("lane",),
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25),
)
REBUILDS = counter(
    "guanxin_spamfilter_rebuilds_total", "rebuilds", "Partitions whose windows were read back from the log"
)
REBUILD_SECONDS = histogram(
    "guanxin_spamfilter_rebuild_seconds", "seconds", "Time to read the windows of one partition back"
)
RULESET = gauge("guanxin_spamfilter_ruleset_number", "number", "Number of the rule set in force in this process")
LOG_REFUSED = counter(
    "guanxin_spamfilter_log_refused_total", "records", "Records of the log of counts that could not be read"
)
