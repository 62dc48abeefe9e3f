import gymnasium as gym
import pytest

from rl_runner.config import EnvConfig, config_from_dict, experiment_hash
from rl_runner.envs.return_bounds import declared_bounds
from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning.oracle import load_values, start_value
from rl_runner.errors import ConfigError
from rl_runner.evaluation.play.baselines import evaluate_baseline
from rl_runner.evaluation.play.exact_returns import transition_table
from rl_runner.evaluation.play.return_bounds import common_bounds, return_bounds, within_policies
from rl_runner.evaluation.statistics.bounds import Bounds, OutOfBoundsError

WRAPPER = "gymnasium.wrappers."
KNOWN = [
    ("CartPole-v1", {}, (1.0, 500.0)),
    ("CartPole-v1", {"time_limit": 50}, (1.0, 50.0)),
    ("CartPole-v1", {"kwargs": {"sutton_barto_reward": True}}, (-1.0, 0.0)),
    ("MountainCar-v0", {}, (-200.0, -1.0)),
    ("Acrobot-v1", {}, (-500.0, 0.0)),
    ("FrozenLake-v1", {}, (0.0, 1.0)),
    ("CliffWalking-v1", {"time_limit": 20}, (-2000.0, -13.0)),
    ("BitFlipping-v0", {}, (-10.0, 0.0)),
    ("CartPole-v1", {"wrappers": [WRAPPER + "FlattenObservation"]}, (1.0, 500.0)),
    ("LunarLander-v3", {"return_bounds": [-1000, 350]}, (-1000.0, 350.0)),
]
UNKNOWN = [
    ("LunarLander-v3", {}),
    ("Tutor-v0", {}),
    ("CartPole-v1", {"wrappers": [WRAPPER + "ClipReward"]}),
]


def _env(env_id: str, options: dict) -> EnvConfig:
    raw = {"env": {"id": env_id, **options}, "algo": "ppo", "train": {"total_timesteps": 10}}
    return config_from_dict({"name": "a", **raw, "algo": {"name": "ppo"}}).env


@pytest.mark.parametrize(("env_id", "options", "expected"), KNOWN)
def test_bounds_come_from_the_strongest_source(env_id: str, options: dict, expected: tuple):
    bounds = return_bounds(_env(env_id, options))
    assert bounds is not None
    assert (bounds.low, bounds.high) == pytest.approx(expected)


@pytest.mark.parametrize(("env_id", "options"), UNKNOWN)
def test_there_are_none_where_nothing_is_known(env_id: str, options: dict):
    assert return_bounds(_env(env_id, options)) is None


@pytest.mark.parametrize(
    "env_id", ["CartPole-v1", "Pendulum-v1", "Taxi-v4", "CliffWalking-v1",
                "MountainCarContinuous-v0", "BitFlipping-v0", "Blackjack-v1"],
)  # fmt: skip
def test_random_episodes_stay_within_the_bounds(env_id: str):
    config = EnvConfig(id=env_id, time_limit=60 if env_id == "CliffWalking-v1" else None)
    bounds = return_bounds(config)
    assert bounds is not None
    returns = evaluate_baseline(config, "random", seed=0, n_episodes=30).episodes.returns
    assert bounds.checked(returns) == pytest.approx(returns)


def test_exact_returns_lie_between_the_worst_and_the_best_policy():
    lake = EnvConfig(id="FrozenLake-v1")
    bounds = return_bounds(lake, exact=True)
    assert bounds is not None
    assert (bounds.low, bounds.high) == (0.0, pytest.approx(0.7442, abs=1e-4))


def test_an_environment_may_declare_its_own(monkeypatch: pytest.MonkeyPatch):
    cart = type(gym.make("Acrobot-v1").unwrapped)
    monkeypatch.setattr("rl_runner.envs.return_bounds.CLASSIC", {})
    acrobot = EnvConfig(id="Acrobot-v1", time_limit=100)
    assert return_bounds(acrobot) is None
    monkeypatch.setattr(cart, "reward_range", (-1.0, 0.5), raising=False)
    assert return_bounds(acrobot) == Bounds(-100.0, 50.0, "environment")
    monkeypatch.setattr(cart, "return_bounds", (-90.0, 0.0), raising=False)
    assert return_bounds(acrobot) == Bounds(-90.0, 0.0, "environment")


def test_common_bounds_hold_for_all_or_are_not_known():
    short, long = EnvConfig(id="CartPole-v1", time_limit=50), EnvConfig(id="CartPole-v1")
    assert common_bounds([short, long]) == Bounds(1.0, 500.0, "environment")
    assert common_bounds([short, _env(*UNKNOWN[0])]) is None


def test_bounds_in_a_config_change_no_hash_and_must_be_an_interval():
    raw = {"name": "a", "env": {"id": "X-v0"}, "algo": {"name": "ppo"}}
    raw |= {"train": {"total_timesteps": 10}}
    bounded = {**raw, "env": {"id": "X-v0", "return_bounds": [0, 1]}}
    one, other = config_from_dict(raw), config_from_dict(bounded)
    assert experiment_hash(one) == experiment_hash(other)
    assert "return_bounds" not in one.to_dict()["env"]
    assert other.to_dict()["env"]["return_bounds"] == [0.0, 1.0]
    for wrong in ([1, 0], [0, 0]):
        with pytest.raises(ConfigError, match="lowest and the highest"):
            config_from_dict({**raw, "env": {"id": "X-v0", "return_bounds": wrong}})


def test_the_interval_of_a_mean_ends_where_policies_do():
    lake = EnvConfig(id="FrozenLake-v1")
    best = transition_table(lake).optimal_return()
    assert within_policies((-0.5, 1.0), 0.6, lake) == pytest.approx((0.0, best))
    assert within_policies((0.5, 1.0), 0.9, lake) == pytest.approx((0.5, 0.9))
    assert within_policies((0.8, 1.0), 0.9, lake) == pytest.approx((best, 0.9))
    assert within_policies(None, 0.9, lake) is None
    assert within_policies((1.0, 600.0), 400.0, EnvConfig(id="CartPole-v1")) == (1.0, 600.0)


@pytest.mark.parametrize(
    ("kwargs", "most"),
    [({}, 1.0), ({"natural": True}, 1.5), ({"natural": True, "sab": True}, 1.0)],
)
def test_only_a_natural_of_blackjack_pays_more(kwargs: dict, most: float):
    assert declared_bounds(EnvConfig(id="Blackjack-v1", kwargs=kwargs)) == (-1.0, most)


def test_an_episode_outside_the_declared_bounds_is_refused_where_it_is_played():
    config = EnvConfig(id="CartPole-v1", return_bounds=(0.0, 5.0))
    with pytest.raises(OutOfBoundsError, match="but the config says that returns lie between"):
        evaluate_baseline(config, "random", seed=0, n_episodes=3)


def test_no_interval_of_a_mean_ends_above_the_exact_mean_of_the_oracle():
    tutor = EnvConfig(id="Tutor-v0", kwargs={"modules_per_topic": 1, "horizon": 2})
    options = TutorOptions(modules_per_topic=1, horizon=2)
    best = start_value(options, load_values(options))
    assert within_policies((-9.0, 99.0), best - 0.1, tutor) == pytest.approx((-9.0, best))
    assert within_policies((-9.0, 99.0), best + 1, tutor) == pytest.approx((-9.0, best + 1))
    shorter = tutor.model_copy(update={"time_limit": 1})
    assert within_policies((-9.0, 99.0), 0.0, shorter) == (-9.0, 99.0)
