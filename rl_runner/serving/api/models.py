"""Versions over the network: the same as `rl models`."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.errors import CheckpointError, ConfigError, describe_exception
from rl_runner.serving.api.documentation import documented
from rl_runner.serving.api.requests import answer, body_as, require, service_of
from rl_runner.serving.messages import AuditEntries, RegisterRequest, VersionInfo, Versions
from rl_runner.serving.models.registry import LoadedVersion
from rl_runner.serving.problems import ApiError
from rl_runner.serving.service import Service

router = APIRouter(tags=["models"])

Result = TypeVar("Result")


async def _off_the_loop(work: Callable[[], Result]) -> Result:
    """Run work with files and the database in a thread, while decisions continue.

    :raises ApiError: for versions that are unknown or damaged
    """
    try:
        return await asyncio.to_thread(work)
    except CheckpointError as error:
        raise ApiError("damaged-version", describe_exception(error)) from None
    except ConfigError as error:
        raise ApiError("not-found", describe_exception(error)) from None


def _info(service: Service, version: str) -> VersionInfo:
    return next(info for info in service.registry.versions() if info.version == version)


def _promoted(service: Service, loaded: LoadedVersion) -> VersionInfo:
    """Describe the version that decides now, and say if its code has changed."""
    info = _info(service, loaded.artifact.version)
    return info.model_copy(update={"note": loaded.model.note})


@router.get("/v1/models", summary="List the versions, newest first", **documented(answer=Versions))
async def list_models(request: Request) -> Response:
    """List the versions with their aliases."""
    require(request, "admin")
    registry = service_of(request).registry
    return answer(Versions(versions=await _off_the_loop(registry.versions)))


@router.post(
    "/v1/models",
    summary="Register a run as a version",
    **documented(RegisterRequest, VersionInfo, status=201, refused=(401, 403, 404, 409)),
)
async def register(request: Request) -> Response:
    """Copy a run on the server's machine into a version."""
    key = require(request, "admin")
    service, wanted = service_of(request), await body_as(request, RegisterRequest)
    run = Path(wanted.run)
    artifact = await _off_the_loop(lambda: service.registry.register(run, key.name))
    return answer(await _off_the_loop(lambda: _info(service, artifact.version)), 201)


@router.get(
    "/v1/models/{version}",
    summary="Show a version",
    **documented(answer=VersionInfo, refused=(401, 403, 404)),
)
async def show(request: Request, version: str) -> Response:
    """Show a version by its name, an alias, or its first digits."""
    require(request, "admin")
    service = service_of(request)
    return answer(await _off_the_loop(lambda: _info(service, service.registry.find(version))))


@router.post(
    "/v1/models/{version}/promote",
    summary="Make a version the champion",
    **documented(answer=VersionInfo, refused=(401, 403, 404, 409)),
)
async def promote(request: Request, version: str) -> Response:
    """Verify a version and decide with it from now on; no request fails meanwhile."""
    key = require(request, "admin")
    service = service_of(request)
    promoted = await _off_the_loop(lambda: _promoted(service, service.promote(version, key.name)))
    return answer(promoted)


@router.post(
    "/v1/rollback",
    summary="Make the previous champion the champion again",
    **documented(answer=VersionInfo, refused=(401, 403, 404, 409)),
)
async def rollback(request: Request) -> Response:
    """Go back to the version before the last promotion."""
    key = require(request, "admin")
    service = service_of(request)
    return answer(await _off_the_loop(lambda: _promoted(service, service.roll_back(key.name))))


@router.delete(
    "/v1/models/{version}",
    summary="Remove a version that no alias names",
    **documented(status=204, refused=(401, 403, 404, 409)),
)
async def remove(request: Request, version: str) -> Response:
    """Remove a version's files."""
    key = require(request, "admin")
    registry = service_of(request).registry
    await _off_the_loop(lambda: registry.remove(registry.find(version), key.name))
    return Response(status_code=204)


@router.get(
    "/v1/audit",
    summary="List the latest changes by administrators, newest first",
    **documented(answer=AuditEntries),
)
async def audit(request: Request) -> Response:
    """Say who changed what."""
    require(request, "admin")
    registry = service_of(request).registry
    return answer(AuditEntries(entries=await _off_the_loop(registry.audit)))
