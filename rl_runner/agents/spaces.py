"""Which observation and action spaces an algorithm supports, found out by trying.

The algorithm is built, with a tiny replay buffer, on an environment that has nothing but the spaces
in question, and asked for one action. If that raises an exception, the spaces are not supported. No
table of spaces is kept by hand.
"""

import functools
import inspect
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from rl_runner.agents.protocol import takes_action_masks
from rl_runner.agents.registry import ALGORITHMS, Algorithm

Space = spaces.Space[Any]

ACTION_SPACES: dict[str, Space] = {
    "Box": spaces.Box(-1.0, 1.0, (2,), np.float32),
    "Discrete": spaces.Discrete(3),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiBinary": spaces.MultiBinary(3),
}
OBSERVATION_SPACES: dict[str, Space] = {
    "Box": spaces.Box(-1.0, 1.0, (3,), np.float32),
    "Discrete": spaces.Discrete(4),
    "MultiDiscrete": spaces.MultiDiscrete([2, 3]),
    "MultiBinary": spaces.MultiBinary(3),
    "Dict": spaces.Dict({"a": spaces.Box(-1.0, 1.0, (3,), np.float32), "b": spaces.Discrete(2)}),
    "Tuple": spaces.Tuple((spaces.Discrete(2), spaces.Discrete(3))),
}


class _OnlySpaces(gym.Env[Any, Any]):
    """An environment that has spaces and nothing else."""

    def __init__(self, observation_space: Space, action_space: Space) -> None:
        self.observation_space = observation_space
        self.action_space = action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        return self.observation_space.sample(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:  # noqa: ARG002
        return self.observation_space.sample(), 0.0, False, False, {}


def refusal(algorithm: Algorithm, observation_space: Space, action_space: Space) -> str | None:
    """Return why the algorithm does not support these spaces; None if it does."""
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rl_runner.agents.handwritten import HandwrittenAgent

    cls = algorithm.load_class()
    first_action = np.max(getattr(action_space, "start", 0))
    if first_action != 0 and not issubclass(cls, HandwrittenAgent):
        return f"SB3 numbers discrete actions from 0, this environment from {first_action}"
    taken = inspect.signature(cls).parameters
    keywords: dict[str, Any] = {"buffer_size": 1, "device": "cpu"}  # small and quick to build
    keywords = {name: value for name, value in keywords.items() if name in taken}
    if "policy" in taken:
        keywords["policy"] = policy_for(algorithm, observation_space)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            env = DummyVecEnv([lambda: _OnlySpaces(observation_space, action_space)])
            cls(env=env, **keywords).predict(env.reset())
    except Exception as error:  # noqa: BLE001 - any exception is a refusal, and is reported as one
        return str(error).partition("\n")[0] or type(error).__name__
    return None


def policy_for(algorithm: Algorithm, observation_space: Space) -> str:
    """Choose the algorithm's policy for an observation space: by dictionary, image or vector."""
    from stable_baselines3.common.preprocessing import is_image_space

    aliases = list(algorithm.load_class().policy_aliases)
    if isinstance(observation_space, spaces.Dict):
        wanted = "MultiInput"
    elif isinstance(observation_space, spaces.Box) and is_image_space(observation_space):
        wanted = "Cnn"
    else:
        wanted = "Mlp"
    return next((str(alias) for alias in aliases if alias.startswith(wanted)), str(aliases[0]))


@functools.cache
def supported_spaces(name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the kinds of observation spaces and of action spaces that an algorithm supports."""
    algorithm = ALGORITHMS[name]
    actions = tuple(
        kind
        for kind, action_space in ACTION_SPACES.items()
        if any(
            refusal(algorithm, OBSERVATION_SPACES[obs], action_space) is None
            for obs in ("Box", "Discrete")
        )
    )
    observations = tuple(
        kind
        for kind, observation_space in OBSERVATION_SPACES.items()
        if refusal(algorithm, observation_space, ACTION_SPACES[actions[0]]) is None
    )
    return observations, actions


def fitting_algorithms(
    observation_space: Space, action_space: Space, *, has_action_masks: bool = False
) -> list[str]:
    """Return the algorithms that support both spaces; without masks, those that need none."""
    return [
        name
        for name, algorithm in ALGORITHMS.items()
        if (has_action_masks or not takes_action_masks(algorithm.load_class()))
        and refusal(algorithm, observation_space, action_space) is None
    ]
