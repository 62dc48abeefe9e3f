"""Whether a service keeps its promises: when it is killed, while versions change, for many people.

    python benchmarks/serving_laws.py kills --times 50
    python benchmarks/serving_laws.py swaps --times 1000 --draws 1_000_000
    python benchmarks/serving_laws.py people --people 10_000

`kills`: no acknowledged decision or outcome is lost, and none is doubled. `swaps`: no request
fails, each action and probability follows from the artifact of the version that the answer names,
and draws from that artifact are as frequent as the logged probabilities say. `people`: the exported
log is, row by row, what the clients know that they have sent. A broken promise ends with an
AssertionError.

With `--storage postgresql+psycopg://…` the service stores there, in an empty database.
"""

import argparse
import asyncio
import os
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import serving
from polars.testing import assert_frame_equal

from rl_runner.envs.recommender.domain import N_ACTIONS, N_STATES, TRAITS
from rl_runner.envs.recommender.rewards import OUTCOMES
from rl_runner.offline.domains.recommender import RecommenderDomain, state_of
from rl_runner.offline.logs.simulation import LogPlan, simulate_log
from rl_runner.offline.store.export import Export
from rl_runner.serving.client import Client, ServiceError
from rl_runner.serving.config import load_serve_config
from rl_runner.serving.messages import OutcomeReport
from rl_runner.serving.models.protocol import Model
from rl_runner.serving.models.registry import Registry
from rl_runner.serving.service import new_event_id
from rl_runner.serving.store.setup import open_store

CONTEXT = RecommenderDomain.example[0]
CONTEXT_PARTS = (*TRAITS, "content_type", "mood", "time_of_day")
EPSILON = 0.05  # the default of services with a domain
TIMEOUT = 600  # seconds: a machine that pauses breaks no promise
LATER = 3 * 3600 * 10**6  # microseconds: every outcome was waited for


