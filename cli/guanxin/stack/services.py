"""The services of the platform by name, and how many of one the local stack will start."""

SERVICES = ("ingest", "spamfilter", "review", "dispatch", "billing-sync")
MOST_WORKERS = 64
