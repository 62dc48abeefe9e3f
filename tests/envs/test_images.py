from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecNormalize, VecTransposeImage

from rl_runner.config.environment import EnvConfig
from rl_runner.envs import build_env
from rl_runner.errors import EnvError

LAST, FIRST = (40, 44, 3), (3, 40, 44)


class Film(gym.Env[Any, int]):
    """Shows the step number as an image, and what else it is asked for."""

    def __init__(self, shape: Sequence[int] = LAST, parts: Sequence[str] = ()) -> None:
        image = spaces.Box(0, 255, tuple(shape), np.uint8)
        others = {
            "speed": spaces.Box(-100.0, 100.0, (2,), np.float32),
            "gear": spaces.Discrete(3),
            "height": spaces.Box(-1.0, 1.0, (), np.float32),
        }
        self.parts = parts
        named = {"camera": image} | {name: others[name] for name in parts}
        self.observation_space = spaces.Dict(named) if parts else image
        self.action_space = spaces.Discrete(2)

    def _see(self) -> Any:
        shape = getattr(self.observation_space, "spaces", {"camera": self.observation_space})
        image = np.full(shape["camera"].shape, self.step_number, np.uint8)
        others = {
            "speed": np.array([50.0, self.step_number], np.float32),
            "gear": self.step_number % 3,
            "height": np.float32(0.5),
        }
        return {"camera": image} | {n: others[n] for n in self.parts} if self.parts else image

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.step_number = 1
        return self._see(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.step_number += 1
        return self._see(), float(action), self.step_number == 5, False, {}


gym.register("TestFilm-v0", entry_point=Film, max_episode_steps=50)

BOTH = {"observations": True, "rewards": True}
REWARDS = {"observations": False, "rewards": True}


def config_of(**fields: Any) -> EnvConfig:
    return EnvConfig.model_validate({"id": "TestFilm-v0", **fields})


@pytest.mark.parametrize("normalize", [BOTH, REWARDS])
@pytest.mark.parametrize("shape", [LAST, FIRST])
def test_images_are_never_normalised_and_have_their_channels_first_below_normalisation(
    shape: tuple[int, ...], normalize: dict[str, bool]
) -> None:
    env = build_env(config_of(kwargs={"shape": shape}, normalize=normalize), [0, 1])
    assert isinstance(env, VecNormalize)
    assert env.observation_space == spaces.Box(0, 255, FIRST, np.uint8)
    assert isinstance(env.venv, VecTransposeImage) == (shape == LAST)
    seen = env.reset()
    for step in range(2, 8):
        assert seen.dtype == np.uint8
        np.testing.assert_array_equal(seen, env.get_original_obs())
        seen, rewards, _, _ = env.step(np.array([0, 1]))
        assert rewards.tolist() != [0.0, 1.0] or step > 5


@pytest.mark.parametrize("frames", [1, 2])
def test_of_a_dictionary_only_quantities_are_normalised(frames: int) -> None:
    parts = ["speed"] if frames > 1 else ["speed", "gear"]
    config = config_of(kwargs={"parts": parts}, normalize=BOTH, frame_stack=frames)
    env = build_env(config, [0])
    assert isinstance(env, VecNormalize)
    assert list(env.obs_rms) == ["speed"]
    env.reset()
    for _ in range(3):
        seen, _, _, _ = env.step(np.array([1]))
    raw = env.get_original_obs()
    assert seen["camera"].dtype == np.uint8
    assert np.abs(seen["speed"]).max() <= 10
    assert raw["speed"].max() == 50
    for name in {"camera", "gear"} & set(seen):
        np.testing.assert_array_equal(seen[name], raw[name])


@pytest.mark.parametrize(
    ("parts", "said"),
    [(["speed", "gear"], "`gear` is Discrete(3)"), (["height"], "`height` is Box()")],
)
def test_a_part_that_has_no_axis_to_stack_is_named(parts: list[str], said: str) -> None:
    with pytest.raises(EnvError, match=r"cannot be stacked") as caught:
        build_env(config_of(kwargs={"parts": parts}, frame_stack=2), [0])
    (problem,) = caught.value.problems
    assert said in problem.what
    assert problem.where == "env.frame_stack"
    assert "FlattenObservation" in problem.cure
