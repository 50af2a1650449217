"""A carrier's short message gateway: accepts sessions, answers submits, sends receipts and replies, and misbehaves on demand."""
