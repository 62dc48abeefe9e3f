"""The promises that benchmarks/serving_laws.py checks, in small."""

import importlib.util
import json
import random
import sys
from collections import Counter
from pathlib import Path

import pytest

from rl_runner.offline.learning.trained_run import load_trained
from rl_runner.serving.models.protocol import draw_from

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def laws(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("serving", "serving_laws"):
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def config(tmp_path, log_runs, monkeypatch, storage):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "serve.yaml"
    raw = {"name": "p", "domain": "recommender", "champion": str(log_runs[0]), **storage}
    path.write_text(json.dumps(raw), encoding="utf-8")
    return path


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed(laws, config):
    assert "none lost or doubled" in laws.kills(config, times=3, people=4)


@pytest.mark.slow
def test_no_request_fails_while_versions_are_swapped_and_each_answer_is_its_versions(
    laws, config, log_runs
):
    assert "none failed" in laws.swaps(config, log_runs, times=20, draws=50_000)


@pytest.mark.slow
def test_the_log_is_what_the_clients_know_that_they_have_sent(laws, config):
    assert "rows of the log" in laws.people(config, n=60, at_once=4)


@pytest.mark.slow
def test_a_million_draws_have_the_logged_probabilities(log_runs):
    learner, rng, n = load_trained(log_runs[0]).learner, random.Random(0), 1_000_000  # noqa: S311
    best = int(learner.preferences([0])[0].argmax())
    found, probabilities = Counter(), {}
    for _ in range(n):
        drawn = draw_from(best, 27, None, 0.05, rng)
        found[drawn.action] += 1
        probabilities[drawn.action] = drawn.probability
    assert abs(sum(probabilities.values()) - 1) < 1e-12
    chi2 = sum((found[a] - n * p) ** 2 / (n * p) for a, p in probabilities.items())
    assert chi2 < 75  # 26 degrees of freedom: p = 1e-6
