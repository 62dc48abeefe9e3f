from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rl_runner.training.commands.until_decided as module
from rl_runner import config_from_dict, train
from rl_runner.errors import RunFolderError
from rl_runner.training.commands.until_decided import train_until_decided
from rl_runner.training.resolve import Resolution

Scores = Callable[[str, int], float]
RAW: dict[str, Any] = {
    "env": {"id": "FrozenLake-v1", "kwargs": {"is_slippery": False}},
    "train": {"total_timesteps": 200, "seeds": [0]},
    "eval": {"every": 200, "n_episodes": 1, "final_episodes": 1},
}


def _begin(runs_dir: Path, name: str, learning_rate: float, **changes: Any) -> Path:
    """Train the first seed of an experiment."""
    algo = {"name": "q_learning", "learning_rate": learning_rate}
    config = config_from_dict({**RAW, **changes, "name": name, "algo": algo})
    return train(config, runs_dir=runs_dir).path


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two experiments of one seed each; what later tests add is only pretended."""
    runs_dir = tmp_path_factory.mktemp("runs")
    return _begin(runs_dir, "one", 0.5), _begin(runs_dir, "other", 0.1)


class Pretended:
    """Stands for training: every seed has its score at once, and what was asked is kept."""

    def __init__(self, scores: Scores) -> None:
        self.scores = scores
        self.asked: list[list[int]] = []
        self.seeds: set[int] = set()

    def train_resolved(self, resolutions: Sequence[Resolution], **_: Any) -> None:
        one, other = (list(resolution.config.train.seeds) for resolution in resolutions)
        assert one == other
        self.asked.append(one)
        self.seeds |= set(one)

    def paired_differences(self, *_: Any) -> dict[int, float]:
        return {
            seed: self.scores("one", seed) - self.scores("other", seed)
            for seed in sorted(self.seeds)
        }


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Callable[[Scores], Pretended]:
    def begin(scores: Scores) -> Pretended:
        pretended = Pretended(scores)
        monkeypatch.setattr(module, "train_resolved", pretended.train_resolved)
        monkeypatch.setattr(module, "paired_differences", pretended.paired_differences)
        return pretended

    return begin


def test_a_large_difference_is_decided_with_the_fewest_seeds(begun, pretend):
    pretended = pretend(lambda name, seed: (100.0 + seed % 3) * (name == "one"))
    decision = train_until_decided(*begun, max_seeds=30)
    assert (decision.outcome, decision.looks[-1].n) == ("decided", 5)
    assert pretended.asked == [[0, 1, 2, 3, 4]]
    assert decision.looks[-1].difference == pytest.approx(100.8)


def test_no_difference_uses_the_budget_and_no_more(begun, pretend):
    rng = np.random.default_rng(0)
    scores = {(name, seed): rng.normal() for name in ("one", "other") for seed in range(50)}
    pretended = pretend(lambda name, seed: scores[name, seed])
    decision = train_until_decided(*begun, max_seeds=12, batch=4)
    assert decision.outcome == "undecided"
    assert [look.n for look in decision.looks] == [5, 9, 12]
    assert pretended.asked == [[0, 1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11]]


def test_a_smaller_error_rate_takes_more_seeds(begun, pretend):
    rng = np.random.default_rng(0)
    scores = {(name, seed): rng.normal() for name in ("one", "other") for seed in range(99)}
    pretend(lambda name, seed: scores[name, seed] + 2 * (name == "one"))
    lax, strict = (
        train_until_decided(*begun, max_seeds=90, error_rate=rate) for rate in (0.1, 0.0001)
    )
    assert (lax.outcome, strict.outcome) == ("decided", "decided")
    assert lax.looks[-1].n < strict.looks[-1].n


def test_seeds_are_really_trained_and_their_results_paired(tmp_path: Path):
    one, other = _begin(tmp_path, "one", 0.5), _begin(tmp_path, "other", 0.1)
    decision = train_until_decided(one, other, max_seeds=5)
    assert [len(experiment.finished) for experiment in decision.experiments] == [5, 5]
    assert [look.n for look in decision.looks] == [5]
    again = train_until_decided(one, other, max_seeds=5)
    assert again.looks == decision.looks
    assert sorted(path.name for path in one.glob("seed-*")) == [f"seed-{k}" for k in range(5)]


def test_a_seed_that_fails_ends_the_search(begun, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "train_resolved", lambda *_, **__: None)
    place = begun[0] / "seed-3"
    place.mkdir(exist_ok=True)
    (place / "run.json").write_text('{"status": "failed", "error": "it burned out", "seed": 3}')
    try:
        decision = train_until_decided(*begun, max_seeds=10)
    finally:
        (place / "run.json").unlink()
        place.rmdir()
    assert decision.outcome == "failed"
    assert any("it burned out" in reason for reason in decision.without_result)


def test_a_seed_that_was_stopped_stops_the_search(begun, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "train_resolved", lambda *_, **__: None)
    place = begun[1] / "seed-2"
    place.mkdir(exist_ok=True)
    (place / "run.json").write_text('{"status": "interrupted", "seed": 2}')
    try:
        decision = train_until_decided(*begun, max_seeds=10)
    finally:
        (place / "run.json").unlink()
        place.rmdir()
    assert decision.outcome == "interrupted"


def test_what_cannot_be_added_to_is_refused_before_anything_is_trained(
    begun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "train_resolved", lambda *_, **__: pytest.fail("trained"))
    one, other = begun
    env = {"id": "FrozenLake-v1", "kwargs": {"is_slippery": True}}
    slippery = _begin(one.parent, "slippery", 0.5, env=env)
    with pytest.raises(RunFolderError, match="different environments"):
        train_until_decided(one, slippery)
    elsewhere = _begin(tmp_path, "elsewhere", 0.1)
    with pytest.raises(RunFolderError, match="different folders"):
        train_until_decided(one, elsewhere)
    renamed = elsewhere.rename(one.parent / "renamed")
    with pytest.raises(RunFolderError, match="New seeds of this experiment would go to"):
        train_until_decided(renamed, other)
