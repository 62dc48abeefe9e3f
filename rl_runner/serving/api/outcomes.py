"""Reporting: what happened after a decision, and whether it was shown."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.serving.api.documentation import documented
from rl_runner.serving.api.requests import answer, body_as, require, service_of
from rl_runner.serving.messages import OutcomeReports, Shown, Stored

router = APIRouter(tags=["outcomes"])


@router.post(
    "/v1/decisions/{event_id}/outcomes",
    summary="Report what happened",
    **documented(OutcomeReports, Stored, refused=(401, 403, 404, 409)),
)
async def report(request: Request, event_id: str) -> Response:
    """Store outcomes of a decision: all are stored, or none."""
    require(request, "report")
    reports = await body_as(request, OutcomeReports)
    counts = await service_of(request).report(event_id, reports)
    return answer(Stored(event_id=event_id, stored=counts.stored, repeated=counts.repeated))


@router.post(
    "/v1/decisions/{event_id}/shown",
    summary="Report that a decision was shown",
    **documented(answer=Shown, refused=(401, 403, 404, 409)),
)
async def shown(request: Request, event_id: str) -> Response:
    """Let a deferred decision count."""
    return await _note_shown(request, event_id, is_shown=True)


@router.post(
    "/v1/decisions/{event_id}/not-shown",
    summary="Report that it was not shown",
    **documented(answer=Shown, refused=(401, 403, 404, 409)),
)
async def not_shown(request: Request, event_id: str) -> Response:
    """Leave a decision out of the log."""
    return await _note_shown(request, event_id, is_shown=False)


async def _note_shown(request: Request, event_id: str, *, is_shown: bool) -> Response:
    require(request, "report")
    await service_of(request).shown(event_id, is_shown=is_shown)
    return answer(Shown(event_id=event_id, shown=is_shown))
