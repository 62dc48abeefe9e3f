"""Environments of packages that are extras: tested where they are installed."""

from typing import Any

import pytest

from rl_runner import config_from_dict
from rl_runner.envs.contract.trial import try_environment
from rl_runner.training.resolve import resolve

CASES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "mujoco": (("mujoco", "imageio"), {"id": "HalfCheetah-v5", "time_limit": 50}),
    "box2d": (("Box2D",), {"id": "LunarLander-v3", "time_limit": 50}),
    "minigrid": (
        ("minigrid",),
        {
            "id": "minigrid:MiniGrid-Empty-5x5-v0",
            "wrappers": ["minigrid.wrappers.FlatObsWrapper"],
        },
    ),
    "atari": (
        ("ale_py", "cv2"),
        {
            "id": "ale_py:ALE/Pong-v5",
            "kwargs": {"frameskip": 1, "repeat_action_probability": 0.0},
            "wrappers": [
                {
                    "name": "gymnasium.wrappers.AtariPreprocessing",
                    "kwargs": {"frame_skip": 4, "noop_max": 30, "grayscale_newaxis": True},
                }
            ],
            "frame_stack": 4,
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore")
def test_an_environment_of_another_package_can_be_trained_in(name: str) -> None:
    packages, env = CASES[name]
    for package in packages:
        pytest.importorskip(package)
    raw = {"env": env, "algo": {"name": "ppo"}, "train": {"total_timesteps": 100}}
    resolution = resolve(config_from_dict(raw))
    assert resolution.config.algo.hyperparameters["policy"] in {"MlpPolicy", "CnnPolicy"}
    assert try_environment(resolution.config.env).steps_per_second > 0
