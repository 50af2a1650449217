"""Simulators of what stands around the platform: carriers and phones.  Shipped, with tests of their own.

They count everything they see, so that a test compares the platform's ledger with the other side's.
"""
