"""Baselines in videos, and the window's title."""

import os
from pathlib import Path

import pytest
from PIL import Image

from rl_runner.config import EnvConfig
from rl_runner.envs import build_env
from rl_runner.errors import ConfigError, EnvError
from rl_runner.evaluation.pictures.recording import frame_strip, record_video
from rl_runner.evaluation.pictures.window import TitledWindow
from rl_runner.evaluation.play.baseline_runs import baseline_in
from rl_runner.evaluation.play.env_description import describe_environment

CONFIG = """
env: {id: FrozenLake-v1, normalize: {rewards: true}}
algo: {name: q_learning}
train: {total_timesteps: 100, seeds: [3]}
"""


@pytest.mark.parametrize("name", ["random", "optimal"])
def test_a_baseline_is_recorded_in_the_environment_of_a_config(name: str, tmp_path: Path) -> None:
    config = tmp_path / "lake.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    run = baseline_in(config, None, name)
    assert run.seed == 3
    video = record_video([run], [name], n_episodes=1)
    assert len(list(video.frames)) > 1


def test_a_strip_shows_an_environments_own_baseline() -> None:
    run = baseline_in(None, "Tutor-v0", "round_robin")
    assert isinstance(frame_strip([run], ["round_robin"], n_frames=2), Image.Image)


def test_an_unknown_baseline_is_refused() -> None:
    run = baseline_in(None, "CartPole-v1", "oracle")
    with pytest.raises(ConfigError, match="no baseline `oracle`"):
        frame_strip([run], ["oracle"])


def test_the_window_is_titled_with_environment_return_and_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(os.environ, "SDL_VIDEODRIVER", "dummy")
    pygame = pytest.importorskip("pygame")
    built = build_env(EnvConfig(id="CartPole-v1"), [0], training=False, render_mode="human")
    env = TitledWindow(built, "CartPole-v1")
    try:
        env.reset()
        for _ in range(3):
            env.step(env.action_space.sample().reshape(1))
        assert pygame.display.get_caption()[0] == "CartPole-v1  return 3  step 3"
    finally:
        env.close()


def test_an_environment_is_described_with_its_bounds_and_a_random_return() -> None:
    found = describe_environment("CartPole-v1")
    (observations,) = found.observations
    assert observations.startswith("Box(4,) float32, [-4.8, 4.8], [-inf, inf]")
    assert found.actions == ("Discrete(2) int64",)
    assert found.time_limit == 500
    assert found.reward_threshold == 475
    assert 10 < found.random_return < 40
    assert found.random_length == found.random_return
    assert "cart" in found.text
    with pytest.raises(EnvError, match="Did you mean `CartPole-v1`"):
        describe_environment("CartPol-v1")
