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
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.errors import RunnerError, describe_exception
from rl_runner.serving.problems import MEDIA_TYPE, ApiError

if TYPE_CHECKING:
    from rl_runner.serving.service import Service

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Direct = Callable[[Scope, Receive], Awaitable[bytes]]
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
NO_HEADERS: list[tuple[bytes, bytes]] = []


class Boundary:
    """Wraps the application.

    :param direct: by their paths, the POST requests that are answered without the application's
        routing and middleware: a function from a request's scope and body to JSON, status 200
    :param observe: called with route, status and seconds of each request
    """

    def __init__(
        self,
        app: App,
        service: "Service",
        direct: Mapping[str, Direct],
        observe: Callable[[str, int, float], None],
    ) -> None:
        self._app = app
        self._service = service
        self._direct = direct
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = scope["request_id"] = f"{_PROCESS}{next(_counter):08x}"
        path = scope["path"]
        direct = self._direct.get(path) if scope["method"] == "POST" else None
        if direct is not None:
            status = await self._answer_directly(direct, scope, receive, send)
            seconds = time.perf_counter() - started
            self._observe(path, status, seconds)
            if status >= 400:
                log_request(scope, request_id, status, seconds)
            return
        await self._answer(scope, receive, send, started)

    async def _answer_directly(
        self, direct: Direct, scope: Scope, receive: Receive, send: Send
    ) -> int:
        """Answer a request with JSON, or with a problem; return the status."""
        request_id: str = scope["request_id"]
        status, kind, more = 200, JSON_TYPE, NO_HEADERS
        try:
            body = await direct(scope, receive)
        except Exception as error:  # noqa: BLE001 - this is where errors become answers
            problem = _as_problem(self._service, scope, error)
            body, status, kind = problem.body(request_id), problem.status, PROBLEM_TYPE
            more = [(k.lower().encode(), v.encode()) for k, v in problem.headers.items()]
        headers = [
            (b"content-type", kind),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode()),
            *SECURITY_HEADERS,
            *more,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return status

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
                log_request(scope, request_id, status, seconds)


def _route(scope: Scope) -> str:
    """Return the path of a route with its parameters' names; not what a stranger asked for."""
    if "route" in scope:
        return str(scope["route"].path)
    return str(scope["path"]) if "endpoint" in scope else "unknown"


async def answer_error(request: Request, error: Exception) -> Response:
    """Answer any exception with a problem document; faults are kept for the page and the log."""
    problem = _as_problem(request.app.state.service, request.scope, error)
    body = problem.body(request.scope["request_id"])
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)


def _as_problem(service: "Service", scope: Scope, error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        if error.status >= 500:
            service.note_error(error.detail)
        return error
    if isinstance(error, HTTPException):  # of the router
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "internal")
        what = f"{scope['method']} {scope['path']} is not part of this API; /docs lists it."
        return ApiError(kind, what, headers=error.headers)
    service.note_error(error)
    if isinstance(error, RunnerError):  # of the registry: the cure is in it
        return ApiError("conflict", describe_exception(error))
    fields = {"event": "fault", "request_id": scope["request_id"]}
    logger.error(json.dumps(fields), exc_info=error)
    return ApiError("internal", "The server has a fault; its log has this request's id.")


def log_request(scope: Scope, request_id: str, status: int, seconds: float) -> None:
    """Write one line of JSON about a request, without its body, query and headers."""
    fields = {
        "event": "request",
        "request_id": request_id,
        "method": scope["method"],
        "path": scope["path"],
        "status": status,
        "ms": round(seconds * 1000, 2),
    }
    logger.log(logging.WARNING if status >= 500 else logging.INFO, json.dumps(fields))


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers of a request, by their names in lower case."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


async def read_body(receive: Receive, headers: Mapping[str, str], most: int) -> bytes:
    """Return a request's body.

    :raises ApiError: if it is larger than ``most`` bytes, or arrives too slowly
    """
    declared = headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise _too_large(most)
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
                    raise _too_large(most)
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        raise ApiError("timeout", f"The body did not arrive in {BODY_SECONDS:g} s.") from None


def _too_large(most: int) -> ApiError:
    return ApiError("too-large", f"A body may have {most:,} bytes. Send several requests.")
