"""The application: its routes, and its background task."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

from fastapi import FastAPI
from starlette.exceptions import HTTPException

from rl_runner import __version__
from rl_runner.errors import RunnerError
from rl_runner.serving.api import admin, decisions, models, monitoring, outcomes, page, reference
from rl_runner.serving.api.access import Access
from rl_runner.serving.api.boundary import App, Boundary, answer_error
from rl_runner.serving.api.direct import DirectRoutes
from rl_runner.serving.api.documentation import add_schemas
from rl_runner.serving.api.fast_lane import fast_lane
from rl_runner.serving.keys import Keys
from rl_runner.serving.problems import ApiError
from rl_runner.serving.service import Service

FOLLOW_SECONDS = 1.0  # between two looks at the champion's alias


class Built(NamedTuple):
    """An application, and the protocol of the connections to its server."""

    app: App
    protocol: type[asyncio.Protocol]


def build_app(service: Service, keys: Keys) -> Built:
    """Return the ASGI application of a service, and what answers the requests that are frequent.

    The caller opens and closes the service.
    """
    app = FastAPI(
        title=f"rl serve: {service.config.name}",
        version=__version__,
        lifespan=_lifespan,
        docs_url=None,  # FastAPI's page loads its scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    app.state.access = Access(keys, service.config.max_rate)
    app.state.metrics = monitoring.Metrics(service)
    request_model = decisions.decision_request(service.domain)
    app.include_router(decisions.routes(request_model))
    for module in (outcomes, models, admin, monitoring, page, reference):
        app.include_router(module.router)
    add_schemas(app, request_model)
    for kind in (ApiError, RunnerError, HTTPException, Exception):
        app.add_exception_handler(kind, answer_error)
    direct = DirectRoutes(service, app.state.access, request_model)
    observe = app.state.metrics.observe
    return Built(Boundary(app, direct, observe), fast_lane(direct, observe))


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    following = asyncio.create_task(_follow(app.state.service))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.to_thread(app.state.service.tasks.stop)  # the event loop waits for it to end


async def _follow(service: Service) -> None:
    """Use whatever version the champion's alias names, and keep the old one if it cannot be.

    A store that has failed is tried again.
    """
    failed = ""
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        try:
            service.writer.retry()
            await asyncio.to_thread(service.follow_champion)
            failed = ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the next second tries again
            if str(error) != failed:  # once, not every second
                service.note_error(error)
            failed = str(error)
