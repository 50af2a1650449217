"""spamfilter: every accepted message is screened here before anything else may happen to it.

A pure stage between `ingest.accepted` and review: it consumes, judges, produces, waits for the acknowledgement and
commits.
"""
