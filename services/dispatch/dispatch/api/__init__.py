"""Every way in: HTTP. Reads and small commands only."""
