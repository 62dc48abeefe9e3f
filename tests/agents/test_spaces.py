import inspect

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from small_experiments import fitting_env
from stable_baselines3.common.vec_env import DummyVecEnv
from tiny_envs import Match

from rl_runner.agents.registry import ALGORITHMS
from rl_runner.agents.spaces import (
    ACTION_SPACES,
    OBSERVATION_SPACES,
    fitting_algorithms,
    policy_for,
    refusal,
    supported_spaces,
)

ONLY_BOX = ("Box",)
ONLY_DISCRETE = ("Discrete",)
ALL_FINITE = ("Discrete", "MultiDiscrete", "MultiBinary")

VECTORS = ("Box", *ALL_FINITE)
DICT_TOO = (*VECTORS, "Dict")

# The observations and the actions that an algorithm takes, from the papers and the documentation;
# the package finds these facts out by itself.
SUPPORTED = {
    "a2c": (DICT_TOO, VECTORS),
    "ars": (VECTORS, ("Box", "Discrete")),
    "crossq": (VECTORS, ONLY_BOX),
    "ddpg": (DICT_TOO, ONLY_BOX),
    "dqn": (DICT_TOO, ONLY_DISCRETE),
    "geometric_dqn": (DICT_TOO, ONLY_DISCRETE),
    "maskable_ppo": (DICT_TOO, ALL_FINITE),
    "ppo": (DICT_TOO, VECTORS),
    "q_learning": ((*ALL_FINITE, "Tuple"), ONLY_DISCRETE),
    "qrdqn": (DICT_TOO, ONLY_DISCRETE),
    "recurrent_ppo": (("Box", "Discrete", "MultiBinary", "Dict"), VECTORS),
    "reinforce": (VECTORS, ("Box", "Discrete")),
    "sac": (DICT_TOO, ONLY_BOX),
    "td3": (DICT_TOO, ONLY_BOX),
    "tqc": (DICT_TOO, ONLY_BOX),
    "trpo": (DICT_TOO, VECTORS),
}
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)


def test_every_algorithm_has_its_expectation_here() -> None:
    assert list(SUPPORTED) == list(ALGORITHMS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_spaces_an_algorithm_takes_are_found_out(name: str) -> None:
    assert supported_spaces(name) == SUPPORTED[name]


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_environment_of_the_small_experiments_fits(name: str) -> None:
    env = gym.make(fitting_env(name)["id"])
    observations, actions = supported_spaces(name)
    assert type(env.observation_space).__name__ in observations
    assert type(env.action_space).__name__ in actions


@pytest.mark.parametrize(
    ("name", "observations", "actions", "reason"),
    [
        ("dqn", "Box", "Box", "discrete.Discrete"),
        ("sac", "Box", "Discrete", "box.Box"),
        ("q_learning", "Box", "Discrete", "a table needs finitely many observations"),
        ("q_learning", "Discrete", "Box", "a table needs Discrete actions"),
        ("reinforce", "Dict", "Discrete", "REINFORCE needs vector observations"),
        ("reinforce", "Box", "MultiDiscrete", "REINFORCE needs Discrete or Box actions"),
    ],
)
def test_a_refusal_says_what_does_not_fit(
    name: str, observations: str, actions: str, reason: str
) -> None:
    said = refusal(ALGORITHMS[name], OBSERVATION_SPACES[observations], ACTION_SPACES[actions])
    assert said is not None
    assert reason in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ALGORITHMS)
def test_actions_of_several_dimensions_are_refused_in_words_that_help(name: str) -> None:
    observations = OBSERVATION_SPACES[SUPPORTED[name][0][0]]
    said = refusal(ALGORITHMS[name], observations, spaces.MultiDiscrete([[2, 3], [4, 5]]))
    assert said is not None
    takes_flat = "MultiDiscrete" in SUPPORTED[name][1]
    assert ("of one dimension: of shape (n,), here (4,), not (2, 2)" in said) is takes_flat


@pytest.mark.parametrize(
    "name", [name for name, (_, actions) in SUPPORTED.items() if "Discrete" in actions]
)
def test_actions_that_do_not_begin_at_zero_are_refused_or_chosen_right(name: str) -> None:
    env = DummyVecEnv([lambda: Match(3, first_action=5)])
    algorithm = ALGORITHMS[name]
    if refusal(algorithm, env.observation_space, env.action_space) is None:
        keywords = {"policy": "MlpPolicy"} if algorithm.package != "rl_runner" else {}
        actions, _ = algorithm.load_class()(env=env, **keywords).predict(np.arange(3))
        assert all(map(env.action_space.contains, actions)), actions


def test_the_table_takes_actions_that_do_not_begin_at_zero() -> None:
    actions = spaces.Discrete(3, start=5)
    assert refusal(ALGORITHMS["q_learning"], spaces.Discrete(4, start=-1), actions) is None


def test_a_table_too_large_for_memory_is_refused() -> None:
    huge = spaces.MultiDiscrete([1000, 1000, 1000])
    said = refusal(ALGORITHMS["q_learning"], huge, spaces.Discrete(2))
    assert said is not None
    assert "1,000,000,000 × 2 entries" in said


