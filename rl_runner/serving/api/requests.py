"""What all routes do with a request: check the key, read the body, answer with JSON."""

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.serving.api.boundary import read_body
from rl_runner.serving.keys import ApiKey, Scope
from rl_runner.serving.problems import ApiError
from rl_runner.serving.service import Service

if TYPE_CHECKING:
    from rl_runner.serving.api.access import Access

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
MOST_ERRORS = 10  # of one request that are listed

Model = TypeVar("Model", bound=BaseModel)


def service_of(request: Request) -> Service:
    """Return the service that the application runs."""
    service: Service = request.app.state.service
    return service


def require(request: Request, scope: Scope, asks_by: str = "Bearer") -> ApiKey:
    """Return the API key of a request.

    :raises ApiError: if it is missing or unknown, lacks the scope, or is used too often
    """
    access: Access = request.app.state.access
    return access.require(request.headers, scope, asks_by)


def require_for_people(request: Request) -> None:
    """Let anyone on this machine read, and others with a key for administrators.

    The name by which the server was asked is checked too: otherwise a web page elsewhere could read
    what is meant for this machine, by letting its own name mean 127.0.0.1.

    :raises ApiError: if the key is missing or unknown, or lacks the scope
    """
    is_local = service_of(request).config.host in LOOPBACK and request.url.hostname in LOOPBACK
    if not is_local:
        require(request, "admin", asks_by='Basic realm="rl serve"')


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
