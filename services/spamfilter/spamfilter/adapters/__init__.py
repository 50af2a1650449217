"""Ways out: events, and the counts read back from the bus."""