def exported(config: Path) -> pl.DataFrame:
    """Return the whole log of a service."""
    store = load_serve_config(config).store
    export = Export(store, now=time.time_ns() // 1000 + LATER)
    return pl.concat(export.frames(RecommenderDomain()))


# --- kills ----------------------------------------------------------------------------------------


class Crowd:
    """People who use a service that may be gone at any time, and what was acknowledged to them."""

    def __init__(self, n: int) -> None:
        self.acknowledged: dict[str, int] = {}  # the action of each decision
        self.reported: set[str] = set()
        self.stop = threading.Event()
        self.url = self.key = ""
        self.people = [threading.Thread(target=self._person, args=(i,)) for i in range(n)]

    def begin(self) -> None:
        """Let all people begin."""
        for each in self.people:
            each.start()

    def end(self) -> None:
        """Let all people finish what they are doing."""
        self.stop.set()
        for each in self.people:
            if each.ident is not None:
                each.join()

    def _person(self, number: int) -> None:
        """Decide and report without pause; repeat what was not answered, three times."""
        with httpx.Client(timeout=5) as http:
            while not self.stop.is_set():
                event_id = new_event_id()
                for _ in range(3):
                    try:
                        self._once(number, event_id, http)
                        break
                    except (httpx.TransportError, ServiceError):
                        time.sleep(0.1)

    def _once(self, number: int, event_id: str, http: httpx.Client) -> None:
        client = Client(self.url, self.key, attempts=1, http=http)
        names = {"user_id": f"u{number}", "session_id": f"s{number}"}
        decision = client.decide(CONTEXT, event_id=event_id, **names)
        self.acknowledged[event_id] = decision.action
        client.report(event_id, like=True)
        self.reported.add(event_id)

    def wait_for(self, n_more: int) -> None:
        """Wait until so many more decisions are acknowledged."""
        wanted, until = len(self.acknowledged) + n_more, time.monotonic() + 60
        while len(self.acknowledged) < wanted:
            assert time.monotonic() < until, "the service does not answer"
            time.sleep(0.01)


def kills(config: Path, times: int, people: int = 8) -> str:
    """Kill a server under load again and again, and compare its log with what it acknowledged."""
    crowd, rng, port = Crowd(people), random.Random(0), 0  # noqa: S311 - no secrets
    try:
        for i in range(times + 1):
            process, crowd.url, crowd.key, _ = serving.start(config, port)
            port = int(crowd.url.rpartition(":")[2])
            try:
                if i == 0:
                    crowd.begin()
                crowd.wait_for(rng.randint(20, 200))
                if i == times:
                    crowd.end()
            finally:
                serving.stop(process, signal.SIGKILL)
    finally:
        crowd.end()
    frame = exported(config)
    # Nothing is doubled, and nothing that was acknowledged is missing or different.
    stored = dict(zip(frame["event_id"], frame["action"], strict=True))
    assert len(stored) == len(frame)
    assert {event: stored.get(event) for event in crowd.acknowledged} == crowd.acknowledged
    assert crowd.reported <= set(frame.filter(pl.col("like"))["event_id"])
    # Each session has the steps 0, 1, 2, …
    steps = frame.sort("user_id", "step").group_by("user_id").agg("step")["step"].to_list()
    assert all(each == list(range(len(each))) for each in steps)
    n, m = len(crowd.acknowledged), len(crowd.reported)
    return f"{times} kills: {n:,} decisions and {m:,} outcomes acknowledged, none lost or doubled"


# --- swaps ----------------------------------------------------------------------------------------


@dataclass
class Answers:
    """What a service answered while its versions changed."""

    states: list[int] = field(default_factory=list)
    given: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def _swap(http: httpx.AsyncClient, versions: list[str], times: int) -> None:
    for i in range(times):
        answer = await http.post(f"/v1/models/{versions[i % 2]}/promote")
        assert answer.status_code == 200, answer.text


async def _ask(http: httpx.AsyncClient, number: int, swapping: "asyncio.Task[None]") -> Answers:
    found, rng = Answers(), random.Random(number)  # noqa: S311 - no secrets
    names = {"user_id": f"u{number}", "session_id": f"s{number}"}
    while not swapping.done():
        traits = {trait: rng.randint(0, 100) for trait in TRAITS}
        context = {**CONTEXT, **(traits if rng.random() < 0.5 else {})}
        answer = await http.post("/v1/decisions", json={**names, "context": context})
        if answer.status_code != 200:
            found.failures.append(answer.text)
            continue
        found.states.append(state_of(context))
        found.given.append(answer.json())
    return found


async def _swap_under_load(url: str, key: str, versions: list[str], times: int) -> list[Answers]:
    headers = {"X-API-Key": key}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=TIMEOUT) as http:
        swapping = asyncio.create_task(_swap(http, versions, times))
        answers = await asyncio.gather(*(_ask(http, i, swapping) for i in range(8)))
        await swapping
    return answers


def swaps(config: Path, runs: list[Path], times: int, draws: int = 1_000_000) -> str:
    """Promote two versions in turn under load, and compare each answer with its artifact."""
    process, url, key, _ = serving.start(config)
    try:
        with httpx.Client(base_url=url, headers={"X-API-Key": key}, timeout=TIMEOUT) as http:
            registered = [http.post("/v1/models", json={"run": str(run)}).json() for run in runs]
        versions = [each["version"] for each in registered]
        assert len(set(versions)) == 2
        before = serving.memory_mib(process.pid)
        answers = asyncio.run(_swap_under_load(url, key, versions, times))
        grown = serving.memory_mib(process.pid) - before
    finally:
        serving.stop(process)
    failures = [text for each in answers for text in each.failures]
    assert not failures, failures[:3]
    models = _artifacts(config, versions)
    n, shares, z = _recompute(answers, models)
    frame = exported(config)
    chi2 = [_chi_squared(frame, version, models[version], draws) for version in versions]
    # 26 degrees of freedom: above 75 with probability 1e-6.
    assert max(chi2) < 75, chi2
    found = ", ".join(f"{each:.0f}" for each in chi2)
    return (
        f"{times:,} swaps: {n:,} decisions ({shares}), none failed; explored at z = {z:.1f}; "
        f"chi-squared of {draws:,} draws by version: {found} (26 degrees of freedom); "
        f"memory grew by {grown:.0f} MiB"
    )


