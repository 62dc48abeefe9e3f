"""The OpenAPI document: routes check their bodies themselves, and say here what they take."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from rl_runner.serving import messages, problems
from rl_runner.serving.messages import DecisionRequest

_REFERENCE = "#/components/schemas/{model}"
_HEADERS = {"X-API-Key": "key", "X-Admin-Key": "admin_key"}


def documented(
    body: type[BaseModel] | None = None,
    answer: type[BaseModel] | None = None,
    *,
    status: int = 200,
    refused: tuple[int, ...] = (401, 403),
    media_type: str = "application/json",
    needs_key: bool = True,
) -> dict[str, Any]:
    """Return the arguments of a route that describe it.

    :param body: the message that it takes
    :param answer: the message that it answers with
    :param refused: the statuses of the problems that it can answer with
    """
    content = {media_type: {"schema": _schema(answer)}} if answer or status != 204 else None
    success: dict[str, Any] = {"description": "Success"}
    if content is not None:
        success["content"] = content
    listed = {*refused, 500, 503} | ({400, 408, 413, 422} if body else set())
    listed |= {429} if needs_key else set()
    problem = {"application/problem+json": {"schema": {"$ref": _REFERENCE.format(model="Problem")}}}
    refusals = {each: {"description": "Refused", "content": problem} for each in sorted(listed)}
    extra: dict[str, Any] = {}
    if body is not None:
        extra["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _schema(body)}},
        }
    if needs_key:
        extra["security"] = [{name: []} for name in _HEADERS.values()]
    return {
        "responses": {status: success, **refusals},
        "status_code": status,
        "openapi_extra": extra,
    }


def _schema(model: type[BaseModel] | None) -> dict[str, Any]:
    return (
        {"type": "string"} if model is None else {"$ref": _REFERENCE.format(model=model.__name__)}
    )


def add_schemas(app: FastAPI, request_model: type[DecisionRequest]) -> None:
    """Let the document of an application contain the messages.

    :param request_model: of a decision, with the context of the service's domain
    """

    def build() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        named = [each for each in vars(messages).values() if _is_message(each)]
        named = [each for each in named if each is not DecisionRequest]
        wanted: list[type[BaseModel]] = [*named, request_model, problems.Problem]
        _, schemas = models_json_schema(
            [(each, "validation") for each in wanted], ref_template=_REFERENCE
        )
        components = document.setdefault("components", {})
        components["schemas"] = {**components.get("schemas", {}), **schemas["$defs"]}
        components["securitySchemes"] = {
            name: {"type": "apiKey", "in": "header", "name": header}
            for header, name in _HEADERS.items()
        }
        app.openapi_schema = document
        return document

    app.openapi = build  # type: ignore[method-assign]  # as FastAPI's manual says


def _is_message(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, messages.Message)
