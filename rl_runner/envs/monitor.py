"""Episode statistics: exact returns, and those of the environment below its wrappers."""

import math
from typing import Any

import gymnasium as gym
from stable_baselines3.common.monitor import Monitor

from rl_runner.envs.episode_layers import RAW_EPISODE_ENDED, RAW_RETURN, RewardRecorder


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
