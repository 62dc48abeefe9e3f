"""The connections of the server: direct requests are answered here, others by uvicorn.

uvicorn makes a task with two channels of each request, which takes a quarter of a decision's CPU
time. This protocol understands only what it must: a complete POST request to a direct route,
with headers in the plain form that clients send. At the first request that is anything else, the
connection is handed to uvicorn for good, with the bytes of that request.

One request of a connection is answered at a time. Those that a client has sent ahead wait.
"""

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple, cast

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.server import ServerState

from rl_runner.serving.api.boundary import (
    BODY_SECONDS,
    JSON_TYPE,
    SECURITY_HEADERS,
    Answer,
    error_answer,
    log_request,
    new_request_id,
    too_large,
    too_slow,
)
from rl_runner.serving.api.direct import DirectRoute, DirectRoutes, Pending
from rl_runner.serving.problems import ApiError

MOST_HEAD = 16_384  # bytes of a request's head; a longer one is uvicorn's
MOST_AHEAD = 65_536  # bytes that are read while an answer is awaited
_START = b"POST /v1/decisions"
_DECIDE = _START + b" "

_HEAD = re.compile(
    rb"POST (/v1/decisions(?:/[\w.:-]+/[a-z-]+)?) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
)
# With one of these headers a request has another form than this parser reads.
_NOT_DIRECT_HEADERS = {"transfer-encoding", "expect", "upgrade"}
_LENGTH = re.compile(r"[0-9]{1,15}")


_SECURITY = b"".join(b"%s: %s\r\n" % each for each in SECURITY_HEADERS)
_CLOSE = b"connection: close\r\n"


def _start_of_answer(status: int, media_type: bytes) -> bytes:
    line = b"HTTP/1.1 %d %s\r\n" % (status, HTTPStatus(status).phrase.encode())
    return line + b"content-type: " + media_type + b"\r\n" + _SECURITY


_OK = _start_of_answer(200, JSON_TYPE)


class Head(NamedTuple):
    """The head of a direct request."""

    path: str
    headers: Mapping[str, str]  # by their names in lower case
    length: int  # of the body, in bytes
    keeps_alive: bool


def parse_head(head: bytes) -> Head | None:
    """Return the parts of a request's head, with its last empty line; None if it is uvicorn's."""
    found = _HEAD.fullmatch(head)
    if found is None:
        return None
    headers: dict[str, str] = {}
    for line in found[2].decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        if name in _NOT_DIRECT_HEADERS or (name == "content-length" and name in headers):
            return None
        headers[name] = value.strip(" \t")
    length = headers.get("content-length", "0")
    connection = headers.get("connection", "keep-alive").lower()
    if connection not in {"keep-alive", "close"} or not _LENGTH.fullmatch(length):
        return None
    return Head(found[1].decode(), headers, int(length), connection == "keep-alive")


_parse_cached = lru_cache(maxsize=500)(parse_head)  # the requests of a client have the same head


