from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import twins
from sb3_contrib import QRDQN
from stable_baselines3 import DQN
from stable_baselines3.common.vec_env import VecNormalize

from rl_runner.agents.algorithms.geometric_dqn import GeometricDQN
from rl_runner.agents.fast import off_policy
from rl_runner.agents.fast.off_policy import FastDQN, FastGeometricDQN, FastQRDQN
from rl_runner.agents.fast.reasons import reason_against_value_learning

TWINS: dict[str, tuple[type[Any], type[Any]]] = {
    "dqn": (DQN, FastDQN),
    "geometric_dqn": (GeometricDQN, FastGeometricDQN),
    "qrdqn": (QRDQN, FastQRDQN),
}
both_algorithms = pytest.mark.parametrize("algorithm", TWINS)


def random_keywords(algorithm: str, rng: np.random.Generator) -> dict[str, Any]:
    def choose(*choices: Any) -> Any:
        return twins.choose(rng, *choices)

    policy: dict[str, Any] = {
        "net_arch": twins.random_net_arch(rng, separate=False),
        "activation_fn": choose(*twins.ACTIVATIONS),
    }
    if algorithm == "qrdqn":
        policy["n_quantiles"] = choose(1, 5, 12)
    exploration = {"exploration_fraction": 0.5}
    if algorithm == "geometric_dqn":
        exploration = {"exploration_decay": 0.97}
    return exploration | {
        "learning_rate": choose(1e-4, 3e-3),
        "buffer_size": choose(60, 1000),
        "learning_starts": 20,
        "batch_size": choose(1, 16, 33),
        "gamma": choose(0.9, 0.99),
        "tau": choose(1.0, 0.3),
        "train_freq": choose(1, 7),
        "gradient_steps": choose(-1, 1, 70),
        "target_update_interval": choose(5, 40),
        "max_grad_norm": choose(0.1, 10.0),
        "policy_kwargs": policy,
    }


@pytest.mark.slow
@both_algorithms
@pytest.mark.parametrize("seed", range(10))
def test_whole_trainings_equal_stock_ones(algorithm: str, seed: int):
    rng = np.random.default_rng([seed, *algorithm.encode()])
    observations = tuple(twins.OBSERVATIONS)[seed % 3]
    n_envs = 1 + seed % 2
    keywords = random_keywords(algorithm, rng)
    if keywords["gradient_steps"] == 70:
        keywords["train_freq"] = 7  # stock SB3 takes ten seconds for 7,000 steps
    stock, fast = twins.twins(
        *TWINS[algorithm], lambda: twins.world(observations, n_envs=n_envs), **keywords
    )
    for agent in (stock, fast):
        agent.set_random_seed(seed)
        agent.learn(120)
    for name in ("observations", "next_observations", "actions", "rewards", "dones", "timeouts"):
        ours, theirs = (getattr(agent.replay_buffer, name) for agent in (fast, stock))
        np.testing.assert_array_equal(ours, theirs)
    assert fast._n_updates > 5
    twins.assert_alike(stock, fast)


@both_algorithms
def test_of_large_observations_fewer_are_gathered_at_once(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(off_policy, "NUMBERS_AT_ONCE", 100)
    stock, fast = twins.twins(
        *TWINS[algorithm], twins.world, learning_starts=20, batch_size=16, gradient_steps=5
    )
    gathered: list[int] = []
    minibatches = fast._minibatches

    def remember(n_steps: int, batch_size: int) -> Any:
        gathered.append(n_steps)
        return minibatches(n_steps, batch_size)

    fast._minibatches = remember
    for agent in (stock, fast):
        agent.set_random_seed(0)
        agent.learn(40)
    assert set(gathered) == {2, 1}  # 2 × 16 observations of 3 numbers
    twins.assert_alike(stock, fast)


@both_algorithms
def test_predictions_equal_stock_ones(algorithm: str):
    stock, fast = twins.twins(*TWINS[algorithm], twins.world, buffer_size=10)
    obs = np.random.default_rng(0).uniform(-1, 1, (200, 3)).astype(np.float32)
    for deterministic in (True, False):
        played = []
        for agent in (stock, fast):
            agent.exploration_rate = 0.5
            agent.set_random_seed(3)
            played += [[agent.predict(obs, deterministic=deterministic)[0] for _ in range(5)]]
            played[-1] += [agent.predict(obs[0], deterministic=deterministic)[0]]
        for ours, theirs in zip(*played, strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert np.shape(ours) == np.shape(theirs)


@both_algorithms
def test_files_load_in_stock_sb3_and_training_continues_in_either(algorithm: str, tmp_path: Path):
    stock_class, fast_class = TWINS[algorithm]
    keywords = {"learning_starts": 10, "buffer_size": 100, "device": "cpu"}
    fast = fast_class("MlpPolicy", twins.world(), seed=0, **keywords)
    fast.learn(40)
    fast.save(tmp_path / "model.zip")
    stock = stock_class.load(tmp_path / "model.zip", env=twins.world(), device="cpu")
    assert type(stock) is stock_class
    other = fast_class("MlpPolicy", twins.world(), seed=5, **keywords)
    other.set_parameters(stock.get_parameters())
    other._n_updates = stock._n_updates
    weights = [parameter.detach().clone() for parameter in stock.policy.parameters()]
    for agent in (stock, other):
        agent.replay_buffer = fast.replay_buffer
        agent._current_progress_remaining = 0.5
        agent.set_logger(twins.silent_logger())
        np.random.seed(0)  # noqa: NPY002 - SB3 draws from it
        agent.train(20, 16)
    twins.assert_alike(stock, other)
    after = list(stock.policy.parameters())
    assert any((a != b).any() for a, b in zip(weights, after, strict=True))


def test_qrdqns_gradient_may_be_unbounded():
    stock, fast = twins.twins(
        QRDQN, FastQRDQN, twins.world, learning_starts=10, buffer_size=100, max_grad_norm=None
    )
    for agent in (stock, fast):
        agent.set_random_seed(0)
        agent.learn(60)
    twins.assert_alike(stock, fast)


REFUSED: dict[str, tuple[Any, str]] = {
    "n-step returns": (
        lambda: DQN("MlpPolicy", twins.world(), n_steps=3, buffer_size=10, device="cpu"),
        "replay buffers",
    ),
    "less memory": (
        lambda: DQN(
            "MlpPolicy",
            twins.world(),
            buffer_size=10,
            optimize_memory_usage=True,
            replay_buffer_kwargs={"handle_timeout_termination": False},
            device="cpu",
        ),
        "replay buffers",
    ),
    "normalised": (
        lambda: QRDQN("MlpPolicy", VecNormalize(twins.world()), buffer_size=10, device="cpu"),
        "normalised",
    ),
    "another activation": (
        lambda: QRDQN(
            "MlpPolicy",
            twins.world(),
            buffer_size=10,
            policy_kwargs={"activation_fn": torch.nn.ELU},
            device="cpu",
        ),
        "the layer ELU",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_compiled_twins_do_not_do_they_say(case: str):
    build, reason = REFUSED[case]
    assert reason in str(reason_against_value_learning(build()))
