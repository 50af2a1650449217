"""The real engines of the local stack: Apache Kafka from its jars and PostgreSQL from its binaries, no container
needed.

Each module knows how to obtain its engine, to prepare a data directory, which command runs it and when it is ready. Who
starts and watches the process is the supervisor's or the test bed's affair.
"""
