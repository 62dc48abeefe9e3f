"""Reporting: what happened after a decision, and whether it was shown.

These routes are for the description of the API: requests are answered by :mod:`direct`.
"""

from fastapi import APIRouter
from starlette.responses import Response

from rl_runner.serving.api.direct import OUTCOMES, not_routed
from rl_runner.serving.api.documentation import documented
from rl_runner.serving.messages import OutcomeReports, Shown, Stored

router = APIRouter(tags=["outcomes"])
REFUSED = (401, 403, 404, 409)


@router.post(
    f"{OUTCOMES}/outcomes",
    summary="Report what happened",
    **documented(OutcomeReports, Stored, refused=REFUSED),
)
async def report(event_id: str) -> Response:
    """Store outcomes of a decision: all are stored, or none."""
    raise not_routed(event_id)


@router.post(
    f"{OUTCOMES}/shown",
    summary="Report that a decision was shown",
    **documented(answer=Shown, refused=REFUSED),
)
async def shown(event_id: str) -> Response:
    """Let a deferred decision count."""
    raise not_routed(event_id)


@router.post(
    f"{OUTCOMES}/not-shown",
    summary="Report that it was not shown",
    **documented(answer=Shown, refused=REFUSED),
)
async def not_shown(event_id: str) -> Response:
    """Leave a decision out of the log."""
    raise not_routed(event_id)
