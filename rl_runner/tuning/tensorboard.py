"""The search in TensorBoard: one line per trial on the HPARAMS page, and pictures of the whole."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_runner.config.tune import TuneConfig
from rl_runner.tuning.reporting import TrialReport

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EVENTS = "events.out.tfevents*"


def log_trial(folder: Path, trial: TrialReport, tune: TuneConfig) -> None:
    """Write what was tried and what came of it, replacing what an earlier session wrote."""
    from stable_baselines3.common.logger import HParam

    if trial.outcome == "complete":
        scores = trial.scores
    else:
        scores = tuple(float("nan") for _ in tune.objective)
    metrics = {
        f"tune/{objective.measure}": score
        for objective, score in zip(tune.objective, scores, strict=True)
    }
    hyperparameters = {"outcome": trial.outcome, **{k: _plain(v) for k, v in trial.values.items()}}
    _write(folder, {**metrics, "hparams": HParam(hyperparameters, metrics)}, trial.number)


def log_study(folder: Path, figures: Mapping[str, "Figure"], text: str) -> None:
    """Write the pictures and the text summary."""
    from stable_baselines3.common.logger import Figure as Picture

    pictures = {f"tune/{name}": Picture(figure, close=False) for name, figure in figures.items()}
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    _write(folder, {**pictures, "tune/summary": indented}, 0)


def _write(folder: Path, values: Mapping[str, Any], step: int) -> None:
    from stable_baselines3.common.logger import TensorBoardOutputFormat

    for file in folder.glob(EVENTS):
        file.unlink()
    writer = TensorBoardOutputFormat(str(folder))
    writer.write(dict(values), dict.fromkeys(values, ()), step)
    writer.close()


def _plain(value: Any) -> bool | str | float | int:
    return value if isinstance(value, bool | int | float | str) else json.dumps(value)
