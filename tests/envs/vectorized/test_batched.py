import sys
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.envs.registration import EnvSpec
from gymnasium.vector import AutoresetMode, VectorEnv
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from rl_runner.config import EnvConfig
from rl_runner.envs import build_env
from rl_runner.envs.vectorized.batched import BatchedVecEnv
from rl_runner.envs.vectorized.batched_versions import reason_against_batching
from rl_runner.envs.vectorized.cartpole import SameStepCartPole
from rl_runner.errors import EnvError


class Counting(VectorEnv[Any, Any, Any]):
    """Copy i's episodes last i + 1 steps; every other one of them is cut off, not finished."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, num_envs: int = 1, max_episode_steps: int = 100) -> None:
        del max_episode_steps
        self.num_envs = num_envs
        self.single_observation_space = spaces.Box(0.0, 100.0, (1,), np.float32)
        self.single_action_space = spaces.Discrete(2)
        self.seeds: list[Any] = []

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        del options
        self.seeds.append(seed)
        self.time = np.zeros(self.num_envs)
        self.episode = np.zeros(self.num_envs, dtype=int)
        return self._obs(), {"first": np.arange(self.num_envs)}

    def step(self, action: Any) -> Any:
        self.time += 1
        over = self.time == np.arange(self.num_envs) + 1
        cut = over & (self.episode % 2 == 1)
        final_obs, final_info = self._obs(), {"is_success": over & ~cut}
        nested = {"a": self.time.copy(), "_a": over}
        infos = {"odd": action, "_odd": action == 1, "nested": nested, "mask": self._masks()}
        if over.any():
            infos |= {"final_obs": final_obs, "final_info": final_info}
        self.time[over] = 0
        self.episode += over
        return self._obs(), np.full(self.num_envs, 0.25), over & ~cut, cut, infos

    def action_masks(self) -> np.ndarray:
        return self._masks()

    def _obs(self) -> np.ndarray:
        return self.time.astype(np.float32)[:, np.newaxis]

    def _masks(self) -> np.ndarray:
        return np.arange(2 * self.num_envs).reshape(-1, 2)


gym.register("BatchedTestCounting-v0", vector_entry_point=Counting, max_episode_steps=100)


def both_ways(seeds: list[int], time_limit: int) -> tuple[VecEnv, VecEnv]:
    config = EnvConfig(id="CartPole-v1", n_envs=len(seeds), time_limit=time_limit)
    return build_env(config, seeds), build_env(config.model_copy(update={"vec": "dummy"}), seeds)


def without_times(infos: list[dict[str, Any]]) -> list[str]:
    for info in infos:
        info.get("episode", {}).pop("t", None)
    return [str(sorted(info.items())) for info in infos]


@given(
    seeds=st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=5),
    time_limit=st.integers(1, 30),
    action_seed=st.integers(0, 100),
)
def test_cartpole_is_to_the_last_bit_what_single_ones_are(
    seeds: list[int], time_limit: int, action_seed: int
):
    batched, single = both_ways(seeds, time_limit)
    assert isinstance(batched, BatchedVecEnv)
    assert isinstance(single, DummyVecEnv)
    rng = np.random.default_rng(action_seed)
    np.testing.assert_array_equal(batched.reset(), single.reset())
    for _ in range(60):
        actions = rng.integers(2, size=len(seeds))
        one, other = batched.step(actions), single.step(actions)
        for a, b in zip(one[:3], other[:3], strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
        assert without_times(one[3]) == without_times(other[3])


def test_new_episodes_can_begin_on_chosen_seeds():
    batched, single = both_ways([1, 2], 5)
    for env in (batched, single):
        env.reset()
        env.env_method("begin_episodes", [7, 8, 9], indices=[1])
    np.testing.assert_array_equal(batched.reset(), single.reset())
    for _ in range(20):
        actions = np.ones(2, dtype=int)
        np.testing.assert_array_equal(batched.step(actions)[0], single.step(actions)[0])


def test_sb3s_own_seeds_change_nothing():
    env, _ = both_ways([3], 10)
    assert env.seed(0) == [None]
    assert env.reset()[0] == pytest.approx(SameStepCartPole(1).reset(seed=[3])[0][0])


def test_a_single_seed_counts_on_over_the_copies():
    env = SameStepCartPole(3)
    np.testing.assert_array_equal(env.reset(seed=4)[0], env.reset(seed=[4, 5, 6])[0])


def test_cartpole_refuses_other_actions():
    env, _ = both_ways([3, 4], 10)
    env.reset()
    with pytest.raises(EnvError, match=r"`CartPole-v1` raised .* step\(\): .*actions are 0 and 1"):
        env.step(np.array([0, 2]))


def test_cartpoles_other_reward_is_that_of_single_ones():
    config = EnvConfig(id="CartPole-v1", kwargs={"sutton_barto_reward": True}, time_limit=40)
    batched, single = (
        build_env(config.model_copy(update={"vec": vec}), [0, 1]) for vec in ("batched", "dummy")
    )
    batched.reset()
    single.reset()
    for _ in range(80):
        actions = np.ones(2, dtype=int)
        rewards = batched.step(actions)[1]
        np.testing.assert_array_equal(rewards, single.step(actions)[1])


def test_what_sb3_hears_of_an_episodes_end():
    env = BatchedVecEnv(Counting(2), [10, 20])
    env.reset()
    _, rewards, dones, infos = env.step(np.array([0, 1]))
    assert rewards.dtype == np.float32
    assert dones.tolist() == [True, False]
    assert infos[0]["terminal_observation"].tolist() == [1.0]
    assert (infos[0]["episode"]["r"], infos[0]["episode"]["l"]) == (0.25, 1)
    assert not infos[0]["TimeLimit.truncated"]
    assert infos[0]["is_success"]
    assert infos[0]["nested"] == {"a": 1.0}
    assert "odd" not in infos[0]
    assert infos[1]["odd"] == 1
    assert infos[1]["nested"] == {}
    assert infos[1]["mask"].tolist() == [2, 3]
    assert "episode" not in infos[1]
    _, _, dones, infos = env.step(np.array([0, 0]))
    assert dones.tolist() == [True, True]
    assert [info["TimeLimit.truncated"] for info in infos] == [True, False]
    assert (infos[1]["episode"]["r"], infos[1]["episode"]["l"]) == (0.5, 2)


def test_each_copy_begins_on_its_seed_and_then_draws_its_own():
    counting = Counting(2)
    env = BatchedVecEnv(counting, [10, 20])
    env.reset()
    env.reset()
    env.env_method("begin_episodes", [30], indices=[1])
    env.reset()
    assert counting.seeds == [[10, 20], None, [None, 30]]
    assert [info["first"] for info in env.reset_infos] == [0, 1]
    with pytest.raises(ValueError, match="one seed for each copy"):
        env.env_method("begin_episodes", [1, 2], indices=[0])


def test_methods_and_attributes_of_all_copies():
    env = BatchedVecEnv(Counting(3), [0, 0, 0])
    assert env.has_attr("action_masks")
    assert [row.tolist() for row in env.env_method("action_masks", indices=[2, 0])] == [
        [4, 5],
        [0, 1],
    ]
    assert env.get_attr("num_envs", indices=1) == [3]
    env.set_attr("colour", "red")
    assert env.get_attr("colour") == ["red"] * 3
    with pytest.raises(ValueError, match="share"):
        env.set_attr("colour", "blue", indices=0)


def test_only_environments_that_reset_in_the_same_step_are_taken():
    env = gym.make_vec("CartPole-v1", num_envs=2, vectorization_mode="vector_entry_point")
    with pytest.raises(ValueError, match="CartPoleVectorEnv does not reset"):
        BatchedVecEnv(env, [0, 1])


@pytest.mark.parametrize(
    "section",
    [
        {"id": "Pendulum-v1"},
        {"id": "CartPole-v1", "wrappers": ["gymnasium.wrappers.FlattenObservation"]},
    ],
)
def test_what_cannot_be_batched_is_stepped_one_by_one_unless_asked_for(section: dict[str, Any]):
    config = EnvConfig.model_validate(section)
    assert isinstance(build_env(config, [0]), DummyVecEnv)
    with pytest.raises(EnvError, match="cannot be stepped as a batch") as caught:
        build_env(config.model_copy(update={"vec": "batched"}), [0])
    assert caught.value.problems[0].where == "env.vec"


def test_an_evaluation_needs_a_seed_for_every_episode():
    config = EnvConfig(id="BatchedTestCounting-v0", time_limit=100)
    assert isinstance(build_env(config, [0]), BatchedVecEnv)
    cartpole = EnvConfig(id="CartPole-v1")
    assert isinstance(build_env(cartpole, [0], training=False), BatchedVecEnv)
    with pytest.raises(EnvError):  # it has no single version to fall back on
        build_env(config, [0], training=False)


# --- batched versions that break their contract ---------------------------------------------------


class Faulty(Counting):
    """Does in one method what its arguments say."""

    def __init__(
        self, num_envs: int = 1, max_episode_steps: int = 100, where: str = "", what: str = ""
    ) -> None:
        super().__init__(num_envs, max_episode_steps)
        self.where = where
        self.what = what

    def reset(self, *, seed: Any = None, options: Any = None) -> Any:
        return self._broken("reset", super().reset(seed=seed, options=options))

    def step(self, action: Any) -> Any:
        return self._broken("step", super().step(action))

    def action_masks(self) -> np.ndarray:
        return self._broken("action_masks", super().action_masks())

    def close(self, **options: Any) -> None:
        del options
        self._broken("close", None)

    def _broken(self, where: str, result: Any) -> Any:
        if where != self.where:
            return result
        if self.what == "raise":
            message = "the simulator lost its connection"
            raise RuntimeError(message)
        if self.what == "exit":
            sys.exit("goodbye")
        if self.what == "too few":
            return result[:-1]
        return BREACHES[self.what](*result)


BREACHES: dict[str, Any] = {
    "flat": lambda obs, *rest: (obs[:, 0], *rest),
    "no info": lambda *results: (*results[:-1], None),
    "one reward": lambda obs, _, *rest: (obs, np.float64(0.25), *rest),
    "no truncated": lambda obs, rewards, ends, _, infos: (obs, rewards, ends, None, infos),
    "fractions": lambda obs, rewards, ends, cut, infos: (obs, rewards, ends * 0.5, cut, infos),
    "no final": lambda *results: (*results[:-1], {}),
}
gym.register("BatchedTestFaulty-v0", vector_entry_point=Faulty, max_episode_steps=100)


@pytest.mark.parametrize(
    ("where", "what", "expected"),
    [
        ("reset", "raise", r"raised an exception in reset\(\): RuntimeError: the simulator lost"),
        ("reset", "exit", r"raised an exception in reset\(\): SystemExit: goodbye"),
        ("reset", "flat", r"returned observations as a numpy.ndarray of shape \(2,\)"),
        ("reset", "no info", "returned infos that are None"),
        ("reset", "too few", r"raised an exception in reset\(\): ValueError: not enough values"),
        ("step", "raise", r"raised an exception in step\(\): RuntimeError: the simulator lost"),
        ("step", "too few", r"raised an exception in step\(\): ValueError: not enough values"),
        ("step", "flat", r"returned observations as a numpy.ndarray of shape \(2,\)"),
        ("step", "one reward", "returned rewards as"),
        ("step", "no truncated", "returned truncated as None"),
        ("step", "no info", "returned infos that are None"),
        ("step", "fractions", r"raised an exception in step\(\): TypeError"),
        ("step", "no final", "ended an episode without `final_obs`"),
        ("action_masks", "raise", r"raised an exception in action_masks\(\): RuntimeError"),
    ],
)
def test_a_fault_of_a_batched_environment_is_named(where: str, what: str, expected: str):
    config = EnvConfig(id="BatchedTestFaulty-v0", kwargs={"where": where, "what": what})
    env = build_env(config, [0, 1])

    def use() -> None:
        env.reset()
        env.step(np.array([0, 0]))
        env.env_method("action_masks")

    with pytest.raises(EnvError, match=f"`BatchedTestFaulty-v0` {expected}"):
        use()


def test_an_exception_in_close_is_only_logged(caplog: pytest.LogCaptureFixture):
    config = EnvConfig(id="BatchedTestFaulty-v0", kwargs={"where": "close", "what": "raise"})
    build_env(config, [0]).close()
    assert "the simulator lost its connection" in caplog.text


@pytest.mark.parametrize(
    ("entry_point", "expected"),
    [
        ("no_such_package.envs:Batched", "needs the package `no_such_package`"),
        ("gymnasium.vector:NoSuchClass", "cannot be imported: AttributeError"),
    ],
)
def test_a_batched_version_that_cannot_be_imported_is_the_reason_for_single_copies(
    entry_point: str, expected: str
):
    spec = EnvSpec("BatchedTestMissing-v0", vector_entry_point=entry_point)
    config = EnvConfig(id="BatchedTestMissing-v0")
    reason = reason_against_batching(config, spec, render_mode=None, training=True)
    assert reason is not None
    assert expected in reason
