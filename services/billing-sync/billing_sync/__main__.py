"""``python -m billing_sync`` runs one charging process."""

from __future__ import annotations

from billing_sync.app import compose
from billing_sync.settings import BillingSettings
from servicekit import lifecycle

if __name__ == "__main__":
    lifecycle.run(BillingSettings(), compose)
