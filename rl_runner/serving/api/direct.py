"""Requests that arrive all the time, answered without the application's routing.

What they do is the same as that of the routes, which are there for the description of the API.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from rl_runner.serving.api.access import Access
from rl_runner.serving.api.requests import as_problem
from rl_runner.serving.keys import Scope
from rl_runner.serving.messages import DecisionRequest, OutcomeReports
from rl_runner.serving.service import Service
from rl_runner.serving.store.jobs import OutcomeCounts, StoredDecision

if TYPE_CHECKING:
    import asyncio

DECISIONS = "/v1/decisions"
OUTCOMES = f"{DECISIONS}/{{event_id}}"
_PATH = re.compile(rf"{DECISIONS}/([^/]+)/(outcomes|shown|not-shown)")

_quoted = lru_cache(maxsize=1000)(json.dumps)  # of the names of policies


class Pending(NamedTuple):
    """An answer that is complete once its future is done."""

    future: "asyncio.Future[Any]"
    render: Callable[[Any], str]  # makes JSON of the future's result


class DirectRoute(NamedTuple):
    """One kind of request."""

    name: str  # its path, with the names of its parameters
    scope: Scope
    begin: Callable[[bytes, str], Pending]  # takes the body and the event id of the path


class DirectRoutes:
    """What is answered directly by one service.

    :param request_model: the message of a request for a decision
    """

    def __init__(
        self, service: Service, access: Access, request_model: type[DecisionRequest]
    ) -> None:
        self.service = service
        self.access = access
        self._decision = request_model.__pydantic_validator__.validate_json
        self._reports = OutcomeReports.__pydantic_validator__.validate_json
        shown, not_shown = (partial(self._begin_shown, is_shown=each) for each in (True, False))
        # `find` returns a route with an event id; a request for a decision has none yet.
        self._decide = DirectRoute(DECISIONS, "decide", self._begin_decision), ""
        self._report = {
            "outcomes": DirectRoute(f"{OUTCOMES}/outcomes", "report", self._begin_report),
            "shown": DirectRoute(f"{OUTCOMES}/shown", "report", shown),
            "not-shown": DirectRoute(f"{OUTCOMES}/not-shown", "report", not_shown),
        }

    def find(self, path: str) -> tuple[DirectRoute, str] | None:
        """Return the route of a POST request, and the event id in its path; None for others."""
        if path == DECISIONS:
            return self._decide
        found = _PATH.fullmatch(path)
        return None if found is None else (self._report[found[2]], found[1])

    def begin(
        self, route: DirectRoute, event_id: str, headers: Mapping[str, str], body: bytes
    ) -> Pending:
        """Check a request, and begin to do what it asks for.

        :raises ApiError: if it is refused
        """
        self.access.require(headers, route.scope)
        return route.begin(body, event_id)

    # --- the kinds of requests --------------------------------------------------------------------

    def _begin_decision(self, body: bytes, _: str) -> Pending:
        try:
            request = self._decision(body)
        except ValidationError as error:
            raise as_problem(error) from None
        return Pending(self.service.begin_decision(request), self._decision_json)

    def _begin_report(self, body: bytes, event_id: str) -> Pending:
        try:
            reports = self._reports(body)
        except ValidationError as error:
            raise as_problem(error) from None
        return Pending(
            self.service.begin_report(event_id, reports), partial(_counts_json, event_id)
        )

    def _begin_shown(self, _: bytes, event_id: str, *, is_shown: bool) -> Pending:
        future = self.service.begin_shown(event_id, is_shown=is_shown)
        return Pending(future, partial(_shown_json, event_id))

    def _decision_json(self, stored: StoredDecision) -> str:
        return decision_json(self.service, stored)


def decision_json(service: Service, stored: StoredDecision) -> str:
    """Return a :class:`Decision` as JSON; action and parameters are JSON texts already."""
    return (
        f'{{"event_id":"{stored.event_id}","action":{stored.action},'
        f'"parameters":{service.parameters(stored.action)},"probability":{stored.pscore!r},'
        f'"policy_id":{_quoted(stored.policy_id)},"model_version":"{stored.model_version}",'
        f'"arm":"{stored.arm}","step":{stored.step}}}'
    )


def not_routed(what: str) -> AssertionError:
    """Return the error of a direct request that reached the application's routing."""
    return AssertionError(f"{what} is answered before it is routed")


def _counts_json(event_id: str, counts: OutcomeCounts) -> str:
    """Return a :class:`Stored` as JSON."""
    return f'{{"event_id":"{event_id}","stored":{counts.stored},"repeated":{counts.repeated}}}'


def _shown_json(event_id: str, is_shown: bool) -> str:
    """Return a :class:`Shown` as JSON."""
    return f'{{"event_id":"{event_id}","shown":{json.dumps(is_shown)}}}'
