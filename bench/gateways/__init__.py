"""Gateways under the same load and against the same simulated carrier: how each is set up, started, killed and stopped."""
