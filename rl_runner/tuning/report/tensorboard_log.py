"""The search in TensorBoard: a row per trial on the HPARAMS page, and the study's pictures."""

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl_runner.config.tune import ParameterConfig, TuneConfig
from rl_runner.runs.disk import writing
from rl_runner.tuning.study_reporter import TrialReport

EVENTS = "events.out.tfevents*"


def log_trial(folder: Path, trial: TrialReport, tune: TuneConfig) -> None:
    """Write a trial's hyperparameters and scores, replacing those of an earlier session.

    TensorBoard takes the columns of its HPARAMS page from the first run that it finds. Every trial
    therefore names all parameters of the space, with the same types, also those that it lacks.
    """
    from torch.utils.tensorboard import summary

    # The scores, which are NaN for a trial without any.
    if trial.outcome == "complete":
        scores = trial.scores
    else:
        scores = tuple(float("nan") for _ in tune.objective)
    metrics = {
        f"tune/{objective.measure}": score
        for objective, score in zip(tune.objective, scores, strict=True)
    }
    # All columns for the page's head, and this trial's own values.
    parameters = tune.parameters
    columns = {name: 0.0 if _is_numeric(p) else "" for name, p in parameters.items()}
    row = {
        name: value if _is_numeric(parameters[name]) else _text(value)
        for name, value in trial.values.items()
    }
    hparams: Any = summary.hparams  # has no types
    experiment, _, _ = hparams({"outcome": "", **columns}, metrics)
    _, start, end = hparams({"outcome": trial.outcome, **row}, metrics)
    _write(folder, metrics, trial.number, (experiment, start, end))


def log_study(folder: Path, pictures: Sequence[Path], text: str) -> None:
    """Write the study's pictures, which are PNG files, and its text summary."""
    images = {f"tune/{path.stem}": _image(path) for path in pictures}
    indented = "".join(f"    {line}\n" for line in text.splitlines())
    _write(folder, {**images, "tune/summary": indented}, 0)


def _image(path: Path) -> Any:
    """Return a PNG file as an image to log; drawing it again would take longer."""
    from PIL import Image
    from stable_baselines3.common.logger import Image as Logged

    with Image.open(path) as file:
        return Logged(np.asarray(file.convert("RGB")), "HWC")


def _write(
    folder: Path, values: Mapping[str, Any], step: int, summaries: Sequence[Any] = ()
) -> None:
    """Replace the event files of a folder.

    :param summaries: TensorBoard's own messages, written with the values

    :raises DiskFullError: if there is no space
    :raises RunFolderError: if the folder cannot be written
    """
    from stable_baselines3.common.logger import TensorBoardOutputFormat

    with writing(folder), _silent_threads():
        for file in folder.glob(EVENTS):
            file.unlink()
        writer = TensorBoardOutputFormat(str(folder))
        event_file: Any = writer.writer.file_writer
        for summary in summaries:
            event_file.add_summary(summary)
        writer.write(dict(values), dict.fromkeys(values, ()), step)
        writer.close()


@contextlib.contextmanager
def _silent_threads() -> Iterator[None]:
    """Let TensorBoard's thread print no traceback: its error is raised here as well."""
    before, threading.excepthook = threading.excepthook, lambda _: None
    try:
        yield
    finally:
        threading.excepthook = before


def _is_numeric(parameter: ParameterConfig) -> bool:
    """Whether every value of a parameter is a number; a column has one type."""
    return all(isinstance(choice, int | float) for choice in parameter.choices or ())


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
