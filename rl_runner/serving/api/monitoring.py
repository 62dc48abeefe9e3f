"""Whether the server is alive and ready, and metrics for Prometheus."""

import asyncio
import math
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import accumulate

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response

from rl_runner.errors import RunnerError
from rl_runner.serving.api.documentation import documented
from rl_runner.serving.api.requests import answer, require_for_people, service_of
from rl_runner.serving.messages import Health
from rl_runner.serving.service import Service
from rl_runner.serving.store.writer import Tally
from rl_runner.serving.summary import Summary

TEXT = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
BOUNDS = (*SECONDS, math.inf)
router = APIRouter(tags=["health"])


@router.get(
    "/livez",
    summary="Whether the process is alive",
    **documented(answer=Health, refused=(), needs_key=False),
)
async def livez(request: Request) -> Response:
    """Answer 200: the process runs and its event loop answers."""
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


class _Times:
    """The times of one route's requests, in buckets."""

    __slots__ = ("counts", "total")

    def __init__(self) -> None:
        self.counts = [0] * (len(SECONDS) + 1)  # the last one is for those above all bounds
        self.total = 0.0

    def cumulative(self) -> list[tuple[str, float]]:
        """Return how many requests took at most so long, by bound."""
        return list(zip(map(floatToGoString, BOUNDS), accumulate(self.counts), strict=True))


class Metrics:
    """What is counted at each request, and what is computed when Prometheus asks.

    Only the event loop counts, so that no locks are needed.
    """

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(self)
        self.registry.register(_Computed(service))
        self._answers: Counter[tuple[str, int]] = Counter()  # by route and status
        self._times: defaultdict[str, _Times] = defaultdict(_Times)  # by route

    def observe(self, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        self._answers[route, status] += 1
        times = self._times[route]
        times.counts[bisect_left(SECONDS, seconds)] += 1
        times.total += seconds

    def collect(self) -> Iterator[Metric]:
        """Yield the numbers of requests, and their times."""
        answers = CounterMetricFamily("rl_serve_requests", "Requests", labels=["route", "status"])
        for (route, status), n in list(self._answers.items()):
            answers.add_metric([route, str(status)], n)
        yield answers
        times = HistogramMetricFamily(
            "rl_serve_request_seconds", "Time to an answer", labels=["route"]
        )
        for route, each in list(self._times.items()):
            times.add_metric([route], each.cumulative(), each.total)
        yield times


class _Computed:
    """What is read from the service and its store when Prometheus asks."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges; without those of the store while it cannot be read."""
        service = self._service
        yield from _stored(service.writer.tally)
        registered = datetime.fromisoformat(service.snapshot.registered).timestamp()
        plain = {
            "champion_age_seconds": ("Since the champion was registered", time.time() - registered),
            "waiting_writes": ("Requests that wait for the store", service.writer.n_waiting),
            "ready": ("Whether decisions can be made", float(not service.why_not_ready())),
            "uptime_seconds": ("Since the start", time.time() - service.started),
        }
        for name, (text, value) in plain.items():
            yield GaugeMetricFamily(f"rl_serve_{name}", text, value=value)
        try:
            summary = service.summaries.get()
        except (RunnerError, SQLAlchemyError) as error:
            service.note_error(error)
            return
        yield from _read(summary)


def _stored(tally: Tally) -> Iterator[Metric]:
    """Yield what was stored since the start; repeated requests are not counted again."""
    made = CounterMetricFamily("rl_serve_decisions", "Stored decisions", labels=["arm", "version"])
    for labels, n in list(tally.decisions.items()):
        made.add_metric(labels, n)
    yield made
    reported = CounterMetricFamily("rl_serve_outcomes", "Stored outcomes", labels=["kind"])
    for kind, n in list(tally.outcomes.items()):
        reported.add_metric([kind], n)
    yield reported


def _read(summary: Summary) -> Iterator[Metric]:
    """Yield the size of the store, and the outcomes and rewards of the last day."""
    rows = GaugeMetricFamily("rl_serve_rows", "Rows of the store", labels=["table"])
    rows.add_metric(["decisions"], summary.n_decisions)
    rows.add_metric(["outcomes"], summary.n_outcomes)
    yield rows
    if not math.isnan(summary.join_rate):
        text = "Share of decisions with an outcome in time"
        yield GaugeMetricFamily("rl_serve_join_rate", text, value=summary.join_rate)
    total = GaugeMetricFamily("rl_serve_reward_sum_1d", "Sum of rewards", labels=["version"])
    mean = GaugeMetricFamily("rl_serve_reward_mean_1d", "Mean reward", labels=["version"])
    for each in summary.versions:
        total.add_metric([each.version], each.reward_sum)
        mean.add_metric([each.version], each.mean_reward)
    yield total
    yield mean


@router.get("/metrics", summary="Metrics for Prometheus", **documented(media_type="text/plain"))
async def metrics(request: Request) -> Response:
    """Return the metrics as text."""
    require_for_people(request)
    registry = request.app.state.metrics.registry
    text = await asyncio.to_thread(generate_latest, registry)
    return Response(text, media_type=TEXT)
