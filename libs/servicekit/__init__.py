"""What every service needs and none should write again: settings, database, migrations, telemetry, health, lifecycle,
auth, clock.

Knows nothing of Kafka (that is `bus`) and nothing of any service.
"""
