"""A client of a service, with retries that cannot double anything.

::

    from rl_runner.serving.client import Client

    with Client("http://127.0.0.1:8000", key) as client:
        decision = client.decide(context, user_id="u1", session_id="s1")
        ...  # carry out decision.action, or use decision.parameters
        client.report(decision.event_id, like=True, completion_rate=0.8)
"""

import random
import time
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from rl_runner.serving.messages import (
    Decision,
    Message,
    OutcomeReport,
    OutcomeReports,
    Shown,
    Stored,
)
from rl_runner.serving.problems import KINDS

MOST_PAUSE = 5.0  # seconds between two attempts

Answer = TypeVar("Answer", bound=Message)


class ServiceError(Exception):
    """A service has refused a request.

    :param status: the HTTP status
    :param kind: one of :data:`rl_runner.serving.problems.KINDS`
    :param detail: what is wrong, and what to do
    """

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(f"{status} {kind}: {detail}")
        self.status = status
        self.kind = kind
        self.detail = detail


class Client:
    """Talks to one service; safe to use from several threads.

    Every decision and every outcome has an id, so a request whose answer was lost is repeated, and
    the service answers with what it has stored.

    :param url: of the server, e.g. ``http://127.0.0.1:8000``
    :param key: an API key, from ``rl serve keys``
    :param attempts: how often a request is sent while the service is not available
    :param timeout: seconds to wait for an answer
    :param http: another HTTP client, e.g. one with a proxy
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        attempts: int = 5,
        timeout: float = 10.0,
        http: httpx.Client | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._http = http or httpx.Client(timeout=timeout)
        self._headers = {"X-API-Key": key, "Content-Type": "application/json"}
        self._attempts = attempts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def decide(
        self,
        context: Any,
        *,
        user_id: str,
        session_id: str,
        eligible: Sequence[int] | None = None,
        event_id: str | None = None,
        deferred: bool = False,
    ) -> Decision:
        """Ask for an action.

        :param context: as the service's domain or environment says
        :param eligible: numbers of the actions to choose from; default: all
        :param event_id: default: a new one
        :param deferred: whether it counts only after :meth:`shown`
        :raises ServiceError: if the service refuses the request, or stays unavailable
        """
        body = {
            "context": context,
            "user_id": user_id,
            "session_id": session_id,
            "event_id": event_id or uuid.uuid4().hex,
            "deferred": deferred,
        }
        if eligible is not None:
            body["eligible"] = list(eligible)
        return self._post("/v1/decisions", body, Decision)

    def report(self, event_id: str, **outcomes: bool | float | str) -> Stored:
        """Report outcomes of a decision by their kinds, each kind once.

        :raises ServiceError: if the service refuses one of them; then none is stored
        """
        listed = [OutcomeReport(kind=kind, value=value) for kind, value in outcomes.items()]
        return self.report_parts(event_id, listed)

    def report_parts(self, event_id: str, outcomes: Sequence[OutcomeReport]) -> Stored:
        """Report outcomes with times and ids of their own."""
        reports = OutcomeReports(outcomes=list(outcomes)).model_dump(exclude_none=True)
        return self._post(f"/v1/decisions/{event_id}/outcomes", reports, Stored)

    def shown(self, event_id: str, *, shown: bool = True) -> Shown:
        """Report whether a decision was shown to the person."""
        word = "shown" if shown else "not-shown"
        return self._post(f"/v1/decisions/{event_id}/{word}", {}, Shown)

    def _post(self, path: str, body: Any, answer: type[Answer]) -> Answer:
        """Send a request until it is answered, or was sent often enough."""
        refused: Exception = ServiceError(0, "unavailable", "No attempt was made.")
        wait = 0.0  # as the service asks for
        for attempt in range(self._attempts):
            if attempt:  # twice as long each time, and not all clients at once
                pause = min(MOST_PAUSE, 0.1 * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311 - no secret
                time.sleep(max(pause, min(MOST_PAUSE, wait)))
            try:
                response = self._http.post(self._url + path, json=body, headers=self._headers)
            except httpx.TransportError as error:
                refused = error
                continue
            if response.status_code < 400:
                return answer.model_validate_json(response.content)
            refused = _error(response)
            asked = response.headers.get("retry-after", "")
            wait = float(asked) if asked.isdigit() else 0.0
            if response.status_code not in {408, 429, 502, 503, 504}:
                break
        raise refused


def _error(response: httpx.Response) -> ServiceError:
    """Return what a problem document says; other answers may come from a proxy."""
    try:
        problem = response.json()
        kind = str(problem["type"]).rpartition(":")[2]
        return ServiceError(response.status_code, kind, str(problem["detail"]))
    except (ValueError, KeyError, TypeError):
        kind = next((k for k, (status, _) in KINDS.items() if status == response.status_code), "")
        return ServiceError(response.status_code, kind, response.text[:200])
