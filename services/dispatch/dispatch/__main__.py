"""Start a dispatch worker: ``python -m dispatch``."""

from __future__ import annotations

from dispatch.app import compose
from dispatch.settings import DispatchSettings
from servicekit import lifecycle

if __name__ == "__main__":
    lifecycle.run(DispatchSettings(), compose)
