"""The description of the API for people: one HTML document, without scripts.

It shows the OpenAPI document of the service, so the two cannot differ.
"""

import json
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.serving.api.documentation import documented
from rl_runner.serving.api.page import html_answer
from rl_runner.serving.api.requests import service_of

router = APIRouter(tags=["page"])

_LIMITS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "above",
    "exclusiveMaximum": "below",
    "minLength": "characters: at least",
    "maxLength": "characters: at most",
    "minItems": "items: at least",
    "maxItems": "items: at most",
    "pattern": "matches",
}

Schema = dict[str, Any]


@router.get(
    "/docs",
    summary="The description of the API, for people",
    **documented(media_type="text/html", refused=(), needs_key=False),
)
async def reference(request: Request) -> Response:
    """Show every request, its answers, and the messages."""
    document = request.app.openapi()
    service = service_of(request)
    example = {"user_id": "u1", "session_id": "s1", "context": service.example()}
    contents = {
        "title": document["info"]["title"],
        "url": str(request.base_url).rstrip("/"),
        "example": json.dumps(example, indent=2),
        "outcome": json.dumps({"outcomes": [service.example_outcome()]}, indent=2),
        "operations": _operations(document),
        "messages": _messages(document),
    }
    return html_answer("reference.html", contents)


def _operations(document: Schema) -> list[Schema]:
    """Return one entry per path and method."""
    found = []
    for path, methods in document["paths"].items():
        for method, each in methods.items():
            body = each.get("requestBody", {}).get("content", {})
            statuses: dict[str, list[str]] = {}  # by the message of the answer
            for status, answer in each["responses"].items():
                kinds = ", ".join(_content(part) for part in answer.get("content", {}).values())
                statuses.setdefault(kinds, []).append(str(status))
            found.append(
                {
                    "method": method.upper(),
                    "path": path,
                    "summary": each.get("summary", ""),
                    "needs_key": bool(each.get("security")),
                    "body": [_content(part) for part in body.values()],
                    "answers": [(", ".join(each), kinds) for kinds, each in statuses.items()],
                }
            )
    return found


def _content(part: Schema) -> str:
    return _kind(part.get("schema", {}))


def _messages(document: Schema) -> list[Schema]:
    """Return the fields of each message."""
    found = []
    for name, schema in sorted(document["components"]["schemas"].items()):
        required = schema.get("required", ())
        fields = [
            (field, _kind(each), "required" if field in required else _default(each), _limits(each))
            for field, each in schema.get("properties", {}).items()
        ]
        about = schema.get("description", "")
        found.append({"name": name, "description": about, "fields": fields})
    return found


def _kind(schema: Schema) -> str:
    """Return the type of a value, in words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " or ".join(map(json.dumps, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if schema.get("type") == "array":
        return f"array of {_kind(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _default(schema: Schema) -> str:
    return f"default {json.dumps(schema['default'])}" if "default" in schema else ""


def _limits(schema: Schema) -> str:
    """Return what a value must be, also where a null is allowed instead."""
    parts = [schema, *schema.get("anyOf", ())]
    parts += [part["items"] for part in parts if isinstance(part.get("items"), dict)]
    return "; ".join(
        f"{words} {part[key]}" for part in parts for key, words in _LIMITS.items() if key in part
    )
