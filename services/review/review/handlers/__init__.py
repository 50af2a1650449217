"""One use case a file: the gate, withdrawals, decisions, releases and the clockwork."""
