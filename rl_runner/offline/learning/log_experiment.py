"""From a config with a `data` section to a resolved experiment with its interactions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rl_runner.config import ExperimentConfig
from rl_runner.config.data import DataConfig
from rl_runner.config.schema import AlgoConfig
from rl_runner.errors import ConfigError, DataError, Problem
from rl_runner.offline.learning.learners import build_learner, check_learner
from rl_runner.offline.learning.trained_run import TrainedRun, load_trained
from rl_runner.offline.logs.encoding import RewardWeights, reward_weights
from rl_runner.offline.logs.interactions import Interactions, moment, read_interactions
from rl_runner.offline.logs.log_files import LogReader
from rl_runner.offline.logs.refusals import Refusals
from rl_runner.offline.logs.simulation import check_simulated
from rl_runner.offline.logs.sources import find_files
from rl_runner.offline.logs.windows import Split, split, within_budget


@dataclass(frozen=True)
class LogExperiment:
    """A resolved experiment on logs, with its interactions."""

    config: ExperimentConfig
    split: Split
    log: Interactions  # of the training window and the held-out one
    weights: RewardWeights
    refusals: Refusals
    earlier: TrainedRun | None  # the run to continue from


def resolve_on_logs(config: ExperimentConfig, now: datetime | None = None) -> LogExperiment:
    """Check a config, read its logs, and fill in every default; nothing is written.

    ``until`` becomes the time of the last event and ``fingerprint`` the hash of the events. An
    experiment on a log that has grown is therefore a different experiment.

    :param now: timestamps after it are refused; default: the clock
    :raises ConfigError: on invalid hyperparameters or reward weights
    :raises DataError: on logs that are missing, damaged, mostly bad, empty, or have changed
    """
    data = config.data
    if data is None:
        raise ConfigError(
            Problem("The `data` section is missing.", config.source.locate(("data",)))
        )
    # The config alone: environment, reward weights, hyperparameters.
    check_simulated(config)
    weights = reward_weights(config)
    algo = {"name": config.algo.name, **check_learner(config)}
    config = config.model_copy(update={"algo": AlgoConfig.model_validate(algo)}).with_source(
        config.source
    )
    build_learner(config)
    # The run to continue from, and the logs.
    earlier = None if data.continue_from is None else _earlier_run(data.continue_from, config)
    reader = LogReader(data.timezone, data.ambiguous_times, now or datetime.now(UTC))
    log = read_interactions(find_files(data.path), reader, weights)
    if len(log) == 0:
        raise DataError(Problem("The logs hold no good rows.", ", ".join(data.path)))
    # Split by time, and record in the config which events these are.
    parts = split(log, data, None if earlier is None else earlier.log.learned_until)
    end = parts.window.end if parts.holdout is None else parts.holdout.end
    used = log.take((log.ts > parts.window.start) & (log.ts <= end))
    pinned = _pinned(data, used, end)
    resolved = config.model_copy(update={"data": pinned}).with_source(config.source)
    parts = within_budget(parts, config.train.total_timesteps)
    return LogExperiment(resolved, parts, used, weights, reader.refusals, earlier)


def _earlier_run(path: str, config: ExperimentConfig) -> TrainedRun:
    """Load the run to continue from.

    :raises ConfigError: if its values mean something else than those of this config
    """
    earlier = load_trained(Path(path))
    where = config.source.locate(("data", "continue_from"))
    ours, theirs = config, earlier.config
    same = {
        "algo.name": (ours.algo.name, theirs.algo.name),
        "algo.gamma": tuple(c.algo.hyperparameters.get("gamma") for c in (ours, theirs)),
        "data.rewards": tuple(c.data.rewards if c.data else None for c in (ours, theirs)),
    }
    for key, (our, their) in same.items():
        if our != their:
            what = f"`{key}` is {our}; the earlier run learned with {their}."
            raise ConfigError(
                Problem(what, where, "Use the same value, or leave out `data.continue_from`.")
            )
    return earlier


def _pinned(data: DataConfig, used: Interactions, end: int) -> DataConfig:
    """Return the section with the fingerprint and the end of the events that are used."""
    fingerprint = used.fingerprint()
    if data.fingerprint not in {None, fingerprint}:
        what = f"The events are not those that the config names: {fingerprint}, not "
        what += f"{data.fingerprint}."
        cure = "The log has changed. To learn again, leave out `data.fingerprint` and `data.until`."
        raise DataError(Problem(what, ", ".join(data.path), cure))
    until = data.until or moment(end).isoformat()
    return data.model_copy(update={"fingerprint": fingerprint, "until": until})


def held_out(experiment: LogExperiment) -> Interactions | None:
    """Return the interactions held out; None if there are none."""
    window = experiment.split.holdout
    if window is None:
        return None
    rows = experiment.log.take(window.mask(experiment.log))
    return rows if len(rows) else None
