"""Decisions of screening: texts, rules, windows and classes; no I/O, no clock, nothing awaited."""
