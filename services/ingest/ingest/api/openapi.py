"""The OpenAPI document: request bodies from the very types that decode them, so that document and decoder cannot differ."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ingest.api.documents import ProblemDocument
from ingest.domain.request import MessageRequest, TaskForm, TaskRequest

_EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "TaskRequest": [
        {
            "port": "1065795598",
            "class": "notice",
            "template": "【国网电力】尊敬的{name}，您{month}月电费{amount}元，请按时缴纳。",
            "recipients": [
                {"to": "13800138000", "variables": {"name": "张先生", "month": "10", "amount": "86.40"}},
                {"to": "13000130000", "variables": {"name": "李女士", "month": "10", "amount": "120.15"}},
            ],
            "validity": 3600,
            "ref": "3301000123",
        },
        {
            "port": "1065795598",
            "class": "marketing",
            "content": "【国网电力】网上缴费立减五元，回T退订",
            "recipients": ["13800138000"],
        },
    ],
    "MessageRequest": [
        {
            "port": "1065795598",
            "class": "verification",
            "to": "13800138000",
            "content": "【国网电力】验证码 482913，十分钟内有效。",
        }
    ],
}


def describe(app: FastAPI) -> None:
    """Make the application answer with the completed document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def build(app: FastAPI) -> dict[str, Any]:
    """Return the document: the framework's, with request bodies, examples, problems and authentication added."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, bodies = msgspec.json.schema_components(
        (TaskRequest, MessageRequest, TaskForm), ref_template="#/components/schemas/{name}"
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name, schema in bodies.items():
        schemas[name] = _ecma(schema)
        if name in _EXAMPLES:
            schemas[name]["examples"] = _EXAMPLES[name]
    upload = schemas.pop("TaskForm")
    upload["properties"]["file"] = {"type": "string", "format": "binary", "description": ".csv, .txt, .xlsx"}
    upload["required"] = [*upload.get("required", []), "file"]
    schemas["TaskUpload"] = upload
    schemas["ProblemDocument"] = ProblemDocument.model_json_schema()
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "gx_…"}}
    document["security"] = [{"key": []}]
    return document


def _ecma(schema: Any) -> Any:
    """Return the schema with Python's end-of-text anchor as JSON Schema writes it."""
    if isinstance(schema, dict):
        return {
            key: value.replace("\\Z", "$") if key == "pattern" and isinstance(value, str) else _ecma(value)
            for key, value in schema.items()
        }
    return [_ecma(each) for each in schema] if isinstance(schema, list) else schema
