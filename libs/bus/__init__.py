"""The event bus: the only package that imports aiokafka, and the only place that knows how offsets, outboxes and dead
letters work.
"""
