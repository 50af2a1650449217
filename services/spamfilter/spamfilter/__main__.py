"""``python -m spamfilter`` runs one screening process."""

from __future__ import annotations

from servicekit import lifecycle
from spamfilter.app import compose
from spamfilter.settings import SpamfilterSettings

if __name__ == "__main__":
    lifecycle.run(SpamfilterSettings(), compose)
