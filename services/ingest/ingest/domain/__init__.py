"""Decisions without I/O, clock or await: what is accepted, how it is cut, and what an event makes of a state."""
