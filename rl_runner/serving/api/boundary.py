"""The one place that catches errors, limits requests, and logs them as JSON.

It is plain ASGI, since the hot route must not pay for a middleware stack.
"""

import asyncio
import itertools
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.errors import RunnerError, describe_exception
from rl_runner.serving.problems import MEDIA_TYPE, ApiError

if TYPE_CHECKING:
    from rl_runner.serving.api.direct import DirectRoute, DirectRoutes
    from rl_runner.serving.service import Service

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_SECONDS = 10.0  # in which a body must have arrived

_PROCESS = secrets.token_hex(4)
_counter = itertools.count()

logger = logging.getLogger("rl_runner.serving")

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
]

JSON_TYPE = b"application/json"
PROBLEM_TYPE = MEDIA_TYPE.encode()


class Answer(NamedTuple):
    """An answer, but for the headers that all have."""

    status: int
    media_type: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Boundary:
    """Wraps the application.

    :param routes: of the POST requests that are answered without the application's routing and
        middleware
    :param observe: called with route, status and seconds of each request
    """

    def __init__(
        self,
        app: App,
        routes: "DirectRoutes",
        observe: Callable[[str, int, float], None],
    ) -> None:
        self._app = app
        self._routes = routes
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request: directly if it is frequent, otherwise by the application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = scope["request_id"] = new_request_id()
        found = self._routes.find(scope["path"]) if scope["method"] == "POST" else None
        if found is None:
            await self._answer(scope, receive, send, started)
            return
        route, event_id = found
        status = await self._answer_directly(route, event_id, scope, receive, send)
        seconds = time.perf_counter() - started
        self._observe(route.name, status, seconds)
        if status >= 400:
            log_request(scope["method"], scope["path"], request_id, status, seconds)

    async def _answer_directly(
        self, route: "DirectRoute", event_id: str, scope: Scope, receive: Receive, send: Send
    ) -> int:
        """Answer a request with JSON, or with a problem; return the status."""
        service, request_id = self._routes.service, scope["request_id"]
        try:
            headers = headers_of(scope)
            body = await read_body(receive, headers, service.config.max_body)
            pending = self._routes.begin(route, event_id, headers, body)
            text = pending.render(await pending.future)
        except Exception as error:  # noqa: BLE001 - this is where errors become answers
            asked = f"{scope['method']} {scope['path']}"
            answer = error_answer(service, error, asked, request_id)
        else:
            answer = Answer(200, JSON_TYPE, [], text.encode())
        own = [
            (b"content-type", answer.media_type),
            (b"content-length", b"%d" % len(answer.body)),
            (b"x-request-id", request_id.encode()),
            *SECURITY_HEADERS,
            *answer.headers,
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": own})
        await send({"type": "http.response.body", "body": answer.body})
        return answer.status

    async def _answer(self, scope: Scope, receive: Receive, send: Send, started: float) -> None:
        """Answer a request by the application."""
        request_id, status = scope["request_id"], 0

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [*SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if not status:  # otherwise it was answered and logged, by `answer_error`
                raise
        finally:
            seconds = time.perf_counter() - started
            route = _route(scope)
            self._observe(route, status, seconds)
            if status >= 400 or route.startswith("/v1/models"):
                log_request(scope["method"], scope["path"], request_id, status, seconds)


def _route(scope: Scope) -> str:
    """Return the path of a route with its parameters' names; not what a stranger asked for."""
    if "route" in scope:
        return str(scope["route"].path)
    return str(scope["path"]) if "endpoint" in scope else "unknown"


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer any exception with a problem document; faults are kept for the page and the log."""
    request_id = request.scope["request_id"]
    asked = f"{request.method} {request.url.path}"
    problem = _as_problem(request.app.state.service, error, asked, request_id)
    return Response(problem.body(request_id), problem.status, problem.headers, MEDIA_TYPE)


def error_answer(service: "Service", error: Exception, asked: str, request_id: str) -> Answer:
    """Return the problem document that an exception becomes.

    :param asked: method and path of the request
    """
    problem = _as_problem(service, error, asked, request_id)
    headers = [(name.lower().encode(), text.encode()) for name, text in problem.headers.items()]
    return Answer(problem.status, PROBLEM_TYPE, headers, problem.body(request_id))


def _as_problem(service: "Service", error: Exception, asked: str, request_id: str) -> ApiError:
    if isinstance(error, ApiError):
        if error.status >= 500:
            service.note_error(error.detail)
        return error
    if isinstance(error, HTTPException):  # of the router
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "internal")
        what = f"{asked} is not part of this API; /docs lists it."
        return ApiError(kind, what, headers=error.headers)
    service.note_error(error)
    if isinstance(error, SQLAlchemyError) or isinstance(error.__cause__, SQLAlchemyError):
        what = "The store is not available. Repeat the request later."
        return ApiError("unavailable", what, headers={"Retry-After": "1"})
    if isinstance(error, RunnerError):  # of the registry: the cure is in it
        return ApiError("conflict", describe_exception(error))
    fields = {"event": "fault", "request_id": request_id}
    logger.error(json.dumps(fields), exc_info=error)
    return ApiError("internal", "The server has a fault; its log has this request's id.")


def log_request(method: str, path: str, request_id: str, status: int, seconds: float) -> None:
    """Write one line of JSON about a request, without its body, query and headers."""
    fields = {
        "event": "request",
        "request_id": request_id,
        "method": method,
        "path": path,
        "status": status,
        "ms": round(seconds * 1000, 2),
    }
    logger.log(logging.WARNING if status >= 500 else logging.INFO, json.dumps(fields))


def new_request_id() -> str:
    """Return an id that no other request has."""
    return f"{_PROCESS}{next(_counter):08x}"


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers of a request, by their names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(receive: Receive, headers: Mapping[str, str], most: int) -> bytes:
    """Return a request's body.

    :raises ApiError: if it is larger than ``most`` bytes, or arrives too slowly
    """
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise too_large(most)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ApiError("timeout", "The client has closed the connection.")
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > most:
                    raise too_large(most)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise too_slow() from None


def too_slow() -> ApiError:
    """Return what is said of a body that arrives too slowly."""
    return ApiError("timeout", f"The body did not arrive in {BODY_SECONDS:g} s.")


def too_large(most: int) -> ApiError:
    """Return what is said of a body of more than so many bytes."""
    return ApiError("too-large", f"A body may have {most:,} bytes. Send several requests.")
