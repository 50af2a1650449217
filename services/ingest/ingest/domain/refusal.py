"""Why a request is refused before anything is stored: a stable code and what a person needs to mend it.

Boundary: the HTTP status and the sentences belong to `ingest.problems`; here are only codes, so that the domain stays pure and a
refusal can cross a process boundary.
"""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """The request as a whole cannot be accepted; ``code`` is a key of `ingest.problems.REFUSALS`."""

    def __init__(self, code: str, details: dict[str, Any] | None = None) -> None:
        # Both go to Exception's own args, which is what pickling carries between processes.
        super().__init__(code, details or {})
        self.code = code
        self.details = details or {}
