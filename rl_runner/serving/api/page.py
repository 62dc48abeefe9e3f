"""The operations page: one HTML document for people, without scripts."""

import asyncio
import math
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response

from rl_runner import __version__
from rl_runner.errors import count
from rl_runner.serving.api.documentation import documented
from rl_runner.serving.api.requests import require_for_people, service_of
from rl_runner.serving.service import Service

router = APIRouter(tags=["page"])

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
)
_templates.filters["count"] = count
_templates.filters["minute"] = lambda time: time[:16].replace("T", " ")


@router.get("/", summary="The operations page", **documented(media_type="text/html"))
async def page(request: Request) -> Response:
    """Show versions, traffic, rewards and errors."""
    require_for_people(request)
    service = service_of(request)
    return html_answer("page.html", await asyncio.to_thread(_contents, service))


def html_answer(template: str, contents: dict[str, Any]) -> Response:
    """Return a page that loads nothing and runs no scripts, which its headers enforce."""
    nonce = secrets.token_urlsafe(16)
    html = _templates.get_template(template).render(nonce=nonce, **contents)
    policy = f"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'"
    return Response(html, media_type="text/html", headers={"Content-Security-Policy": policy})


def _contents(service: Service) -> dict[str, Any]:
    """Return what the template shows, as text."""
    # One row per registered version, with its outcomes if it has made decisions.
    summary = service.summaries.get()
    measured = {each.version: each for each in summary.versions}
    rows = []
    for info in service.registry.versions():
        found = measured.get(info.version)
        row = {"version": info.version, "aliases": ", ".join(info.aliases), "info": info}
        rows.append({**row, "summary": found, "interval": _interval(found.ci95) if found else ""})
    # The state of the service, then its latest events.
    reason = service.why_not_ready()
    return {
        "name": service.config.name,
        "subject": service.domain.name,
        "program": __version__,
        "now": datetime.now(UTC).isoformat(timespec="seconds"),
        "state": reason or "ready",
        "is_ready": not reason,
        "champion": service.snapshot.version,
        "policy": service.snapshot.policy_id,
        "note": service.snapshot.model.note,
        "epsilon": service.registry.loader.epsilon,
        "rows": rows,
        "summary": summary,
        "join_rate": _share(summary.join_rate),
        "changes": service.registry.history(10),
        "audit": service.registry.audit(10),
        "errors": list(service.errors)[::-1],
        "tasks": service.tasks.latest(10),
    }


def _share(join_rate: float) -> str:
    """Return the share of the decisions that got an outcome in time."""
    if math.isnan(join_rate):
        return "no decision of the last day is old enough yet"
    return f"{join_rate:.1%} of the last day"


def _interval(ends: tuple[float, float]) -> str:
    """Return the ends of an interval; nothing if they say nothing."""
    return f"{ends[0]:.3f} to {ends[1]:.3f}" if math.isfinite(ends[0]) else "–"
