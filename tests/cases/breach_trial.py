"""One generated environment, checked, trained in and evaluated as a user would."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl_runner import config_from_dict, train
from rl_runner.config import ExperimentConfig
from rl_runner.errors import RunnerError
from rl_runner.evaluation.play.baselines import evaluate_baseline
from rl_runner.evaluation.play.loaded_run import evaluate
from rl_runner.evaluation.play.policy_evaluation import write_episode_table
from rl_runner.training.commands.check import check_experiment
from rl_runner.training.resolve import resolve

MOST_SECONDS = 30.0
ALGORITHMS: list[dict[str, Any]] = [
    {"name": "ppo", "n_steps": 32, "batch_size": 32, "n_epochs": 1},
    {"name": "dqn", "learning_starts": 16, "batch_size": 8},
    {"name": "a2c", "engine": "stock"},
    {"name": "reinforce", "n_episodes": 2},
]


@dataclass(frozen=True)
class Outcome:
    """How each command ended: ``ok``, ``failed`` (a run) or ``refused`` (a panel)."""

    check: str
    train: str
    evaluate: str
    baseline: str
    seconds: float


def config_of(n: int) -> ExperimentConfig:
    """Return the experiment in generated environment n; algorithm and wrapping vary with n."""
    env: dict[str, Any] = {
        "id": "breaching_envs:Breaching-v0",
        "kwargs": {"n": n},
        "n_envs": 1 + n % 2,
    }
    if n % 5 == 0:
        env["normalize"] = True
    raw = {
        "name": "breach",
        "env": env,
        "algo": ALGORITHMS[n % len(ALGORITHMS)],
        "train": {"total_timesteps": 96, "seeds": [0]},
        "eval": {"every": 48, "n_episodes": 2, "final_episodes": 3},
    }
    return config_from_dict(raw)


def try_breach(n: int, folder: Path) -> Outcome:
    """Run every command on generated environment n; an unexpected exception passes through."""
    began = time.monotonic()
    config = config_of(n)
    trained: list[Path] = []

    def do_train() -> str:
        (run,) = train(config, runs_dir=folder).runs
        trained.append(run.path)
        return "ok" if run.status == "finished" else run.status

    def do_evaluate() -> str:
        evaluate(trained[0], 2)
        return "ok"

    def do_baseline() -> str:
        found = evaluate_baseline(config.env, "random", seed=0, n_episodes=3)
        found.episodes.check_finite()
        write_episode_table(folder / "episodes.csv", [found])
        return "ok"

    checked = _ending(lambda: check_experiment(resolve(config)) and "ok")
    ended = _ending(do_train)
    evaluated = _ending(do_evaluate) if ended == "ok" else "skipped"
    baseline = _ending(do_baseline)
    return Outcome(checked, ended, evaluated, baseline, time.monotonic() - began)


def _ending(command: Callable[[], Any]) -> str:
    try:
        return str(command())
    except RunnerError:
        return "refused"
