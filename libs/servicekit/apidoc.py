"""The OpenAPI document tells the truth about refusals: which statuses an operation may answer, and that each is a problem document.

What follows from an operation's shape is added here (401 where a token is asked for, 422 where there is something to check, ...);
what only the route knows it says itself, with ``responses=refusals(404, 409)``.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

from servicekit.problems import BY_STATUS, MEDIA_TYPE

_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options", "trace"})
_FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")


class ProblemDocument(BaseModel):
    """RFC 9457 problem details; ``code`` is stable, the words are Chinese or English by ``Accept-Language``."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route or router that may refuse with these statuses."""
    return {
        status: {
            "description": f"{BY_STATUS[status].title_en} / {BY_STATUS[status].title_zh}",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
        }
        for status in statuses
    }


def describe(app: FastAPI) -> None:
    """Make the application answer ``/openapi.json`` with the completed document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def build(app: FastAPI) -> dict[str, Any]:
    """Return the document of the application's routes, refusals included."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
    complete(document)
    return document


def complete(document: dict[str, Any]) -> None:
    """Add to every operation the refusals that follow from its shape."""
    everywhere = bool(document.get("security"))
    for path, item in document.get("paths", {}).items():
        for method, operation in item.items():
            if method in _METHODS:
                _complete(operation, has_path_parameter="{" in path, guarded=everywhere)


def _complete(operation: dict[str, Any], *, has_path_parameter: bool, guarded: bool) -> None:
    # Any operation needs the database sooner or later.
    statuses = {503}
    if operation.get("security", guarded):
        statuses.add(401)
    if has_path_parameter:
        # Also what a value that no route matches (one with a slash) is answered.
        statuses.add(404)
    if operation.get("parameters") or "422" in operation["responses"]:
        statuses.add(422)
    if "requestBody" in operation:
        statuses |= {400, 413, 422}
    made = {str(status): response for status, response in refusals(*statuses).items()}
    kept = {status: response for status, response in operation["responses"].items() if not _of_framework(response)}
    operation["responses"] = dict(sorted({**made, **kept}.items()))


def _of_framework(response: dict[str, Any]) -> bool:
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith("/HTTPValidationError")
