"""Deciding: one request, or a batch of them."""

import asyncio
import json
from functools import lru_cache

from fastapi import APIRouter
from pydantic import ValidationError, create_model
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.offline.domains.protocol import Domain
from rl_runner.serving.api.access import Access
from rl_runner.serving.api.boundary import Direct, Receive, Scope, headers_of, read_body
from rl_runner.serving.api.documentation import documented
from rl_runner.serving.api.requests import answer, as_problem, body_as, require, service_of
from rl_runner.serving.messages import Decision, DecisionBatch, DecisionRequest, Decisions
from rl_runner.serving.service import Service
from rl_runner.serving.store.jobs import StoredDecision

PATH = "/v1/decisions"

_quoted = lru_cache(maxsize=1000)(json.dumps)  # of the names of policies


def decision_request(domain: Domain) -> type[DecisionRequest]:
    """Return the message of a request whose context is that of a domain."""
    return create_model(
        "DecisionRequest", __base__=DecisionRequest, context=(domain.context_model, ...)
    )


def as_json(service: Service, stored: StoredDecision) -> str:
    """Return a :class:`Decision` as JSON; action and parameters are JSON texts already."""
    return (
        f'{{"event_id":"{stored.event_id}","action":{stored.action},'
        f'"parameters":{service.parameters(stored.action)},"probability":{stored.pscore!r},'
        f'"policy_id":{_quoted(stored.policy_id)},"model_version":"{stored.model_version}",'
        f'"arm":"{stored.arm}","step":{stored.step}}}'
    )


def direct(service: Service, access: Access, request_model: type[DecisionRequest]) -> Direct:
    """Return the function that answers one request, as short as it can be."""
    validate = request_model.__pydantic_validator__.validate_json
    most = service.config.max_body

    async def decide(scope: Scope, receive: Receive) -> bytes:
        headers = headers_of(scope)
        access.require(headers, "decide")
        body = await read_body(receive, headers, most)
        try:
            wanted = validate(body)
        except ValidationError as error:
            raise as_problem(error) from None
        return as_json(service, await service.decide(wanted)).encode()

    return decide


def routes(request_model: type[DecisionRequest], decide_directly: Direct) -> APIRouter:
    """Return the routes under /v1/decisions that decide.

    The first one is here for the description of the API: the boundary answers it before it is
    routed.
    """
    router = APIRouter(tags=["decisions"])

    @router.post(
        PATH,
        summary="Draw an action for a context",
        **documented(request_model, Decision, refused=(401, 403, 409)),
    )
    async def decide(request: Request) -> Response:
        return answer((await decide_directly(request.scope, request.receive)).decode())

    @router.post(
        "/v1/decisions/batch",
        summary="Draw actions for several contexts",
        **documented(DecisionBatch, Decisions, refused=(401, 403, 409)),
    )
    async def decide_batch(request: Request) -> Response:
        require(request, "decide")
        service = service_of(request)
        batch = await body_as(request, DecisionBatch)
        # All are checked before the first is drawn.
        wanted = [_one(request_model, raw, i) for i, raw in enumerate(batch.decisions)]
        for each in wanted:
            service.check(each)
        stored = await asyncio.gather(*map(service.decide, wanted))
        return answer(f'{{"decisions":[{",".join(as_json(service, each) for each in stored)}]}}')

    return router


def _one(model: type[DecisionRequest], raw: object, i: int) -> DecisionRequest:
    try:
        return model.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        raise as_problem(error, f"/decisions/{i}") from None
