from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from rl_runner.config import EnvConfig
from rl_runner.config.environment import NormalizeConfig, WrapperConfig
from rl_runner.envs import baselines as env_baselines
from rl_runner.envs import build_env
from rl_runner.errors import ConfigError, EnvError
from rl_runner.evaluation.play.baselines import (
    RandomPolicy,
    TablePolicy,
    evaluate_baseline,
)
from rl_runner.evaluation.play.exact_returns import ExactScorer
from rl_runner.seeding import SeedTree

LAKE = EnvConfig(id="FrozenLake-v1")
SHORT_LAKE = EnvConfig(id="FrozenLake-v1", time_limit=8)
TAXI = EnvConfig(id="Taxi-v4", time_limit=30)


class AlwaysRight:
    """A baseline that an environment might bring itself."""

    def __init__(self, env: Any, seed: int) -> None:
        self.n_envs, self.seed = env.num_envs, seed

    def predict(self, *_: Any, **__: Any) -> tuple[np.ndarray, Any]:
        return np.full(self.n_envs, 2), None


@pytest.fixture
def own_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"FrozenLake-v1": {"right": f"{__name__}:AlwaysRight"}}
    monkeypatch.setattr(env_baselines, "BASELINES", table)


@pytest.mark.parametrize("name", ["random", "greedy", "optimal"])
@pytest.mark.parametrize("config", [LAKE, SHORT_LAKE, TAXI], ids=lambda config: config.id)
def test_the_exact_score_of_a_baseline_is_the_mean_of_many_episodes(config: EnvConfig, name: str):
    found = evaluate_baseline(config, name, seed=3, n_episodes=2000)
    assert found.exact is not None
    error = found.episodes.std_reward / np.sqrt(2000)
    assert found.episodes.mean_reward == pytest.approx(found.exact.mean_reward, abs=4 * error)


def test_a_policy_that_counts_the_remaining_steps_is_better():
    regrets = {}
    for name in ("random", "greedy", "optimal"):
        exact = evaluate_baseline(SHORT_LAKE, name, seed=0, n_episodes=1).exact
        assert exact is not None
        regrets[name] = exact.regret
    assert regrets["optimal"] == 0
    assert 0 < regrets["greedy"] < regrets["random"]


def test_greedy_is_for_the_given_discount():
    lake = EnvConfig(id="FrozenLake8x8-v1")
    known = {0.99: 0.863, 0.995: 0.894, 0.999: 0.886}
    for gamma, success in known.items():
        exact = evaluate_baseline(lake, "greedy", seed=0, n_episodes=1, gamma=gamma).exact
        assert exact is not None
        assert exact.mean_reward == pytest.approx(success, abs=0.0006)


def test_a_baseline_plays_the_held_out_episodes_of_its_seed():
    found = evaluate_baseline(LAKE, "random", seed=5, n_episodes=40)
    assert found.episodes.seeds.tolist() == SeedTree(5).final_evaluation(40)
    again = evaluate_baseline(LAKE, "random", seed=5, n_episodes=40)
    assert found.episodes.returns.tolist() == again.episodes.returns.tolist()
    assert found.episodes.lengths.tolist() == again.episodes.lengths.tolist()
    other = evaluate_baseline(LAKE, "random", seed=6, n_episodes=40)
    assert found.episodes.lengths.tolist() != other.episodes.lengths.tolist()


def test_frame_stacking_and_normalisation_change_nothing():
    dressed = LAKE.model_copy(update={"frame_stack": 3})
    plain = evaluate_baseline(LAKE, "optimal", seed=0, n_episodes=50)
    stacked = evaluate_baseline(dressed, "optimal", seed=0, n_episodes=50)
    assert plain.episodes.lengths.tolist() == stacked.episodes.lengths.tolist()
    pendulum = EnvConfig(id="Pendulum-v1", time_limit=10)
    normal = pendulum.model_copy(update={"normalize": NormalizeConfig(observations=True)})
    a, b = (evaluate_baseline(c, "random", seed=0, n_episodes=3) for c in (pendulum, normal))
    assert a.episodes.returns.tolist() == b.episodes.returns.tolist()


