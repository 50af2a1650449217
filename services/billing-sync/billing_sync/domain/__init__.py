"""Decisions of charging: state vectors, tariffs, records and file names; no I/O, no clock, nothing awaited."""
