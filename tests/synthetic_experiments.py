"""Experiment folders as training leaves them, written in milliseconds."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_runner.arrays import save_arrays
from rl_runner.config import config_from_dict, dump_config, experiment_hash

CARTPOLE = {"id": "CartPole-v1", "time_limit": 500}


def write_experiment(
    runs_dir: Path,
    name: str,
    scores: Sequence[float],
    *,
    env: dict[str, Any] | None = None,
    total_timesteps: int = 1000,
    exact: bool = False,
    n_evaluations: int = 10,
    first_seed: int = 0,
) -> Path:
    """Write an experiment whose seeds reached these scores, each along a straight line from 0."""
    config = config_from_dict(
        {
            "name": name,
            "env": env or CARTPOLE,
            "algo": {"name": "ppo"},
            "train": {
                "total_timesteps": total_timesteps,
                "seeds": list(range(first_seed, first_seed + len(scores))),
            },
            "eval": {"every": max(1, total_timesteps // n_evaluations)},
        }
    )
    path = runs_dir / f"{name}-{experiment_hash(config)}"
    path.mkdir(parents=True, exist_ok=True)
    (path / "config.yaml").write_text(dump_config(config), encoding="utf-8")
    for seed, score in enumerate(scores, start=first_seed):
        write_run(path / f"seed-{seed}", seed, score, total_timesteps, exact, n_evaluations)
    return path


def write_run(
    path: Path,
    seed: int,
    score: float,
    total_timesteps: int = 1000,
    exact: bool = False,
    n_evaluations: int = 10,
) -> None:
    """Write one finished run; a score that is no finite number is one of a damaged run."""
    path.mkdir(exist_ok=True)
    last = {"mean_reward": score, "std_reward": 1.0, "mean_ep_length": 10.0, "n_episodes": 100}
    if exact:
        last["exact_mean_reward"] = score
    best = {**last, "timesteps": total_timesteps, "selection_optimism": 0.5}
    change_record(
        path,
        format=1,
        status="finished",
        seed=seed,
        timesteps=total_timesteps,
        seconds=20.0,
        results={"last": last, "best": best},
    )
    timesteps = np.linspace(0, total_timesteps, n_evaluations + 1)[1:].astype(np.int64)
    means = score * timesteps / total_timesteps
    save_arrays(
        path / "evaluations.npz",
        {"timesteps": timesteps, "returns": np.stack([means, means], axis=1)},
    )
    rows = [f"{t},{r},10,1,{t / 100}" for t, r in zip(timesteps, means, strict=True)]
    text = "\n".join(["timestep,return,length,terminated,wall_time", *rows, ""])
    (path / "episodes.csv").write_text(text, encoding="utf-8")


def change_record(path: Path, **changes: Any) -> None:
    """Change keys of a run.json."""
    file = path / "run.json"
    record = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    file.write_text(json.dumps({**record, **changes}), encoding="utf-8")
