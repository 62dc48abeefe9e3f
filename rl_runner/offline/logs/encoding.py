"""From checked rows to numbers: the recommender's states, actions and rewards.

This is the one place where rows of a log meet the recommender's states and its reward.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from rl_runner.config import ExperimentConfig
from rl_runner.envs.recommender.domain import BINS, STATE_STRIDES, TRAITS
from rl_runner.envs.recommender.rewards import (
    DEFAULT_WEIGHTS,
    OUTCOMES,
    RewardWeights,
    rewards,
    weights_from,
)
from rl_runner.errors import ConfigError, Problem
from rl_runner.offline.logs.row_checks import LINE

__all__ = ["DEFAULT_WEIGHTS", "EncodedBatch", "RewardWeights", "encode", "reward_weights"]

KEY_SEPARATOR = "\x1f"


def reward_weights(config: ExperimentConfig) -> RewardWeights:
    """Return what the outcomes are worth by a config's ``data.rewards``.

    :raises ConfigError: on an unknown outcome, or a weight that is not finite
    """
    try:
        return weights_from(config.data.rewards if config.data else {})
    except ValueError as error:
        where = config.source.locate(("data", "rewards"))
        raise ConfigError(Problem(f"{error}.", where)) from None


@dataclass(frozen=True)
class EncodedBatch:
    """One batch of a log in numbers; n rows."""

    line: np.ndarray  # (n,) where in its file each row is, from 1
    columns: dict[str, np.ndarray]  # (n, …) those of Interactions but user, session
    user_key: (
        np.ndarray
    )  # (n,) uint64 hashes; among ten million, two collide in one of 400,000 logs
    session_key: np.ndarray  # (n,) uint64 hashes of user and session
    names: pl.Series  # (n,) user and session in one text

    @property
    def first_time(self) -> int:
        """The earliest time, in microseconds since 1970."""
        return int(self.columns["ts"].min(initial=np.iinfo(np.int64).max))


def encode(rows: pl.DataFrame, weights: RewardWeights) -> EncodedBatch:
    """Return checked rows as numbers: states, actions and rewards."""
    # The state: five traits in bins, and three words, as one number in mixed radix.
    bins = [(pl.col(name).cast(float) * BINS / 100).floor().clip(0, BINS - 1) for name in TRAITS]
    words = [pl.col(name).to_physical() for name in ("content_type", "mood", "time_of_day")]
    parts = [part.cast(pl.Int32) for part in (*bins, *words)]
    state = pl.sum_horizontal(
        [part * int(stride) for part, stride in zip(parts, STATE_STRIDES, strict=True)]
    )
    # All other columns as numbers; users and sessions as hashes for now.
    encoded = rows.select(
        pl.col("event_id").hash(seed=0).alias("event"),
        pl.col("ts").to_physical(),
        pl.struct("user_id").hash(seed=0).alias("user_key"),
        pl.struct("user_id", "session_id").hash(seed=0).alias("session_key"),
        "step",
        state.alias("state"),
        "action",
        "pscore",
        "terminal",
        *OUTCOMES,
        "completion_rate",
        pl.col("mood_before").to_physical(),
        pl.col("mood_after").to_physical(),
    )
    # The reward, from the outcomes and the change of mood.
    arrays = {name: encoded[name].to_numpy() for name in encoded.columns}
    reward = rewards(arrays, arrays.pop("mood_before"), arrays.pop("mood_after"), weights)
    columns = {
        **{name: arrays[name] for name in ("event", "ts", "step", "state", "action", "pscore")},
        "reward": reward,
        "terminal": arrays["terminal"],
        "outcomes": np.stack([arrays[name] for name in OUTCOMES], axis=1),
        "completion_rate": arrays["completion_rate"],
    }
    names = rows.select(pl.concat_str("user_id", "session_id", separator=KEY_SEPARATOR)).to_series()
    line = rows[LINE].to_numpy().astype(np.int64)
    return EncodedBatch(line, columns, arrays["user_key"], arrays["session_key"], names)