@pytest.mark.parametrize(
    ("observations", "actions"),
    [("Box", "Box"), ("Box", "Discrete"), ("Dict", "Discrete"), ("Tuple", "Discrete")],
)
def test_fitting_algorithms_are_those_that_take_both_spaces(
    observations: str, actions: str
) -> None:
    spaces = OBSERVATION_SPACES[observations], ACTION_SPACES[actions]
    assert "maskable_ppo" not in fitting_algorithms(*spaces)
    fitting = fitting_algorithms(*spaces, has_action_masks=True)
    assert fitting == [
        name
        for name in ALGORITHMS
        if actions in supported_spaces(name)[1] and observations in supported_spaces(name)[0]
    ]


def test_only_tables_fit_a_tuple() -> None:
    fitting = fitting_algorithms(OBSERVATION_SPACES["Tuple"], ACTION_SPACES["Discrete"])
    assert "q_learning" in fitting
    assert not any("Box" in supported_spaces(name)[0] for name in fitting)


def test_a_continuous_task_is_offered_the_continuous_algorithms() -> None:
    fitting = fitting_algorithms(OBSERVATION_SPACES["Box"], ACTION_SPACES["Box"])
    assert {"ppo", "sac", "td3", "tqc", "crossq", "reinforce"} <= set(fitting)
    assert not {"dqn", "qrdqn", "q_learning", "maskable_ppo"} & set(fitting)


def test_nothing_fits_actions_that_nothing_takes() -> None:
    actions = spaces.Dict({"a": spaces.Discrete(2)})
    assert fitting_algorithms(OBSERVATION_SPACES["Box"], actions) == []


@pytest.mark.parametrize(
    ("name", "space", "policy"),
    [
        ("ppo", OBSERVATION_SPACES["Box"], "MlpPolicy"),
        ("ppo", OBSERVATION_SPACES["Discrete"], "MlpPolicy"),
        ("ppo", OBSERVATION_SPACES["Dict"], "MultiInputPolicy"),
        ("ppo", IMAGE, "CnnPolicy"),
        ("dqn", IMAGE, "CnnPolicy"),
        ("sac", OBSERVATION_SPACES["Dict"], "MultiInputPolicy"),
        ("recurrent_ppo", OBSERVATION_SPACES["Box"], "MlpLstmPolicy"),
        ("recurrent_ppo", OBSERVATION_SPACES["Dict"], "MultiInputLstmPolicy"),
        ("recurrent_ppo", IMAGE, "CnnLstmPolicy"),
        ("maskable_ppo", OBSERVATION_SPACES["Dict"], "MultiInputPolicy"),
        ("ars", OBSERVATION_SPACES["Box"], "MlpPolicy"),
        ("crossq", OBSERVATION_SPACES["Dict"], "MlpPolicy"),
    ],
)
def test_the_policy_is_chosen_by_the_observations(
    name: str, space: spaces.Space[object], policy: str
) -> None:
    assert policy_for(ALGORITHMS[name], space) == policy


def test_small_whole_numbers_are_no_image() -> None:
    assert policy_for(ALGORITHMS["ppo"], spaces.Box(0, 255, (128,), np.uint8)) == "MlpPolicy"


def test_a_flat_policy_takes_an_image_of_floats() -> None:
    floats = spaces.Box(0.0, 1.0, (36, 36, 3), np.float32)
    assert policy_for(ALGORITHMS["ppo"], floats) == "MlpPolicy"
    assert refusal(ALGORITHMS["ppo"], floats, ACTION_SPACES["Discrete"]) is None


# --- what a space says, not what is drawn from it -------------------------------------------------

LABELS = st.one_of(
    st.builds(
        lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 5), st.integers(-3, 3)
    ),
    st.lists(st.tuples(st.integers(1, 4), st.integers(-2, 2)), min_size=1, max_size=3).map(
        lambda parts: spaces.MultiDiscrete([n for n, _ in parts], start=[s for _, s in parts])
    ),
)
WITH_LABELS = st.one_of(
    LABELS, LABELS.map(lambda part: spaces.Dict({"a": spaces.Box(-1, 1, (2,)), "b": part}))
)


@settings(max_examples=40)
@given(space=WITH_LABELS, seeds=st.lists(st.integers(0, 1000), min_size=2, max_size=2))
@pytest.mark.parametrize("name", ["ppo", "dqn"])
def test_observations_are_accepted_or_refused_by_their_space_alone(
    name: str, space: spaces.Space[object], seeds: list[int]
) -> None:
    answers = []
    for seed in seeds:
        space.seed(seed)
        before = str(space.np_random.bit_generator.state)
        answers.append(refusal(ALGORITHMS[name], space, spaces.Discrete(2)))
        assert str(space.np_random.bit_generator.state) == before
    parts = space.spaces.values() if isinstance(space, spaces.Dict) else [space]
    starts_at_zero = not any(np.any(getattr(part, "start", 0)) for part in parts)
    assert [answer is None for answer in answers] == [starts_at_zero] * 2


