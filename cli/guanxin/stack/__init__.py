"""The local stack: real broker, real database, simulators and services under one supervisor, started by one command."""
