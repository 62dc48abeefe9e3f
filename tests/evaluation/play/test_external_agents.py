import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from rl_runner.config import EnvConfig
from rl_runner.errors import CheckpointError, ConfigError, RunFolderError
from rl_runner.evaluation.play import targets
from rl_runner.evaluation.play.external_agents import evaluate_external_agent
from rl_runner.evaluation.play.targets import EvaluationOptions, evaluate_targets

CARTPOLE = EnvConfig(id="CartPole-v1", time_limit=50)


@pytest.fixture(scope="module")
def external(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PPO]:
    agent = PPO("MlpPolicy", "CartPole-v1", n_steps=16, batch_size=16, seed=1, device="cpu")
    path = tmp_path_factory.mktemp("external") / "theirs.zip"
    agent.save(path)
    return path, agent


def test_a_trusted_agent_plays_as_in_stock_sb3(external: tuple[Path, PPO]):
    path, agent = external
    found = evaluate_external_agent(path, "ppo", CARTPOLE, seed=2, n_episodes=5)
    env = gym.make("CartPole-v1", max_episode_steps=50)
    returns = []
    for seed in found.episodes.seeds:
        obs, _ = env.reset(seed=int(seed))
        total, over = 0.0, False
        while not over:
            action, _ = agent.predict(obs, deterministic=True)
            obs, reward, terminated, truncated, _ = env.step(action)
            total, over = total + float(reward), terminated or truncated
        returns.append(total)
    assert found.episodes.returns.tolist() == returns
    assert len(set(returns)) > 1


def test_nothing_is_unpickled_without_trust(tmp_path: Path):
    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return Path.touch, (tmp_path / "exploded",)

    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data", pickle.dumps(Bomb()))
    options = EvaluationOptions(algo="ppo", env_id="CartPole-v1")
    with pytest.raises(CheckpointError, match="--trust"):
        evaluate_targets([path], options)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (EvaluationOptions(trust=True), "neither its algorithm nor its environment"),
        (EvaluationOptions(trust=True, algo="ppo"), "--env CartPole-v1"),
        (EvaluationOptions(trust=True, algo="pppo", env_id="CartPole-v1"), "Did you mean `ppo`"),
        (EvaluationOptions(trust=True, algo="q_learning", env_id="CartPole-v1"), "not one of"),
        (
            EvaluationOptions(trust=True, algo="ppo", env_id="Pendulum-v1"),
            "observations .* are not those of Pendulum-v1",
        ),
        (EvaluationOptions(trust=True, policy="random"), "Leave out `--policy` or the zip file"),
    ],
)
def test_missing_or_contradictory_options_are_refused(
    external: tuple[Path, PPO], options: EvaluationOptions, message: str
):
    with pytest.raises(ConfigError, match=message):
        evaluate_targets([external[0]], options)


def test_a_damaged_zip_is_refused(tmp_path: Path):
    path = tmp_path / "damaged.zip"
    path.write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(CheckpointError, match="cannot be loaded as ppo"):
        evaluate_external_agent(path, "ppo", CARTPOLE, seed=0, n_episodes=1)
    with pytest.raises(RunFolderError, match="no such file"):
        evaluate_targets([tmp_path / "none.zip"], EvaluationOptions(trust=True))


def test_the_weights_file_of_a_run_is_evaluated_by_its_folder(trained: Callable[[str], Any]):
    path = trained("ppo").path / "model.zip"
    with pytest.raises(RunFolderError, match="Name the run's folder"):
        evaluate_targets([path], EvaluationOptions())


