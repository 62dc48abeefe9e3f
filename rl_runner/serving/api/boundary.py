"""The one place that catches errors, limits requests, and logs them as JSON.

It is plain ASGI, since the hot route must not pay for a middleware stack.
"""

import asyncio
import itertools
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
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


class Boundary:
    """Wraps the application.

    :param observe: called with route, status and seconds of each request
    """

    def __init__(self, app: App, observe: Callable[[str, int, float], None]) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0
        request_id = f"{_PROCESS}{next(_counter):08x}"

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = [*SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        scope["request_id"] = request_id
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
    problem = _as_problem(request, error)
    body = problem.body(request.scope["request_id"])
    return Response(body, problem.status, problem.headers, MEDIA_TYPE)


def _as_problem(request: Request, error: Exception) -> ApiError:
    service: Service = request.app.state.service
    if isinstance(error, ApiError):
        if error.status >= 500:
            service.note_error(error.detail)
        return error
    if isinstance(error, HTTPException):  # of the router
        kind = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "internal")
        what = f"{request.method} {request.url.path} is not part of this API; /docs lists it."
        return ApiError(kind, what, headers=error.headers)
    service.note_error(error)
    if isinstance(error, RunnerError):  # of the registry: the cure is in it
        return ApiError("conflict", describe_exception(error))
    fields = {"event": "fault", "request_id": request.scope["request_id"]}
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


async def read_body(receive: Receive, headers: Any, most: int) -> bytes:
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
