"""Everything that crosses the bus, and nothing else.

The only place where an event, a topic or the envelope is defined.  Pure: no I/O, no clock, no randomness of its own.
"""
