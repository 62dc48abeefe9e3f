from typing import Any

import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.agents.hyperparameters.combinations import impossible_combinations
from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.config import config_from_dict
from rl_runner.config.yaml_text import SourceMap
from rl_runner.errors import Problem

BOX = spaces.Box(-1, 1, (3,))
GOALS = spaces.Dict(dict.fromkeys(("observation", "achieved_goal", "desired_goal"), BOX))


def problems(
    algo: str,
    env: dict[str, Any] | None = None,
    total_timesteps: int = 10_000,
    observations: spaces.Space[Any] = BOX,
    **written: Any,
) -> list[Problem]:
    checked = check_hyperparameters(ALGORITHMS[algo], written, SourceMap())
    raw = {
        "env": {"id": "CartPole-v1", **(env or {})},
        "algo": {"name": algo, **written},
        "train": {"total_timesteps": total_timesteps},
    }
    places = {("algo", key): f"a.yaml:{i}" for i, key in enumerate(written, start=5)}
    config = config_from_dict(raw, SourceMap("a.yaml", places))
    return list(impossible_combinations(config, checked, observations))


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_defaults_are_possible(algo: str) -> None:
    assert problems(algo) == []


# --- rollouts -----------------------------------------------------------------------------------


def test_a_minibatch_that_leaves_a_remainder_is_refused_with_the_nearest_that_does_not() -> None:
    (problem,) = problems("ppo", {"n_envs": 3}, n_steps=10, batch_size=16)
    assert problem == Problem(
        "batch_size 16 does not divide a rollout of n_steps × n_envs = 10 × 3 = 30.",
        "a.yaml:6, key `algo.batch_size`",
        "The nearest size that does is 15.",
    )


@pytest.mark.parametrize("algo", ["ppo", "trpo", "maskable_ppo", "recurrent_ppo"])
def test_every_algorithm_with_minibatches_is_bound_by_it(algo: str) -> None:
    assert problems(algo, {"n_envs": 2}, n_steps=8, batch_size=16) == []
    (problem,) = problems(algo, {"n_envs": 2}, n_steps=8, batch_size=15)
    assert "does not divide" in problem.what


@given(
    n_steps=st.integers(1, 50),
    n_envs=st.integers(1, 8),
    batch_size=st.integers(1, 500),
)
def test_only_sizes_that_leave_a_remainder_are_refused_and_the_cure_is_the_nearest_divisor(
    n_steps: int, n_envs: int, batch_size: int
) -> None:
    found = problems(
        "ppo",
        {"n_envs": n_envs},
        n_steps=n_steps,
        batch_size=batch_size,
        normalize_advantage=False,
    )
    rollout = n_steps * n_envs
    assert len(found) == (rollout % batch_size != 0)
    for problem in found:
        size = int(problem.cure.removesuffix(".").rsplit(" ", 1)[1])
        assert rollout % size == 0
        closer = range(batch_size - abs(size - batch_size) + 1, batch_size + abs(size - batch_size))
        assert not [other for other in closer if other > 0 and rollout % other == 0]


def test_a_single_step_cannot_be_normalised() -> None:
    (problem,) = problems("ppo", n_steps=1, batch_size=1)
    assert "cannot be normalised" in problem.what
    assert problem.where == "a.yaml:5, key `algo.n_steps`"
    assert problems("ppo", n_steps=1, batch_size=1, normalize_advantage=False) == []
    assert problems("ppo", {"n_envs": 2}, n_steps=1, batch_size=2) == []


def test_a2c_has_no_minibatches_and_does_not_normalise_by_default() -> None:
    assert problems("a2c", n_steps=1) == []
    (problem,) = problems("a2c", n_steps=1, normalize_advantage=True)
    assert "cannot be normalised" in problem.what


# --- replay -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algo", ["dqn", "qrdqn", "ddpg", "td3", "sac", "tqc", "crossq"])
def test_an_agent_that_would_never_learn_is_refused(algo: str) -> None:
    assert problems(algo, total_timesteps=101, learning_starts=100) == []
    (problem,) = problems(algo, total_timesteps=100, learning_starts=100)
    assert problem == Problem(
        "learning_starts 100 is not below train.total_timesteps 100: nothing would be learned.",
        "a.yaml:5, key `algo.learning_starts`",
        "Lower it, or train for longer.",
    )


def test_a_minibatch_larger_than_the_buffer_is_refused() -> None:
    assert problems("dqn", batch_size=50, buffer_size=50) == []
    (problem,) = problems("dqn", batch_size=51, buffer_size=50)
    assert problem.what == "batch_size 51 is larger than buffer_size 50."
    assert problem.where == "a.yaml:5, key `algo.batch_size`"


@pytest.mark.parametrize(
    ("n_envs", "train_freq", "possible"),
    [
        (1, [1, "episode"], True),
        (2, [1, "step"], True),
        (2, 4, True),
        (2, [1, "episode"], False),
    ],
)
def test_episodes_are_counted_in_a_single_environment_only(
    n_envs: int, train_freq: object, possible: bool
) -> None:
    found = problems("sac", {"n_envs": n_envs}, train_freq=train_freq)
    assert (found == []) == possible
    for problem in found:
        assert problem.what == "`train_freq` counts episodes, which needs a single environment."
        assert problem.where == "a.yaml:5, key `algo.train_freq`"


