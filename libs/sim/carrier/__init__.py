"""A carrier's short message gateway: takes submits, sends receipts and replies, misbehaves on demand."""
