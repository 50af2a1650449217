"""Metrics of servicekit itself."""

from __future__ import annotations

from servicekit.metrics import counter, gauge, histogram

DATABASE_LOST = counter(
    "guanxin_servicekit_database_lost_total",
    "events",
    "Times PostgreSQL could not be reached, went away, or did not answer in time",
    ("schema",),
)
DATABASE_RETRIES = counter(
    "guanxin_servicekit_database_retries_total",
    "transactions",
    "Transactions run again after a conflict or a lost connection",
    ("schema", "reason"),
)
HTTP_SECONDS = histogram(
    "guanxin_servicekit_http_seconds", "seconds", "Time to answer an HTTP request", ("method", "route", "status")
)
LOOP_LAG_SECONDS = gauge(
    "guanxin_servicekit_loop_lag_seconds", "seconds", "How late the event loop woke up, largest of the last ten seconds"
)
CLOCK_JUMPS = counter("guanxin_servicekit_clock_jumps_total", "events", "Times the wall clock was seen to jump")