@pytest.mark.parametrize("buffer", ["HerReplayBuffer", "stable_baselines3.her.HerReplayBuffer"])
def test_hindsight_needs_a_whole_episode_of_each_environment_first(buffer: str) -> None:
    env = {"time_limit": 50, "n_envs": 2}
    written = {"observations": GOALS, "replay_buffer_class": buffer}
    assert problems("dqn", env, **written, learning_starts=100) == []
    (problem,) = problems("dqn", env, **written, learning_starts=99)
    assert "an episode may last 100 timesteps" in problem.what
    assert problem.where == "a.yaml:6, key `algo.learning_starts`"
    assert problem.cure == "Set it to at least 100, or shorten `env.time_limit`."


@pytest.mark.parametrize(
    "observations", [BOX, spaces.Discrete(3), spaces.Dict({"desired_goal": BOX})]
)
def test_hindsight_needs_goals(observations: spaces.Space[Any]) -> None:
    (problem,) = problems(
        "sac", observations=observations, replay_buffer_class="HerReplayBuffer", learning_starts=0
    )
    assert "which those of CartPole-v1 are not" in problem.what
    assert problem.where == "a.yaml:5, key `algo.replay_buffer_class`"
    assert "Leave it out" in problem.cure


SINGLE = spaces.Box(-1, 1, ())


@pytest.mark.parametrize(
    ("achieved", "desired", "said"),
    [
        (SINGLE, SINGLE, "Hindsight replay cannot store `achieved_goal`, a single number"),
        (BOX, spaces.Box(-1, 1, (2,)), "differ"),
        (spaces.Discrete(3), BOX, "differ"),
        (spaces.Discrete(3), spaces.Discrete(3), ""),
    ],
)
def test_goals_that_hindsight_cannot_exchange_or_store_are_refused(
    achieved: spaces.Space[Any], desired: spaces.Space[Any], said: str
) -> None:
    parts = {"observation": BOX, "achieved_goal": achieved, "desired_goal": desired}
    written = {"replay_buffer_class": "HerReplayBuffer", "learning_starts": 100}
    found = problems("dqn", observations=spaces.Dict(parts), **written)
    assert [said in problem.what for problem in found] == [True] * bool(said)


@pytest.mark.parametrize(
    ("env", "kwargs", "said"),
    [
        ({"frame_stack": 2}, {}, "knows no stacked frames"),
        ({}, {"n_sampled_gaol": 4}, "Did you mean `n_sampled_goal`?"),
        ({}, {"goal_selection_strategy": "futur"}, "Did you mean `future`?"),
        ({}, {"goal_selection_strategy": "Episode"}, ""),
    ],
)
def test_hindsight_that_would_compute_wrong_rewards_or_is_misspelt_is_refused(
    env: dict[str, Any], kwargs: dict[str, Any], said: str
) -> None:
    written = {"replay_buffer_class": "HerReplayBuffer", "replay_buffer_kwargs": kwargs}
    found = problems("dqn", env, observations=GOALS, **written)
    assert [said in str(problem) for problem in found] == [True] * bool(said)


def test_without_hindsight_learning_may_start_within_an_episode() -> None:
    assert problems("dqn", {"time_limit": 50}, learning_starts=0) == []


# --- others -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_episodes", "n_envs", "nearest"), [(6, 4, 8), (5, 4, 4), (1, 3, 3), (31, 16, 32)]
)
def test_episodes_are_shared_equally(n_episodes: int, n_envs: int, nearest: int) -> None:
    env = {"n_envs": n_envs}
    (problem,) = problems("reinforce", env, n_episodes=n_episodes)
    assert problem == Problem(
        f"n_episodes {n_episodes} cannot be shared equally by env.n_envs {n_envs}.",
        "a.yaml:5, key `algo.n_episodes`",
        f"The nearest number that can is {nearest}.",
    )
    assert problems("reinforce", env, n_episodes=nearest) == []


@pytest.mark.parametrize("key", ["exploration_initial_eps", "exploration_final_eps"])
def test_an_exponential_schedule_never_reaches_0(key: str) -> None:
    (problem,) = problems("q_learning", exploration_schedule="exponential", **{key: 0.0})
    assert f"{key} 0.0 is not possible: an exponential schedule never reaches 0" in problem.what
    assert problem.where == f"a.yaml:6, key `algo.{key}`"
    assert "0.01" in problem.cure
    assert problems("q_learning", exploration_schedule="exponential", **{key: 0.01}) == []
    assert problems("q_learning", exploration_schedule="linear", **{key: 0.0}) == []


def test_no_more_directions_can_be_the_best_than_there_are() -> None:
    assert problems("ars", n_delta=4, n_top=4) == []
    assert problems("ars", n_delta=4) == []
    (problem,) = problems("ars", n_delta=4, n_top=5)
    assert problem == Problem(
        "n_top 5 is more than the 4 directions tried.",
        "a.yaml:6, key `algo.n_top`",
        "Set it to at most 4, or raise `n_delta`.",
    )


@pytest.mark.parametrize("algo", ["ppo", "sac", "reinforce", "ars"])
def test_a_device_that_is_not_there_is_refused(algo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for device in ("cpu", "auto"):
        assert problems(algo, device=device) == []
    for device in ("cuda", "cuda:1"):
        (problem,) = problems(algo, device=device)
        assert f"There is no `{device}` on this machine" in problem.what
        assert problem.where == "a.yaml:5, key `algo.device`"
        assert problem.cure == "Set `device: cpu`, or `auto` to use what is available."
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    assert problems(algo, device="cuda") == []


def test_all_problems_are_named_at_once() -> None:
    found = problems("dqn", total_timesteps=10, learning_starts=20, batch_size=8, buffer_size=4)
    assert [problem.where for problem in found] == [
        "a.yaml:5, key `algo.learning_starts`",
        "a.yaml:6, key `algo.batch_size`",
    ]
