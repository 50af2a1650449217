"""``python -m contracts``: write `schemas/` anew, or with ``--check`` fail on any difference.

Without ``--breaking`` a difference that breaks consumers is refused: give the event a new version instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from contracts.export import asyncapi_document, breaking_differences, schema_documents

SCHEMAS = Path(__file__).parent / "schemas"


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 done, 1 the committed schemas differ or the change is breaking, 2 wrong use."""
    if set(arguments) - {"--check", "--breaking"}:
        print("usage: python -m contracts [--check] [--breaking]", file=sys.stderr)
        return 2
    documents = {**schema_documents(), "asyncapi.json": asyncapi_document()}
    breaking: list[str] = []
    stale: list[str] = []
    for name, document in documents.items():
        path = SCHEMAS / name
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
        old = path.read_text("utf-8") if path.exists() else ""
        if old == text:
            continue
        stale.append(name)
        if old and name != "asyncapi.json":
            breaking += [
                f"{name}: {difference}" for difference in breaking_differences(msgspec.json.decode(old), document)
            ]
        if "--check" not in arguments and (not breaking or "--breaking" in arguments):
            path.write_text(text, "utf-8")
    for line in breaking:
        print(f"breaking: {line}", file=sys.stderr)
    if "--check" in arguments:
        for name in stale:
            print(f"differs from the types: libs/contracts/schemas/{name}", file=sys.stderr)
        return 1 if stale else 0
    return 1 if breaking and "--breaking" not in arguments else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
