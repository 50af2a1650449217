"""``python -m review``: one process of the review service."""

from __future__ import annotations

from review.app import compose
from review.settings import ReviewSettings
from servicekit import lifecycle

if __name__ == "__main__":
    lifecycle.run(ReviewSettings(), compose)
