"""What goes to TensorBoard beside the algorithm's own metrics."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from stable_baselines3.common.logger import (
    HParam,
    HumanOutputFormat,
    KVWriter,
    Logger,
    TensorBoardOutputFormat,
)

from rl_runner.config import ExperimentConfig, dump_config
from rl_runner.runs.record import Results

ONLY_TENSORBOARD = ("stdout", "log", "json", "csv")


class _Table(HumanOutputFormat):
    """SB3's table, which is not drawn, and not warned of, when there is nothing to put in it."""

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        if any("stdout" not in key_excluded[key] for key in key_values):
            super().write(key_values, key_excluded, step)


class _EventFile(TensorBoardOutputFormat):
    """SB3's event file, with the scalars of a step in one event instead of one each.

    Each event is handed to a thread that writes it. SB3 waits for that thread after every step's
    numbers, which of short rollouts takes a tenth of the time; here it is waited for once a second
    at most, and by :meth:`flush`.
    """

    SECONDS = 1.0
    _flushed_at = -math.inf  # by the monotonic clock

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        shown = {
            k: v for k, v in key_values.items() if "tensorboard" not in (key_excluded[k] or ())
        }
        scalars = {key: value for key, value in shown.items() if _is_scalar(value)}
        if scalars:
            from tensorboard.compat.proto.summary_pb2 import Summary

            values = [Summary.Value(tag=k, simple_value=float(v)) for k, v in scalars.items()]
            file: Any = self.writer.file_writer
            file.add_summary(Summary(value=values), step)
        others = {key: value for key, value in shown.items() if key not in scalars}
        if others:
            super().write(others, dict.fromkeys(others, ()), step)
        if time.monotonic() - self._flushed_at > self.SECONDS:
            self.flush()

    def flush(self) -> None:
        """Wait until all that was written is in the file."""
        self.writer.flush()
        self._flushed_at = time.monotonic()


def _is_scalar(value: Any) -> bool:
    """Whether SB3 takes a value for a scalar and not for a text."""
    return isinstance(value, np.ScalarType) and not isinstance(value, str)


class RunLogger(Logger):
    """SB3's logger, which remembers when an algorithm last wrote its own metrics."""

    last_rollout_at = 0  # timesteps

    def dump(self, step: int = 0) -> None:
        """Write what was recorded."""
        if "time/fps" in self.name_to_value:  # which every algorithm writes, and nothing else
            self.last_rollout_at = step
        super().dump(step)

    def flush(self) -> None:
        """Wait until all that was dumped is in the run's folder."""
        for output in self.output_formats:
            if isinstance(output, _EventFile):
                output.flush()


def build_logger(
    folder: Path, metrics_file: TextIO | None, warn: Callable[[str], None]
) -> RunLogger:
    """Build SB3's logger, writing event files straight into the run's folder.

    :param metrics_file: where SB3's table of metrics is printed too
    :param warn: hears of a clock that was set back
    """
    _let_a_second_pass(folder, warn)
    formats: list[KVWriter] = [_EventFile(str(folder))]
    if metrics_file is not None:
        formats.append(_Table(metrics_file))
    return RunLogger(str(folder), formats)


def _let_a_second_pass(folder: Path, warn: Callable[[str], None]) -> None:
    """Make sure that the coming event file is named after those of earlier sessions.

    TensorBoard reads event files in the order of their names, which begin with the second; within a
    second number 10 comes before number 9, and what seems to step backwards is thrown away.
    """
    seconds = [int(file.name.split(".")[3]) for file in folder.glob("events.out.tfevents.*")]
    give_up = time.monotonic() + 1.5  # the clock may have been set back
    while seconds and int(time.time()) <= max(seconds):
        if time.monotonic() > give_up:
            warn(
                f"The clock was set back since {folder} was last trained: TensorBoard may hide "
                "parts of its curves. The run's files have all the numbers."
            )
            return
        time.sleep(0.02)


def log_config(logger: Logger, config: ExperimentConfig) -> None:
    """Show the resolved config on the TEXT page."""
    indented = "".join(f"    {line}\n" for line in dump_config(config).splitlines())
    logger.record("config", indented, ONLY_TENSORBOARD)
    logger.dump(step=0)


def log_results(
    logger: Logger, config: ExperimentConfig, seed: int, timesteps: int, results: Results
) -> None:
    """Write the held-out results as scalars, and hparams with them for the HPARAMS page."""
    metrics = {
        f"final/{agent}_mean_reward": result.mean_reward
        for agent, result in (("last", results.last), ("best", results.best))
        if result is not None and result.mean_reward is not None
    }
    for tag, value in metrics.items():
        logger.record(tag, value)
    hyperparameters = {"seed": seed, **_flat(config)}
    logger.record("hparams", HParam(hyperparameters, metrics), ONLY_TENSORBOARD)
    logger.dump(step=timesteps)


def _flat(config: ExperimentConfig) -> dict[str, bool | str | float | int]:
    """Return what a person may want to compare runs by, in types that TensorBoard takes."""
    sections = config.to_dict()
    nested = {
        "env": sections["env"]["id"],
        "n_envs": sections["env"]["n_envs"],
        "total_timesteps": sections["train"]["total_timesteps"],
        "algo": sections["algo"].pop("name"),
        **sections["algo"],
    }
    return {
        key: value if isinstance(value, bool | int | float) and math.isfinite(value) else str(value)
        for key, value in nested.items()
        if value is not None
    }
