"""What the environment itself paid, below the wrappers of the config."""

import math
from typing import Any

import gymnasium as gym

RAW_RETURN = "raw_return"  # info keys, at the end of an episode
RAW_EPISODE_ENDED = "raw_episode_ended"


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