@pytest.mark.parametrize(
    "space",
    [
        spaces.Discrete(3, start=2),
        spaces.Box(-2, 5, (3,), np.float32),
        spaces.MultiDiscrete([2, 5]),
        spaces.MultiBinary(4),
        spaces.Tuple((spaces.Discrete(5), spaces.Box(-1, 1, (2,)))),
        spaces.Dict({"a": spaces.Discrete(5), "b": spaces.Discrete(3, start=1)}),
        spaces.Text(5),
    ],
    ids=lambda space: type(space).__name__,
)
def test_random_actions_are_actions_and_differ(space: spaces.Space[Any]):
    env = copies_of(space)
    actions, _ = RandomPolicy(env, 1).predict(np.zeros(50))
    assert len(actions) == 50
    assert all(space.contains(action) for action in actions)
    assert len({str(action) for action in actions}) > 1
    other, _ = RandomPolicy(env, 2).predict(np.zeros(50))
    assert list(map(str, actions)) != list(map(str, other))


def copies_of(space: spaces.Space[Any], masks: Any = None) -> Any:
    """Return what a policy asks fifty copies of an environment for."""

    class Copies:
        action_space, num_envs = space, 50

        def has_attr(self, name: str) -> bool:
            return name == "action_masks" and masks is not None

        def env_method(self, name: str) -> list[Any]:
            assert name == "action_masks"
            return [masks] * 50

    return Copies()


@pytest.mark.parametrize("space", [spaces.Discrete(4), spaces.MultiDiscrete([2, 2])])
def test_random_actions_are_valid_where_there_are_masks(space: spaces.Space[Any]):
    policy = RandomPolicy(copies_of(space, [False, True, True, False]), 1)
    actions = np.concatenate([policy.predict(np.zeros(50))[0] for _ in range(5)])
    expected = {(1,), (2,)} if space.shape == () else {(1, 0)}
    assert {tuple(np.atleast_1d(action).tolist()) for action in actions} == expected


def test_a_timed_table_counts_each_episode_from_its_own_beginning():
    actions = np.array([[10], [20], [30]])  # with one, two, three steps left
    policy = TablePolicy(actions, time_limit=3)
    starts = [[True, True], [False, False], [False, True], [True, False]]
    taken, state = [], None
    for start in starts:
        chosen, state = policy.predict(np.zeros(2, dtype=int), state, np.array(start))
        taken.append(chosen.tolist())
    assert taken == [[30, 30], [20, 20], [10, 30], [30, 20]]


@pytest.mark.usefixtures("own_baseline")
def test_an_environment_may_have_its_own_baselines():
    with pytest.raises(ConfigError, match="Its baselines: random, greedy, optimal, right"):
        evaluate_baseline(LAKE, "left", seed=0, n_episodes=1)
    icy = EnvConfig(id="FrozenLake-v1", kwargs={"is_slippery": False})
    found = evaluate_baseline(icy, "right", seed=0, n_episodes=2)
    assert found.episodes.lengths.tolist() == [100, 100]  # along the upper edge, and no further
    assert found.exact is None


def test_without_a_table_there_is_only_the_random_policy():
    with pytest.raises(ConfigError, match="no transition table") as caught:
        evaluate_baseline(EnvConfig(id="CartPole-v1"), "optimal", seed=0, n_episodes=1)
    assert "Its baselines: random." in str(caught.value)
    wrapped = LAKE.model_copy(
        update={"wrappers": (WrapperConfig(name="gymnasium.wrappers.TimeAwareObservation"),)}
    )
    with pytest.raises(ConfigError, match="a wrapper hides it"):
        evaluate_baseline(wrapped, "greedy", seed=0, n_episodes=1)


def test_a_misspelt_baseline_is_corrected():
    with pytest.raises(ConfigError, match="Did you mean `optimal`"):
        evaluate_baseline(LAKE, "optmal", seed=0, n_episodes=1)


def test_an_unknown_environment_is_named():
    with pytest.raises(EnvError, match="There is no environment"):
        evaluate_baseline(EnvConfig(id="FrozenLak-v1"), "random", seed=0, n_episodes=1)


def test_a_baseline_score_is_set_beside_the_optimum():
    scorer = ExactScorer.for_env(LAKE)
    assert scorer is not None
    assert scorer.of_return(0.5).regret == pytest.approx(0.744 - 0.5, abs=0.001)


def test_every_copy_is_asked_however_many_there_are():
    env = build_env(LAKE, range(3), training=False)
    assert RandomPolicy(env, 0).predict(np.zeros(3))[0].shape == (3,)
    env.close()
