"""Deciding: one request, or a batch of them."""

import asyncio
import json

from fastapi import APIRouter
from pydantic import ValidationError, create_model
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.offline.domains.protocol import Domain
from rl_runner.serving.api.direct import DECISIONS, decision_json, not_routed
from rl_runner.serving.api.documentation import documented
from rl_runner.serving.api.requests import answer, as_problem, body_as, require, service_of
from rl_runner.serving.messages import Decision, DecisionBatch, DecisionRequest, Decisions


def decision_request(domain: Domain) -> type[DecisionRequest]:
    """Return the message of a request whose context is that of a domain."""
    return create_model(
        "DecisionRequest", __base__=DecisionRequest, context=(domain.context_model, ...)
    )


def routes(request_model: type[DecisionRequest]) -> APIRouter:
    """Return the routes under /v1/decisions that decide.

    The first one is for the description of the API: :mod:`direct` answers before it is routed.
    """
    router = APIRouter(tags=["decisions"])

    @router.post(
        DECISIONS,
        summary="Draw an action for a context",
        **documented(request_model, Decision, refused=(401, 403, 409)),
    )
    async def decide() -> Response:
        raise not_routed(DECISIONS)

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
        listed = ",".join(decision_json(service, each) for each in stored)
        return answer(f'{{"decisions":[{listed}]}}')

    return router


def _one(model: type[DecisionRequest], raw: object, i: int) -> DecisionRequest:
    try:
        return model.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        raise as_problem(error, f"/decisions/{i}") from None
