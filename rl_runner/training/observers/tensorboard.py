"""The logger of a run: SB3's, with faster event files, and metrics of our own."""

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
from rl_runner.layout import number_after
from rl_runner.redaction import redacted_yaml
from rl_runner.runs.record import Results

ONLY_TENSORBOARD = ("stdout", "log", "json", "csv")


class _Table(HumanOutputFormat):
    """SB3's table of metrics; unlike SB3's, it is left out when it would be empty."""

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        if any("stdout" not in key_excluded[key] for key in key_values):
            super().write(key_values, key_excluded, step)


class _EventFile(TensorBoardOutputFormat):
    """SB3's event file, with the scalars of a step in one event instead of one each.

    TensorBoard writes events in a thread of its own. SB3 waits for that thread after every write,
    which takes a tenth of the time when rollouts are short. Here :meth:`write` waits at most once a
    second, and :meth:`flush` always does.
    """

    SECONDS = 1.0
    _flushed_at = -math.inf  # by the monotonic clock

    def write(
        self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0
    ) -> None:
        shown = {
            k: v for k, v in key_values.items() if "tensorboard" not in (key_excluded[k] or ())
        }
        # All scalars of a step as one event.
        scalars = {key: value for key, value in shown.items() if _is_scalar(value)}
        if scalars:
            from tensorboard.compat.proto.summary_pb2 import Summary

            values = [Summary.Value(tag=k, simple_value=float(v)) for k, v in scalars.items()]
            file: Any = self.writer.file_writer
            file.add_summary(Summary(value=values), step)
        # Texts, pictures and the like as SB3 writes them.
        others = {key: value for key, value in shown.items() if key not in scalars}
        if others:
            super().write(others, dict.fromkeys(others, ()), step)
        if time.monotonic() - self._flushed_at > self.SECONDS:
            self.flush()

    def flush(self) -> None:
        """Wait until everything written so far is in the file."""
        self.writer.flush()
        self._flushed_at = time.monotonic()


def _is_scalar(value: Any) -> bool:
    """Whether SB3 logs a value as a scalar, and not as text."""
    return isinstance(value, np.ScalarType) and not isinstance(value, str)


class RunLogger(Logger):
    """SB3's logger; it remembers when the algorithm last wrote its own metrics."""

    last_rollout_at = 0  # timesteps

    def dump(self, step: int = 0) -> None:
        """Write what was recorded, at timestep ``step``."""
        if "time/fps" in self.name_to_value:  # every algorithm records it, and nothing else does
            self.last_rollout_at = step
        super().dump(step)

    def flush(self) -> None:
        """Wait until everything dumped so far is in the run's folder."""
        for output in self.output_formats:
            if isinstance(output, _EventFile):
                output.flush()


def build_logger(
    folder: Path, metrics_file: TextIO | None, warn: Callable[[str], None]
) -> RunLogger:
    """Build the logger of a run, which writes an event file into the run's folder.

    :param metrics_file: where SB3's table of metrics is printed too; None for nowhere
    :param warn: called with a warning if the clock was set back
    """
    _wait_for_next_second(folder, warn)
    formats: list[KVWriter] = [_EventFile(str(folder))]
    if metrics_file is not None:
        formats.append(_Table(metrics_file))
    return RunLogger(str(folder), formats)


def _wait_for_next_second(folder: Path, warn: Callable[[str], None]) -> None:
    """Wait until the name of a new event file sorts after those of earlier sessions.

    TensorBoard reads event files in the order of their names, which begin with the Unix time in
    seconds. Within the same second number 10 sorts before number 9, and TensorBoard discards events
    whose step is smaller than the one before.
    """
    names = [file.name.split(".") for file in folder.glob("events.out.tfevents.*")]
    seconds = [number for name in names if (number := number_after("", name[3])) is not None]
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
    """Write the resolved config for TensorBoard's TEXT page."""
    indented = "".join(f"    {line}\n" for line in redacted_yaml(dump_config(config)).splitlines())
    logger.record("config", indented, ONLY_TENSORBOARD)
    logger.dump(step=0)


def log_results(
    logger: Logger,
    config: ExperimentConfig,
    seed: int,
    timesteps: int,
    results: Results,
    *,
    has_hparams: bool = True,
) -> None:
    """Write the held-out results as scalars, and as a row of the HPARAMS page if it has one."""
    metrics = {
        f"final/{agent}_mean_reward": result.mean_reward
        for agent, result in (("last", results.last), ("best", results.best))
        if result is not None and result.mean_reward is not None
    }
    for tag, value in metrics.items():
        logger.record(tag, value)
    if has_hparams:
        hyperparameters = {"seed": seed, **_flat(config)}
        logger.record("hparams", HParam(hyperparameters, metrics), ONLY_TENSORBOARD)
    logger.dump(step=timesteps)


def _flat(config: ExperimentConfig) -> dict[str, bool | str | float | int]:
    """Return the settings to compare runs by, in the types that TensorBoard's hparams accept."""
    sections = config.to_dict()
    nested = {
        "env": sections["env"]["id"],
        "n_envs": sections["env"]["n_envs"],
        "total_timesteps": sections["train"]["total_timesteps"],
        "algo": sections["algo"].pop("name"),
        **sections["algo"],
    }
    # Values of other types become text.
    return {
        key: value if isinstance(value, bool | int | float) and math.isfinite(value) else str(value)
        for key, value in nested.items()
        if value is not None
    }
