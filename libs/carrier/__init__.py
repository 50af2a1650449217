"""Carrier protocols without I/O: one windowed session engine for both roles, and one dialect per wire protocol.

Nothing in this package opens a socket, reads a clock or awaits. Time is an argument (monotonic seconds as a float), the
next deadline is a return value, octets go in and come out. Only a file under ``carrier.dialects`` knows a protocol's
name.
"""
