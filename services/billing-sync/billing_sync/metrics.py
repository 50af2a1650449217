"""Declared metrics of billing-sync."""

from __future__ import annotations

from servicekit.metrics import counter, gauge

ANSWERED = counter("guanxin_billing_answered_total", "segments", "Accepted segments taken in, each once", ("lane",))
CLOSED = counter("guanxin_billing_closed_total", "segments", "Records closed, by state", ("state",))
REPEATED = counter("guanxin_billing_repeated_total", "segments", "Answers to segments that were answered before")
LATE = counter("guanxin_billing_late_total", "segments", "Receipts of records already closed")
FILES = counter("guanxin_billing_files_total", "files", "Charging files made")
RECORDS = counter("guanxin_billing_records_total", "records", "Records written into files")
UNACKNOWLEDGED = gauge("guanxin_billing_unacknowledged_files", "files", "Files the billing system has not acknowledged")
REFUSED = counter("guanxin_billing_refused_total", "files", "Files or acknowledgements refused, by side", ("side",))
SFTP_SESSIONS = counter("guanxin_billing_sftp_sessions_total", "sessions", "SFTP log-ins, by result", ("result",))