def _artifacts(config: Path, versions: list[str]) -> dict[str, Model]:
    """Load versions from their artifacts, as a server does."""
    loaded = load_serve_config(config)
    store = open_store(loaded)
    try:
        registry = Registry(loaded, store)
        return {version: registry.load(version).model for version in versions}
    finally:
        store.close()


def _recompute(answers: list[Answers], models: dict[str, Model]) -> tuple[int, str, float]:
    """Compare each answer with its artifact; return their number, by version, and a z-score.

    The z-score is that of how often the action was not the preferred one.
    """
    best = {
        version: model.answers({"states": np.arange(N_STATES)}).argmax(axis=1)
        for version, model in models.items()
    }
    used: Counter[str] = Counter()
    n_explored = 0
    for each in answers:
        for state, given in zip(each.states, each.given, strict=True):
            is_best = given["action"] == best[given["model_version"]][state]
            expected = (1 - EPSILON) * is_best + EPSILON / N_ACTIONS
            assert abs(given["probability"] - expected) < 1e-12, given
            used[given["model_version"]] += 1
            n_explored += not is_best
    # Other actions are as frequent as their probabilities say: a z-score of a binomial.
    n, p = used.total(), EPSILON * (1 - 1 / N_ACTIONS)
    z = (n_explored - n * p) / np.sqrt(n * p * (1 - p))
    assert abs(z) < 5, z
    return n, ", ".join(f"{count:,}" for count in used.values()), float(z)


def _chi_squared(frame: pl.DataFrame, version: str, model: Model, draws: int) -> float:
    """Return the chi-squared statistic of draws from an artifact against logged probabilities.

    All draws are for one context, which half of the requests had. An action that was never drawn
    for it has no logged probability, and gets an equal share of what the others leave.
    """
    is_same = pl.all_horizontal(pl.col(name) == value for name, value in CONTEXT.items())
    logged = frame.filter(is_same, pl.col("model_version") == version)
    probabilities = dict(logged.group_by("action").agg(pl.col("pscore").first()).iter_rows())
    assert logged.group_by("action").agg(pl.col("pscore").n_unique())["pscore"].max() == 1
    left = 1 - sum(probabilities.values())
    missing = [action for action in range(N_ACTIONS) if action not in probabilities]
    assert abs(left) < 1e-9 or missing
    probabilities |= {action: left / len(missing) for action in missing}
    rng, state = random.Random(0), model.encode(CONTEXT)  # noqa: S311 - no secrets
    drawn = Counter(model.draw(state, None, rng)[0].action for _ in range(draws))
    return sum((drawn[a] - draws * p) ** 2 / (draws * p) for a, p in probabilities.items())


# --- people ---------------------------------------------------------------------------------------


def people_rows(n: int) -> list[list[dict[str, Any]]]:
    """Return the first session of each of n simulated people: contexts, and what came of them."""
    policy = np.full((N_STATES, N_ACTIONS), 1 / N_ACTIONS)
    log = simulate_log(policy, LogPlan(n * 60 + 2000)).sort("user_id", "ts", "step")
    first = log.filter(pl.col("session_id") == pl.col("session_id").first().over("user_id"))
    sessions = [rows.to_dicts() for rows in first.partition_by("user_id", maintain_order=True)]
    assert len(sessions) >= n
    return sessions[:n]