@pytest.mark.parametrize("start", [[1, 0], [1, -1], [-2, 0]])
def test_actions_of_which_one_component_does_not_begin_at_zero_are_refused(
    start: list[int],
) -> None:
    actions = spaces.MultiDiscrete([3, 4], start=start)
    assert "start elsewhere" in str(refusal(ALGORITHMS["ppo"], spaces.Discrete(4), actions))


@pytest.mark.parametrize("name", ["sac", "td3", "ddpg", "tqc", "crossq", "ppo"])
def test_actions_with_a_fixed_component_are_refused_where_they_would_become_nan(name: str) -> None:
    actions = spaces.Box(np.array([0, 1], np.float32), np.array([1, 1], np.float32))
    said = refusal(ALGORITHMS[name], OBSERVATION_SPACES["Box"], actions)
    assert (said is None) == (name == "ppo")


@pytest.mark.parametrize("size", [(16, 16, 3), (3, 16, 16), (64, 96, 3)])
def test_images_of_any_size_are_images(size: tuple[int, ...]) -> None:
    image = spaces.Box(0, 255, size, np.uint8)
    both = spaces.Dict({"camera": image, "speed": spaces.Box(-1, 1, (2,))})
    for space in (image, both):
        assert refusal(ALGORITHMS["ppo"], space, spaces.Discrete(2)) is None
        said = refusal(ALGORITHMS["q_learning"], space, spaces.Discrete(2))
        assert str(space) in str(said)


# --- what is accepted can be learned in -----------------------------------------------------------

PARTS = st.one_of(
    LABELS,
    st.integers(1, 3).map(spaces.MultiBinary),
    st.lists(st.integers(1, 3), max_size=3).map(lambda shape: spaces.Box(-1, 1, tuple(shape))),
    st.sampled_from(
        [
            spaces.Box(0, 255, (36, 36, 3), np.uint8),
            spaces.Box(0, 5, (2,), np.int64),
            spaces.Box(0, 1, (3,), bool),
            spaces.MultiBinary((2, 2)),
            spaces.MultiDiscrete([[2, 3], [2, 2]]),
        ]
    ),
)
ANY_OBSERVATIONS = st.one_of(
    PARTS,
    st.lists(PARTS, min_size=1, max_size=2).map(spaces.Tuple),
    st.dictionaries(st.sampled_from("abc"), PARTS, min_size=1, max_size=3).map(spaces.Dict),
)
ANY_ACTIONS = st.one_of(
    LABELS,
    st.integers(1, 3).map(spaces.MultiBinary),
    st.lists(st.integers(1, 3), max_size=3).map(lambda shape: spaces.Box(-1, 1, tuple(shape))),
    st.sampled_from(
        [
            spaces.MultiBinary((2, 2)),
            spaces.MultiDiscrete([[2, 3], [2, 2]]),
            spaces.Box(np.array([0, -5]), np.array([0, 5]), dtype=np.float32),
            spaces.Box(-np.inf, np.inf, (2,)),
        ]
    ),
)


class Sampled(gym.Env[object, object]):
    """Shows what its space holds, and takes what its space holds only."""

    def __init__(self, observations: spaces.Space[object], actions: spaces.Space[object]) -> None:
        self.observation_space, self.action_space = observations, actions

    def reset(self, *, seed: int | None = None, options: object = None) -> object:
        super().reset(seed=seed, options=options)  # type: ignore[arg-type]
        return self.observation_space.sample(), {}

    def step(self, action: object) -> object:
        assert self.action_space.contains(np.asarray(action)), action
        return self.observation_space.sample(), 0.0, self.np_random.random() < 0.2, False, {}


QUICK = {
    "a2c": {"n_steps": 4},
    "dqn": {"learning_starts": 4, "batch_size": 2, "buffer_size": 20, "train_freq": 2},
    "sac": {"learning_starts": 4, "batch_size": 2, "buffer_size": 20},
    "reinforce": {"n_episodes": 2},
    "q_learning": {},
    "ars": {"n_delta": 1},
}


@settings(max_examples=50)
@given(observations=ANY_OBSERVATIONS, actions=ANY_ACTIONS)
@pytest.mark.parametrize("name", QUICK)
def test_in_spaces_that_are_accepted_an_algorithm_learns(
    name: str, observations: spaces.Space[object], actions: spaces.Space[object]
) -> None:
    algorithm = ALGORITHMS[name]
    if refusal(algorithm, observations, actions) is not None:
        return
    env = DummyVecEnv([lambda: Sampled(observations, actions)] * 2)
    keywords = {**QUICK[name], "seed": 0}
    if "policy" in inspect.signature(algorithm.load_class()).parameters:
        keywords["policy"] = policy_for(algorithm, observations)
    agent = algorithm.load_class()(env=env, **keywords).learn(12)
    assert agent.num_timesteps >= 12
    chosen, _ = agent.predict(env.reset(), deterministic=True)
    assert len(chosen) == 2