class FastLane(asyncio.Protocol):
    """One connection. Subclasses know the service: :func:`fast_lane`."""

    routes: DirectRoutes
    observe: Callable[[str, int, float], None]

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._uvicorn = {"config": config, "server_state": server_state, "app_state": app_state}
        self._connections: set[Any] = server_state.connections
        self._limit = config.limit_concurrency
        self._idle_seconds = config.timeout_keep_alive
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle
        self._since = 0.0  # when the connection began to be idle, or to wait for a request's rest
        self._received = bytearray()
        # The request whose head has arrived, and the answer that is awaited.
        self._head: Head | None = None
        self._pending: Pending | None = None
        self._route: DirectRoute
        self._event_id = self._request_id = ""
        self._started = 0.0
        # The state of the connection.
        self._is_lost = self._is_ending = self._is_discarding = False
        self._is_write_paused = self._is_read_paused = False

    # --- what the event loop and the server call --------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request; let uvicorn refuse a connection beyond the limit."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not one by its class
        self._connections.add(self)
        self._since = self._loop.time()
        self._timer = self._loop.call_later(self._idle_seconds, self._end_if_idle)
        if self._limit is not None and len(self._connections) >= self._limit:
            self._hand_over()  # to be refused there

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting. An answer under way is not sent; what its request stores is stored."""
        del exc
        self._is_lost = True
        self._connections.discard(self)
        self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer once a request is complete; stop reading if too many wait behind it."""
        if self._is_discarding:
            return
        if not self._received and self._head is None:
            self._since = self._loop.time()
        self._received += data
        self._advance()
        is_ahead = self._pending is not None or self._is_write_paused
        if is_ahead and len(self._received) > MOST_AHEAD and not self._is_read_paused:
            self._is_read_paused = True
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """Answer nothing while the client does not read."""
        self._is_write_paused = True

    def resume_writing(self) -> None:
        """Continue, since the client reads again."""
        self._is_write_paused = False
        self._resume_reading()  # the next request may not have arrived as a whole
        self._loop.call_soon(self._advance)

    def shutdown(self) -> None:
        """Close the connection after the answer that is awaited (the server is draining)."""
        self._is_ending = True
        if self._pending is None:
            self._transport.close()

    # --- requests ---------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Begin with the next request, if it has arrived."""
        if self._pending is not None or self._is_write_paused or self._transport.is_closing():
            return
        head = self._head or self._take_head()
        if head is None:
            return
        if head.length > self.routes.service.config.max_body:
            self._refuse_unread(too_large(self.routes.service.config.max_body))
        elif len(self._received) >= head.length:
            body = bytes(self._received[: head.length])
            del self._received[: head.length]
            self._answer(head, body)

    def _take_head(self) -> Head | None:
        """Return the head of the next request, once it is complete and direct."""
        end = self._received.find(b"\r\n\r\n") + 4
        if end < 4:
            is_direct = self._received.startswith(_START[: len(self._received)])
            if not is_direct or len(self._received) > MOST_HEAD:
                self._hand_over()
            return None
        text = bytes(self._received[:end])
        head = (_parse_cached if text.startswith(_DECIDE) else parse_head)(text)
        found = None if head is None else self.routes.find(head.path)
        if head is None or found is None:
            self._hand_over()
            return None
        del self._received[:end]
        self._head = head
        self._route, self._event_id = found
        self._started = time.perf_counter()
        self._request_id = new_request_id()
        return head

    def _answer(self, head: Head, body: bytes) -> None:
        """Begin to answer a request."""
        try:
            pending = self.routes.begin(self._route, self._event_id, head.headers, body)
        except Exception as error:  # noqa: BLE001 - this is where errors become answers
            self._refuse(error)
            return
        self._pending = pending
        pending.future.add_done_callback(self._finish)

    def _finish(self, future: "asyncio.Future[Any]") -> None:
        """Answer with the result."""
        pending, self._pending = self._pending, None
        assert pending is not None  # noqa: S101 - for the types
        try:
            body = pending.render(future.result()).encode()
        except asyncio.CancelledError:
            self._refuse(ApiError("unavailable", "The server is shutting down."))
        except Exception as error:  # noqa: BLE001 - this is where errors become answers
            self._refuse(error)
        else:
            self._write(200, _OK, body)

    def _refuse(self, error: Exception) -> None:
        """Answer with a problem."""
        asked = f"POST {self._path}"
        answer = error_answer(self.routes.service, error, asked, self._request_id)
        self._write(answer.status, _start_of_problem(answer), answer.body)

    def _refuse_unread(self, error: ApiError) -> None:
        """Refuse a request whose body is not read; the connection ends when the client has read it.

        Closing it at once, with bytes that were not read, could take the answer from the client.
        """
        self._is_ending = self._is_discarding = True
        self._received.clear()
        self._refuse(error)

    @property
    def _path(self) -> str:
        return "" if self._head is None else self._head.path

    def _write(self, status: int, start: bytes, body: bytes) -> None:
        """Send an answer, and continue with the next request."""
        seconds = time.perf_counter() - self._started
        self.observe(self._route.name, status, seconds)
        if status >= 400:
            log_request("POST", self._path, self._request_id, status, seconds)
        head, self._head = self._head, None
        if self._is_lost:
            return
        is_last = self._is_ending or (head is not None and not head.keeps_alive)
        end = b"content-length: %d\r\nx-request-id: %s\r\n%s\r\n" % (
            len(body),
            self._request_id.encode(),
            _CLOSE if is_last else b"",
        )
        self._transport.write(start + end + body)
        self._since = self._loop.time()
        self._resume_reading()
        if is_last and not self._is_discarding:
            self._transport.close()
        elif self._received:
            self._loop.call_soon(self._advance)

    def _resume_reading(self) -> None:
        if self._is_read_paused:
            self._is_read_paused = False
            self._transport.resume_reading()

    # --- time, and other requests -----------------------------------------------------------------

    def _end_if_idle(self) -> None:
        """End a connection that has waited for too long for a request, or for the rest of one."""
        now = self._loop.time()
        is_arriving = bool(self._received) or self._head is not None
        until = self._since + (BODY_SECONDS if is_arriving else self._idle_seconds)
        if self._pending is not None:
            until = now + self._idle_seconds
        if now < until:
            self._timer = self._loop.call_later(until - now, self._end_if_idle)
        elif self._head is not None:
            self._refuse_unread(too_slow())
            self._transport.close()
        else:
            self._transport.close()

    def _hand_over(self) -> None:
        """Let uvicorn answer this request, and all that follow."""
        self._timer.cancel()
        self._connections.discard(self)
        make: Callable[..., asyncio.Protocol] = AutoHTTPProtocol
        other = make(**self._uvicorn, _loop=self._loop)
        other.connection_made(self._transport)
        self._transport.set_protocol(other)
        received, self._received = bytes(self._received), bytearray()
        if received:
            other.data_received(received)


def _start_of_problem(answer: Answer) -> bytes:
    own = b"".join(b"%s: %s\r\n" % each for each in answer.headers)
    return _start_of_answer(answer.status, answer.media_type) + own


def fast_lane(
    routes: DirectRoutes, observe: Callable[[str, int, float], None]
) -> type[asyncio.Protocol]:
    """Return the protocol of a service's connections.

    :param observe: called with route, status and seconds of each request
    """
    return type("BoundFastLane", (FastLane,), {"routes": routes, "observe": staticmethod(observe)})
