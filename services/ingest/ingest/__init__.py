"""The way in, the record of truth and the status of every message."""