def _live(client: Client, number: int, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send one session as an unreliable client would; return the rows that the log must have."""
    rng = random.Random(number)  # noqa: S311 - no secrets
    known = []
    names = {"user_id": f"u{number}", "session_id": f"s{number}"}
    for row in rows:
        context = {name: row[name] for name in CONTEXT_PARTS}
        sent = {**names, "event_id": new_event_id(), "deferred": rng.random() < 0.2}
        decision = client.decide(context, **sent)
        if rng.random() < 0.2:  # its answer was lost
            assert client.decide(context, **sent) == decision
        fate = rng.random()
        if sent["deferred"] and fate < 0.3:
            continue  # nothing is reported, so it was not shown
        if fate < 0.1:
            client.shown(decision.event_id, shown=False)
            continue
        _report(client, decision.event_id, row, rng)
        known.append({**decision.model_dump(), **names, **row_parts(row), "shown": True})
    # Nobody reports the end of a session here: its last decision that was shown is terminal.
    for i, each in enumerate(known):
        each["terminal"] = i == len(known) - 1
    return known


def row_parts(row: dict[str, Any]) -> dict[str, Any]:
    """Return the context and the outcomes of a simulated row."""
    parts = (*CONTEXT_PARTS, *OUTCOMES, "completion_rate", "mood_after")
    return {name: row[name] for name in parts}


def _report(client: Client, event_id: str, row: dict[str, Any], rng: random.Random) -> None:
    """Report outcomes in parts, out of order, some of them twice, one of them corrected."""
    now = time.time_ns() // 1000
    parts = [
        OutcomeReport(kind=name, value=row[name])
        for name in OUTCOMES
        if row[name] or rng.random() < 0.3
    ]
    parts.append(OutcomeReport(kind="mood_after", value=row["mood_after"]))
    rate = float(row["completion_rate"])
    parts.append(
        OutcomeReport(kind="completion_rate", value=rate, outcome_id="last", ts=now + 10**6)
    )
    if rng.random() < 0.3:  # what was reported first was wrong, and comes later
        parts.append(
            OutcomeReport(kind="completion_rate", value=1 - rate, outcome_id="first", ts=now)
        )
    parts += rng.choices(parts, k=rng.randrange(3))
    rng.shuffle(parts)
    while parts:
        size = rng.randint(1, len(parts))
        ids: dict[str, OutcomeReport] = {
            part.outcome_id or part.kind: part for part in parts[:size]
        }
        client.report_parts(event_id, list(ids.values()))
        parts = parts[size:]


def people(config: Path, n: int, at_once: int = 16) -> str:
    """Let n people use a service, and compare its log with what they know."""
    process, url, key, _ = serving.start(config)
    began = time.perf_counter()
    try:
        with Client(url, key, timeout=TIMEOUT) as client, ThreadPoolExecutor(at_once) as pool:
            live = pool.map(lambda each: _live(client, *each), enumerate(people_rows(n)))
            known = [row for rows in live for row in rows]
    finally:
        serving.stop(process)
    seconds = time.perf_counter() - began
    frame = exported(config).sort("event_id")
    kept = [name for name in frame.columns if name not in {"schema_version", "ts"}]
    renamed = [{**row, "pscore": row["probability"], "mood_before": row["mood"]} for row in known]
    expected = pl.DataFrame(
        {name: pl.Series([row[name] for row in renamed], dtype=frame.schema[name]) for name in kept}
    ).sort("event_id")
    assert_frame_equal(frame.select(kept), expected, check_exact=True)
    return f"{n:,} people: {len(known):,} rows of the log are what was sent ({seconds:.0f} s)"


def main() -> None:
    """Check one promise, as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("promise", choices=["kills", "swaps", "people"])
    parser.add_argument("--times", type=int, default=50, help="kills or swaps (default: 50)")
    parser.add_argument("--people", type=int, default=10_000, help="(default: 10,000)")
    parser.add_argument(
        "--draws", type=int, default=1_000_000, help="from each artifact (default: 1,000,000)"
    )
    parser.add_argument("--storage", help="the URL of an empty database; default: SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        config = serving.prepare(options.storage)
        if options.promise == "kills":
            print(kills(config, options.times))
        elif options.promise == "people":
            print(people(config, options.people))
        else:
            first = next(Path("runs").glob("*/seed-0"))
            print(swaps(config, [first, serving.train_another()], options.times, options.draws))


if __name__ == "__main__":
    main()
