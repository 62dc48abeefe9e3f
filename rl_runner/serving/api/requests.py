"""What all routes do with a request: check the key, read the body, answer with JSON."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.serving.api.boundary import read_body
from rl_runner.serving.keys import Keys, Scope
from rl_runner.serving.problems import ApiError
from rl_runner.serving.service import Service

MOST_ERRORS = 10  # of one request that are listed

Model = TypeVar("Model", bound=BaseModel)


def service_of(request: Request) -> Service:
    """Return the service that the application runs."""
    service: Service = request.app.state.service
    return service


def require(request: Request, scope: Scope) -> None:
    """Check the API key.

    It comes in `X-API-Key`, as `Authorization: Bearer …`, or in `X-Admin-Key`.

    :raises ApiError: if it is missing or unknown, or lacks the scope
    """
    keys: Keys = request.app.state.keys
    headers = request.headers
    token = headers.get("x-api-key") or headers.get("x-admin-key")
    if token is None:
        kind, _, value = headers.get("authorization", "").partition(" ")
        token = value if kind.lower() == "bearer" else None
    if token is None:
        what = "Send your key in the header X-API-Key; `rl serve keys CONFIG --add NAME` makes one."
        raise ApiError("unauthorized", what, headers={"WWW-Authenticate": "Bearer"})
    key = keys.find(token)
    if key is None:
        what = "The API key is unknown."
        raise ApiError("unauthorized", what, headers={"WWW-Authenticate": "Bearer"})
    if scope not in key.scopes:
        has = ", ".join(key.scopes)
        raise ApiError("forbidden", f"This needs the scope `{scope}`; the key has: {has}.")


async def body_as(request: Request, model: type[Model]) -> Model:
    """Read and check a body.

    :raises ApiError: naming every part that is wrong
    """
    service = service_of(request)
    body = await read_body(request.receive, request.headers, service.config.max_body)
    return parse(body, model)


def parse(body: bytes, model: type[Model]) -> Model:
    """Return a JSON document as a message.

    :raises ApiError: naming every part that is wrong
    """
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise as_problem(error) from None


def as_problem(error: ValidationError, prefix: str = "") -> ApiError:
    """Return a validation error as a problem with one entry per invalid part."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    if details[0]["type"] == "json_invalid":
        return ApiError("malformed-json", f"{details[0]['msg']}.")
    listed = [
        {"pointer": prefix + _pointer(item["loc"]), "detail": item["msg"]}
        for item in details[:MOST_ERRORS]
    ]
    first = listed[0]
    return ApiError("invalid-request", f"{first['pointer'] or '/'}: {first['detail']}.", listed)


def _pointer(path: tuple[str | int, ...]) -> str:
    """Return a path as a JSON pointer (RFC 6901)."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return "".join(f"/{step}" for step in steps).encode("utf-8", "backslashreplace").decode()


def answer(document: BaseModel | str, status: int = 200) -> Response:
    """Return an answer in JSON."""
    text = document if isinstance(document, str) else document.model_dump_json()
    return Response(text, status, media_type="application/json")
