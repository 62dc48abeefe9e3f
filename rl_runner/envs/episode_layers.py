"""Layers around each copy of an environment: where its episodes begin, and what they return."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor

RAW_RETURN = "raw_return"  # info keys, at the end of an episode
RAW_EPISODE_ENDED = "raw_episode_ended"


class EpisodeSeeds(gym.Wrapper[Any, Any, Any, Any]):
    """Resets on the next of the given seeds; after the last one, the generator continues.

    SB3 seeds copy ``i`` of an environment with ``seed + i``. Seed 0 and seed 1 of an experiment
    would then share environments, and chosen episodes could not be replayed. This wrapper ignores
    SB3's seeds: training gives it one seed per copy, an evaluation gives it one per episode.
    """

    def __init__(self, env: gym.Env[Any, Any], seeds: Sequence[int]) -> None:
        super().__init__(env)
        self._seeds: Iterator[int] = iter(seeds)

    def begin_episodes(self, seeds: Sequence[int]) -> None:
        """Use these seeds for the next resets, one each."""
        self._seeds = iter(seeds)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset on the next chosen seed; ``seed`` is ignored."""
        del seed
        return self.env.reset(seed=next(self._seeds, None), options=options)


class RewardRecorder(gym.Wrapper[Any, Any, Any, Any]):
    """Innermost layer below the config's wrappers: remembers what the environment itself paid.

    A wrapper may change rewards (NormalizeReward, TransformReward) or end an episode earlier than
    the environment does (AtariWrapper: with each life). Returns are then not the environment's.
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self.rewards: list[float] = []
        self.ended = False
        self.stepped_into: Any = None  # the observation that the last step returned

    def reset(self, **keywords: Any) -> tuple[Any, dict[str, Any]]:
        """Reset the environment's own episode."""
        self.ended = False
        return self.env.reset(**keywords)

    def step(self, action: Any) -> Any:
        """Step, and remember the reward if it is a number; the guard judges it later."""
        result = self.env.step(action)
        if isinstance(result, tuple) and len(result) == 5:
            self.stepped_into = result[0]
            try:
                self.rewards.append(float(result[1]))
                self.ended = bool(result[2]) or bool(result[3])
            except (TypeError, ValueError, OverflowError):
                self.rewards.append(math.nan)
        return result


class ExactMonitor(Monitor):
    """SB3's Monitor, whose returns are exact sums.

    SB3's own rounds each return to six decimals: returns of 1e-8 were all 0.

    :param recorder: below the config's wrappers, if there are any. The info of an episode's last
        step then has the environment's own return, and whether its own episode ended too
    """

    def __init__(self, env: gym.Env[Any, Any], recorder: RewardRecorder | None = None) -> None:
        super().__init__(env)
        self._recorder = recorder

    def reset(self, **keywords: Any) -> Any:
        """Begin an episode."""
        if self._recorder is not None:
            self._recorder.rewards = []
        return super().reset(**keywords)

    def step(self, action: Any) -> Any:
        """Step; at the end of an episode ``info["episode"]["r"]`` is the exact return.

        :raises FloatingPointError: if the return is too large for a float
        """
        result = super().step(action)
        if self.needs_reset:
            info = result[4]
            info["episode"]["r"] = exact_sum(self.rewards)
            if self._recorder is not None and all(map(math.isfinite, self._recorder.rewards)):
                info[RAW_RETURN] = exact_sum(self._recorder.rewards)
                info[RAW_EPISODE_ENDED] = self._recorder.ended
        return result


def exact_sum(rewards: list[float]) -> float:
    """Return the sum of finite rewards, rounded once (Shewchuk 1997).

    :raises FloatingPointError: if it is too large for a float
    """
    try:
        return math.fsum(rewards)
    except OverflowError:
        message = "the return of an episode is too large for a float: scale the rewards down"
        raise FloatingPointError(message) from None
