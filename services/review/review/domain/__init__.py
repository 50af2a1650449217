"""Decisions of review: pure, no clock, no I/O; time is an argument."""
