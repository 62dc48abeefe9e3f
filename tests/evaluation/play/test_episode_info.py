from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces

from rl_runner.config import EnvConfig
from rl_runner.envs import build_env
from rl_runner.envs.info_values import InfoValue
from rl_runner.evaluation.play.baselines import RandomPolicy, evaluate_baseline
from rl_runner.evaluation.play.episode_info import EpisodeInfo, classify


class Talkative(gym.Env[int, int]):
    """Lasts 2 … 5 steps and tells a lot about them."""

    observation_space = spaces.Discrete(10)
    action_space = spaces.Discrete(2)

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.t = self.length = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[int, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.t, self.length = 0, int(self.np_random.integers(2, 6))
        return 0, {}

    def step(self, action: int) -> tuple[int, float, bool, bool, dict[str, Any]]:
        del action
        self.t += 1
        info: dict[str, Any] = {
            "reward_terms": {"progress": 1.0, "cost": np.float32(-0.25)},
            "distance": self.length - self.t,
            "name": "not a number",
            "place": np.zeros(2),
        }
        if self.t == self.length:
            info |= {"is_success": self.length > 3, "left": True}
        return self.t, 0.75, self.t == self.length, False, info


gym.register("EvaluationTestTalkative-v0", entry_point=Talkative, max_episode_steps=4)
TALKATIVE = EnvConfig(id="EvaluationTestTalkative-v0")


@pytest.mark.parametrize("n_envs", [1, 4, 30])
def test_numbers_are_taken_at_the_end_and_reward_terms_summed(n_envs: int):
    found = evaluate_baseline(TALKATIVE, "random", seed=1, n_episodes=30, n_envs=n_envs).episodes
    assert set(found.lengths) == {2, 3, 4}
    extras = found.extras
    assert set(extras) == {
        "distance",
        "left",
        "truncated",
        "reward_terms/progress",
        "reward_terms/cost",
    }
    np.testing.assert_array_equal(extras["reward_terms/progress"], found.lengths)
    np.testing.assert_array_equal(extras["reward_terms/cost"], -0.25 * found.lengths)
    np.testing.assert_array_equal(extras["truncated"], extras["distance"] == 1)
    np.testing.assert_array_equal(np.isnan(extras["left"]), extras["distance"] == 1)
    both = extras["reward_terms/progress"] + extras["reward_terms/cost"]
    np.testing.assert_allclose(both, found.returns)


def test_the_description_averages_what_was_reported():
    found = evaluate_baseline(TALKATIVE, "random", seed=1, n_episodes=30).episodes
    described = found.describe()
    assert described["info"]["left"] == 1.0
    assert described["info"]["distance"] == found.extras["distance"].mean()
    assert described["success_rate"] == np.nanmean(found.successes)
    assert described["n_episodes"] == 30


class Declaring(Talkative):
    info_values: ClassVar = {"distance": InfoValue("not averaged"), "left": InfoValue("mean", "L")}


gym.register("EvaluationTestDeclaring-v0", entry_point=Declaring, max_episode_steps=4)


def test_an_environment_says_what_its_numbers_are():
    config = EnvConfig(id="EvaluationTestDeclaring-v0")
    found = evaluate_baseline(config, "random", seed=1, n_episodes=30).episodes
    assert "distance" in found.extras
    assert "distance" not in found.describe()["info"]
    assert found.info_values["left"] == InfoValue("mean", "L")
    assert found.info_values["truncated"].kind == "rate"
    assert found.info_values["reward_terms/cost"].kind == "sum"


def test_what_is_not_declared_is_decided_by_a_rule():
    info = EpisodeInfo(1, 3)
    for episode, (flag, number) in enumerate([(True, 1), (True, 2), (True, 2)]):
        info.end(0, episode, {"flag": flag, "number": number, "code": 0.333, "mixed": flag})
    info.end(0, 2, {"mixed": 0.5})
    kinds = classify(info.values, info.flags, {})
    assert {name: kind.kind for name, kind in kinds.items()} == {
        "flag": "rate",
        "number": "mean",
        "code": "not averaged",
        "mixed": "mean",
    }


@pytest.mark.parametrize(
    ("env_id", "left_out", "rate"),
    [("Recommender-v0", "mood_after", "like"), ("Tutor-v0", "correct", "graduated"),
     ("FrozenLake-v1", "prob", "truncated")],
)  # fmt: skip
def test_codes_and_constants_are_not_averaged(env_id: str, left_out: str, rate: str):
    evaluation = evaluate_baseline(EnvConfig(id=env_id), "random", seed=1, n_episodes=30)
    assert left_out in evaluation.episodes.extras
    described = evaluation.describe()
    assert left_out not in described["info"]
    assert described["info_values"][rate]["kind"] == "rate"


def test_the_sums_of_one_copy_do_not_leak_into_its_next_episode_or_another_copy():
    info = EpisodeInfo(2, 3)
    info.step([{"reward_terms": {"a": 1.0}}, {"reward_terms": {"a": 10.0}}])
    info.end(0, 0, {})
    info.step([{"reward_terms": {"a": 2.0, "b": 5.0}}, {}])
    info.end(1, 1, {})
    info.end(0, 2, {})
    assert info.values["reward_terms/a"].tolist() == [1.0, 10.0, 2.0]
    assert np.isnan(info.values["reward_terms/b"][:2]).all()
    assert info.values["reward_terms/b"][2] == 5.0


def test_a_copy_whose_episodes_are_played_stands_still():
    steps: list[int] = []

    class Counting(Talkative):
        def step(self, action: int) -> Any:
            steps.append(1)
            return super().step(action)

    name = "EvaluationTestCounting-v0"
    gym.register(name, entry_point=Counting, max_episode_steps=4)
    try:
        found = evaluate_baseline(EnvConfig(id=name), "random", seed=1, n_episodes=10, n_envs=10)
    finally:
        del gym.registry[name]
    assert len(set(found.episodes.lengths)) > 1
    assert len(steps) == found.episodes.lengths.sum()


def test_a_paused_copy_keeps_its_observation_until_the_next_reset():
    env: Any = build_env(TALKATIVE, [1, 2], training=False)
    env.reset()
    actions = RandomPolicy(env, 0).predict(None)[0]
    env.step(actions)
    env.pause(0)
    obs, rewards, dones, infos = env.step(actions)
    assert obs.tolist() == [1, 2]
    assert rewards.tolist() == [0.0, 0.75]
    assert not dones[0]
    assert infos[0] == {}
    env.reset()
    obs, rewards, *_ = env.step(actions)
    assert obs.tolist() == [1, 1]
    assert rewards.tolist() == [0.75, 0.75]
    env.close()


@pytest.mark.parametrize(
    "value", [np.timedelta64(3, "s"), np.timedelta64("NaT"), 10**400, 1j, None, [1.0], float("inf")]
)
def test_what_is_no_number_of_its_own_is_left_out(value: Any):
    info = EpisodeInfo(n_envs=1, n_episodes=1)
    info.end(0, 0, {"odd": value, "good": np.int8(3)})
    assert info.values.keys() == {"good"}


def test_whether_an_episode_was_cut_off_is_kept_beside_any_number_of_names():
    info = EpisodeInfo(n_envs=1, n_episodes=1)
    info.end(0, 0, {**{f"value {i}": i for i in range(300)}, "TimeLimit.truncated": True})
    assert info.values["truncated"] == [1.0]
    assert len(info.values) == 201
