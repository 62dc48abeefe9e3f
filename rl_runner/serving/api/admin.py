"""Administration under the paths and the header that existing dashboards use."""

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.serving.api.documentation import documented
from rl_runner.serving.api.requests import answer, require, service_of
from rl_runner.serving.messages import SystemHealth, Triggered
from rl_runner.serving.tasks import RL_TRAINING

router = APIRouter(prefix="/api/v1/admin", tags=["administration"])

_running: set[asyncio.Task[None]] = set()  # the event loop itself keeps weak references only


@router.post(
    "/tasks/rl-training/trigger",
    summary="Train from the store now",
    **documented(answer=Triggered, status=202, refused=(401, 403, 404, 409)),
)
async def trigger(request: Request) -> Response:
    """Begin to train in a process of its own; the result is registered and not promoted."""
    key = require(request, "admin")
    tasks = service_of(request).tasks
    number = await asyncio.to_thread(tasks.begin_training, key.name)
    task = asyncio.create_task(asyncio.to_thread(tasks.train, number))
    _running.add(task)
    task.add_done_callback(_running.discard)
    return answer(Triggered(task_id=number, task_name=RL_TRAINING, status="running"), 202)


@router.get(
    "/system/health",
    summary="Whether all works, and which jobs are scheduled",
    **documented(answer=SystemHealth),
)
async def health(request: Request) -> Response:
    """Describe the service. Jobs are scheduled by a later version."""
    require(request, "admin")
    service = service_of(request)
    reason = service.why_not_ready()
    latest = await asyncio.to_thread(service.tasks.latest, 10)
    return answer(
        SystemHealth(
            status="unhealthy" if reason else "healthy",
            reason=reason,
            champion=service.snapshot.version,
            scheduled_jobs=[],
            tasks=[vars(task) for task in latest],
        )
    )
