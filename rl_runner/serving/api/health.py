"""Whether the server is alive, and ready."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.serving.api.documentation import documented
from rl_runner.serving.api.requests import answer, service_of
from rl_runner.serving.messages import Health

router = APIRouter(tags=["health"])


@router.get(
    "/livez",
    summary="Whether the process is alive",
    **documented(answer=Health, refused=(), needs_key=False),
)
async def livez(request: Request) -> Response:
    """Answer at all."""
    del request
    return answer(Health(status="ok"))


@router.get(
    "/readyz",
    summary="Whether decisions can be made",
    **documented(answer=Health, refused=(), needs_key=False),
)
async def readyz(request: Request) -> Response:
    """Answer 503, with the reason, while no decision can be made."""
    reason = service_of(request).why_not_ready()
    if reason:
        return answer(Health(status="not ready", reason=reason), 503)
    return answer(Health(status="ok"))