def test_everything_is_found_before_anything_is_played(
    trained: Callable[[str], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    played: list[Any] = []
    monkeypatch.setattr(targets, "evaluate_run", lambda *a, **_: played.append(a))
    with pytest.raises(RunFolderError):
        evaluate_targets([trained("ppo").path, tmp_path / "none.zip"], EvaluationOptions())
    assert played == []


def test_the_returns_are_numbers(external: tuple[Path, PPO]):
    options = EvaluationOptions(
        3, algo="ppo", env_id="CartPole-v1", trust=True, deterministic=False
    )
    (group,) = evaluate_targets([external[0]], options)
    assert group.name == "theirs.zip"
    assert np.isfinite(group.evaluations[0].episodes.returns).all()
    assert group.evaluations[0].timesteps == 0


class Stripes(gym.Env[Any, Any]):
    """Shows how often the action was 1, as an image whose channels come last."""

    observation_space = gym.spaces.Box(0, 255, (40, 44, 3), np.uint8)
    action_space = gym.spaces.Discrete(2)

    def _see(self) -> Any:
        return np.full((40, 44, 3), 40 * self.paid, np.uint8), {}

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed, options=options)
        self.paid = int(self.np_random.integers(4))
        return self._see()

    def step(self, action: int) -> Any:
        self.paid += int(action)
        return self._see()[0], float(action), False, False, {}


gym.register("TestStripes-v0", entry_point=Stripes, max_episode_steps=6)


@pytest.mark.parametrize("normalized", [False, True])
def test_an_agent_that_sees_images_plays_as_in_stock_sb3(tmp_path: Path, normalized: bool):
    venv: Any = DummyVecEnv([lambda: gym.make("TestStripes-v0")])
    if normalized:
        venv = VecNormalize(venv, norm_obs=False)
        venv.save(str(tmp_path / "statistics.pkl"))
    agent = PPO("CnnPolicy", venv, n_steps=8, batch_size=8, seed=1, device="cpu")
    agent.save(tmp_path / "theirs.zip")
    statistics = tmp_path / "statistics.pkl" if normalized else None
    config = EnvConfig(id="TestStripes-v0")
    found = evaluate_external_agent(
        tmp_path / "theirs.zip", "ppo", config, seed=2, n_episodes=4, statistics=statistics
    )
    env = gym.make("TestStripes-v0")
    for seed, expected in zip(found.episodes.seeds, found.episodes.returns, strict=True):
        obs, _ = env.reset(seed=int(seed))
        total, over = 0.0, False
        while not over:
            action, _ = agent.predict(obs, deterministic=True)
            obs, reward, _, over, _ = env.step(action)
            total += float(reward)
        assert total == expected


INSIDE, OUTSIDE = [[0.1, 0.0, 0.1, 0.0]], [[0.1, 0.0, 1.7, 0.0]]  # the angle is at most 0.42


@pytest.mark.parametrize(
    ("original", "last", "dtypes", "is_shown"),
    [
        (INSIDE, OUTSIDE, ("f4", "f4"), True),
        (OUTSIDE, OUTSIDE, ("f4", "f4"), False),
        (OUTSIDE, INSIDE, ("f4", "f4"), False),
        (INSIDE, [[0.2, 0.0, 0.1, 0.0]], ("f4", "f4"), False),
        (INSIDE, [[0.2, 0.0, 0.1, 0.0]], ("f8", "f4"), True),
        (INSIDE, [[0.2, 0.0, 0.1, 0.0]], ("f8", "f8"), False),
    ],
)
def test_an_off_policy_agent_whose_file_shows_normalization_is_refused_without_statistics(
    tmp_path: Path, original: Any, last: Any, dtypes: tuple[str, str], is_shown: bool
):
    agent: Any = DQN("MlpPolicy", "CartPole-v1", buffer_size=10, seed=1, device="cpu")
    agent._last_original_obs = np.asarray(original, dtypes[0])
    agent._last_obs = np.asarray(last, dtypes[1])
    path = tmp_path / "theirs.zip"
    agent.save(path)
    if is_shown:
        with pytest.raises(CheckpointError, match="trained under VecNormalize"):
            evaluate_external_agent(path, "dqn", CARTPOLE, seed=0, n_episodes=1)
    else:
        found = evaluate_external_agent(path, "dqn", CARTPOLE, seed=0, n_episodes=1)
        has_note = original != last
        assert ("does not show whether" in found.note) == has_note
