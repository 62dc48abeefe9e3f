import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stable_baselines3.common.callbacks import (
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
    EveryNTimesteps,
    StopTrainingOnMaxEpisodes,
    StopTrainingOnRewardThreshold,
)
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize
from tiny_envs import Chain, Corridor

from rl_runner.agents.algorithms.q_learning import QLearning
from rl_runner.agents.algorithms.reinforce import Reinforce
from rl_runner.agents.saving import load_parameters

AGENTS = {
    "q_learning": functools.partial(QLearning, seed=0),
    "reinforce": functools.partial(Reinforce, n_episodes=2, net_arch=[4], seed=0),
}
both = pytest.mark.parametrize("build", AGENTS.values(), ids=list(AGENTS))


def corridors(length: int = 5, n_envs: int = 1) -> DummyVecEnv:
    return DummyVecEnv([lambda: Monitor(Corridor(length))] * n_envs)


class _Steps(BaseCallback):
    """Records its calls, and asks to stop after a number of them."""

    def __init__(self, stop_after: int = 10**9) -> None:
        super().__init__()
        self.stop_after = stop_after
        self.calls: list[str] = []

    def _on_training_start(self) -> None:
        self.calls.append("start")

    def _on_step(self) -> bool:
        self.calls.append(f"step {self.num_timesteps}")
        return self.n_calls < self.stop_after

    def _on_training_end(self) -> None:
        self.calls.append("end")


@both
def test_sb3s_evaluate_policy_plays_with_it(build: Any) -> None:
    returns, lengths = evaluate_policy(
        build(corridors()), corridors(7), n_eval_episodes=3, return_episode_rewards=True
    )
    assert (returns, lengths) == ([7.0] * 3, [7] * 3)


@both
def test_a_callback_hears_of_the_start_every_step_and_the_end(build: Any) -> None:
    callback = _Steps()
    build(corridors(n_envs=2)).learn(20, callback)
    steps = [f"step {t}" for t in range(2, 21, 2)]
    assert callback.calls == ["start", *steps, "end"]


@both
def test_it_stops_when_a_callback_says_so(build: Any) -> None:
    callback = _Steps(stop_after=3)
    agent = build(corridors()).learn(1_000, callback)
    assert agent.num_timesteps == 3
    assert callback.calls[-2:] == ["step 3", "end"]


@both
def test_it_stops_when_any_callback_of_a_list_says_so(build: Any) -> None:
    callbacks = [_Steps(), _Steps(stop_after=4)]
    for given in (callbacks, CallbackList(callbacks)):
        for callback in callbacks:
            callback.n_calls = 0
        assert build(corridors()).learn(1_000, given).num_timesteps == 4


@both
def test_a_function_is_a_callback_too(build: Any) -> None:
    calls: list[str] = []

    def stop(local_names: dict[str, Any], _globals: dict[str, Any]) -> bool:
        calls.append(type(local_names["self"]).__name__)
        return len(calls) < 2

    agent = build(corridors())
    assert agent.learn(100, stop).num_timesteps == 2
    assert calls == [type(agent).__name__] * 2


@both
def test_a_callback_sees_the_model_its_environment_and_its_logger(build: Any) -> None:
    agent = build(corridors(n_envs=2))
    callback = _Steps(stop_after=1)
    agent.learn(10, callback)
    assert callback.model is agent
    assert callback.training_env is agent.get_env()
    assert callback.logger is agent.logger


@both
def test_sb3s_eval_callback_measures_it_and_keeps_the_best(build: Any, tmp_path: Path) -> None:
    agent = build(corridors())
    evaluation = EvalCallback(
        corridors(7),
        n_eval_episodes=2,
        eval_freq=10,
        log_path=str(tmp_path),
        best_model_save_path=str(tmp_path),
        verbose=0,
    )
    agent.learn(30, evaluation)
    assert evaluation.best_mean_reward == 7.0
    with np.load(tmp_path / "evaluations.npz") as file:
        assert file["timesteps"].tolist() == [10, 20, 30]
        assert file["results"].tolist() == [[7.0, 7.0]] * 3
    assert [path.stem for path in tmp_path.glob("best_model*")] == ["best_model"]


@both
def test_sb3s_eval_callback_stops_it_at_a_reward_threshold(build: Any) -> None:
    stop = StopTrainingOnRewardThreshold(7.0, verbose=0)
    evaluation = EvalCallback(corridors(7), callback_on_new_best=stop, eval_freq=10, verbose=0)
    assert build(corridors()).learn(1_000, evaluation).num_timesteps == 10


@both
def test_sb3s_checkpoint_callback_saves_what_can_be_loaded(build: Any, tmp_path: Path) -> None:
    agent = build(corridors())
    agent.learn(20, CheckpointCallback(10, str(tmp_path)))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["rl_model_10_steps.zip", "rl_model_20_steps.zip"]
    loaded = build(corridors())
    load_parameters(loaded, str(tmp_path / names[0]))
    assert loaded.num_timesteps == 10


@both
def test_sb3s_event_callbacks_come_in_time(build: Any) -> None:
    inner = _Steps()
    build(corridors(n_envs=2)).learn(20, EveryNTimesteps(6, inner))
    assert inner.n_calls == 3


@both
def test_sb3s_episode_limit_stops_it(build: Any) -> None:
    agent = build(corridors(length=5)).learn(1_000, StopTrainingOnMaxEpisodes(3))
    assert agent.num_timesteps == 15


@both
def test_episodes_are_remembered_for_the_mean_return(build: Any) -> None:
    agent = build(corridors(length=5)).learn(20)
    assert [info["r"] for info in agent.ep_info_buffer] == [5.0] * 4
    agent.learn(10)
    assert len(agent.ep_info_buffer) == 2


@both
def test_its_normalising_layer_is_found(build: Any) -> None:
    assert build(corridors()).get_vec_normalize_env() is None
    normalized = VecNormalize(DummyVecEnv([lambda: Chain(3)]), norm_obs=False)
    assert build(normalized).get_vec_normalize_env() is normalized
