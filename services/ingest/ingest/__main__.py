"""``python -m ingest``: the service as a process."""

from __future__ import annotations

from ingest.app import compose
from ingest.settings import IngestSettings
from servicekit import lifecycle

if __name__ == "__main__":
    lifecycle.run(IngestSettings(), compose)
