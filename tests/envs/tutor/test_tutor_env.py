import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from rl_runner.envs.tutor.env import TutorEnv
from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.page import render_text
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.observation import OBSERVATION_SIZE, SLICES
from rl_runner.envs.tutor.simulator.state import (
    CONFUSED,
    ENGAGEMENT,
    GOAL,
    KNOWLEDGE,
    MODULES,
    OPENED,
    PACE,
    READING,
    SKIPS,
    TIME,
)
from rl_runner.errors import EnvError

OPTION_SETS = [
    {},
    {"dropout_scale": "open course"},
    {"horizon": 7, "modules_per_topic": 1},
    {"modules_per_topic": 3, "learner": "half_life"},
    {"reveal_hidden": True},
]


def play(env: TutorEnv, seed: int, n_steps: int) -> list:
    """Act at random, over several episodes."""
    actions = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    steps = [observation]
    for _ in range(n_steps):
        step = env.step(actions.integers(model.N_ACTIONS))
        steps.append(step)
        if step[2] or step[3]:
            steps.append(env.reset()[0])
    return steps


@pytest.mark.parametrize("options", OPTION_SETS, ids=str)
def test_both_checkers_are_content(options: dict):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(TutorEnv(**options), skip_render_check=True)
        check_env_for_sb3(TutorEnv(**options))


def test_it_is_made_by_its_id():
    env = gym.make("rl_runner:Tutor-v0", horizon=5)
    assert env.observation_space.shape == (OBSERVATION_SIZE,)
    env.reset(seed=0)
    lengths = [env.step(4)[2:4] for _ in range(5)]
    assert any(any(ended) for ended in lengths)


@pytest.mark.parametrize("options", OPTION_SETS, ids=str)
def test_reward_terms_are_the_reward_and_come_from_the_list(options: dict):
    allowed = {
        "module_completed": {0.0, 1.0},
        "quiz_questions": {0.0, 0.5, 1.0, 1.5},
        "positive_feedback": {0.0, 5.0},
        "module_skipped": {0.0, -1.0},
        "negative_feedback_or_left": {0.0, -5.0},
        "step": {-0.1},
    }
    seen = {name: set() for name in allowed}
    for seed in range(30):
        for step in play(TutorEnv(**options), seed, 40):
            if isinstance(step, tuple):
                reward, info = step[1], step[4]
                terms = info["reward_terms"]
                assert sum(terms.values()) == pytest.approx(reward, abs=1e-12)
                assert (terms["negative_feedback_or_left"] == -5.0) == (
                    info["negative_feedback"] or info["left"]
                )
                assert terms["module_completed"] == float(info["completed"])
                assert terms["module_skipped"] == -float(info["skipped"])
                for name, value in terms.items():
                    seen[name].add(value)
    assert set(seen) == set(allowed)
    assert all(seen[name] <= allowed[name] for name in allowed)
    if not options:
        assert seen == allowed


def test_nothing_hidden_is_in_infos_unless_asked_for():
    for reveal in (False, True):
        env = TutorEnv(reveal_hidden=reveal)
        _, info = env.reset(seed=3)
        assert ("hidden" in info) is reveal
        assert ("hidden" in env.step(0)[4]) is reveal
    assert info["hidden"]["goal"] == env.full_states()[GOAL]


def test_the_same_history_looks_the_same_whatever_is_hidden():
    """Change everything hidden behind a record: what is seen of it stays as it is."""
    from rl_runner.envs.tutor.simulator.batch import write_observation

    env = TutorEnv()
    env.reset(seed=5)
    for action in (0, 5, 3, 4, 1):
        env.step(action)
    learners = env.learners
    before, after = np.empty((2, OBSERVATION_SIZE), dtype=np.float32)
    arguments = learners.measured[0], learners.belief[0], env.model
    write_observation(learners.rows[0], *arguments, before)
    other = learners.rows[0].copy()
    other[KNOWLEDGE : KNOWLEDGE + 3] = 2 - other[KNOWLEDGE : KNOWLEDGE + 3]
    other[[ENGAGEMENT, CONFUSED, GOAL, PACE, OPENED]] = 4, 1, 2, 1, 2
    assert (other != learners.rows[0]).any()
    write_observation(other, *arguments, after)
    np.testing.assert_array_equal(before, after)


def test_the_belief_does_not_look_at_what_is_hidden():
    from rl_runner.envs.tutor.simulator.knowledge_filter import update_belief

    env = TutorEnv()
    env.reset(seed=8)
    for action in (0, 5, 3, 4, 1, 5, 2):
        env.step(action)
        row = env.learners.rows[0]
        other = row.copy()
        other[[*range(KNOWLEDGE, KNOWLEDGE + 3), ENGAGEMENT, CONFUSED, GOAL, PACE, OPENED]] += 1
        beliefs = [env.learners.belief[0].copy(), env.learners.belief[0].copy()]
        for belief, seen in zip(beliefs, (row, other), strict=True):
            update_belief(belief, seen, 14.0, env.model)
        np.testing.assert_array_equal(*beliefs)


def test_the_same_seed_is_the_same_learner():
    first, second = play(TutorEnv(), 11, 60), play(TutorEnv(), 11, 60)
    other = play(TutorEnv(), 12, 60)
    assert [str(step) for step in first] == [str(step) for step in second]
    assert [str(step) for step in first] != [str(step) for step in other]


def test_policies_on_the_same_seed_meet_the_same_learner_and_luck():
    """The noise of a step depends on the seed and the step alone, not on what was done before."""
    noises = []
    for actions in ((0, 4, 1), (4, 3, 5)):
        env = TutorEnv(dropout_scale=0)
        env.reset(seed=21)
        noises.append([])
        for action in actions:
            env.step(action)
            reading = env.learners.measured[0, READING]
            noises[-1].append(reading - env.full_states()[ENGAGEMENT])
    assert noises[0] == pytest.approx(noises[1])
    assert len(set(noises[0])) == 3


def test_a_pickled_episode_continues_identically():
    env = TutorEnv()
    env.reset(seed=4)
    for action in (0, 0, 3):
        env.step(action)
    twin = pickle.loads(pickle.dumps(env))  # noqa: S301 - our own object
    for action in (5, 1, 4, 3, 5):
        (o1, *rest1), (o2, *rest2) = env.step(action), twin.step(action)
        np.testing.assert_array_equal(o1, o2)
        assert rest1 == rest2
        if rest1[1] or rest1[2]:
            break
    np.testing.assert_array_equal(env.reset()[0], twin.reset()[0])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"dropout_scale": -1}, "not a number from 0 to 6.67"),
        ({"dropout_scale": 7}, "would exceed 1"),
        ({"dropout_scale": float("nan")}, "not a number from 0"),
        ({"dropout_scale": True}, "not a number from 0"),
        ({"dropout_scale": "commited"}, "Did you mean `committed`?"),
        ({"dropout_scale": "x"}, "Presets: committed, open course."),
        ({"horizon": 0}, "not a whole number from 1"),
        ({"horizon": 2.5}, "not a whole number from 1"),
        ({"modules_per_topic": 9}, "not a whole number from 1 to 4"),
        ({"reveal_hidden": "yes"}, "not true or false"),
        ({"learner": "halflife"}, "Did you mean `half_life`?"),
        ({"learner": 3}, "Known: bkt, half_life."),
        ({"horizn": 3}, "Did you mean `horizon`?"),
        ({"zzz": 3}, "Known: dropout_scale"),
        ({"render_mode": "ascii"}, "There is no render mode `ascii`"),
    ],
    ids=str,
)
def test_a_wrong_option_is_refused_with_its_cure(options: dict, complaint: str):
    with pytest.raises(EnvError) as caught:
        TutorEnv(**options)
    assert complaint in str(caught.value)


def test_every_wrong_option_is_named_at_once():
    with pytest.raises(EnvError) as caught:
        TutorEnv(horizon=0, learner="x")
    assert {problem.where for problem in caught.value.problems} == {
        "env.kwargs.horizon",
        "env.kwargs.learner",
    }


@pytest.mark.parametrize("action", [-1, 6, 1.0, "0", None, [0, 1]])
def test_an_action_out_of_range_is_refused_and_changes_nothing(action: object):
    env = TutorEnv()
    env.reset(seed=0)
    before = env.full_states()
    with pytest.raises(InvalidAction):
        env.step(action)
    np.testing.assert_array_equal(env.full_states(), before)


def test_stepping_without_an_episode_is_refused():
    env = TutorEnv(horizon=1)
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    env.step(0)
    with pytest.raises(ResetNeeded):
        env.step(0)


def test_an_episode_is_truncated_at_its_horizon():
    env = TutorEnv(horizon=3, dropout_scale=0)
    env.reset(seed=0)
    ends = [env.step(4)[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def test_presets_scale_the_hazard():
    committed, course = TutorOptions(), TutorOptions(dropout_scale="open course")
    hazards = [np.array(options.build_model().hazard) for options in (committed, course)]
    np.testing.assert_allclose(5 * hazards[0], hazards[1])


def test_the_observation_holds_the_record():
    env = TutorEnv(reveal_hidden=True)
    for seed in range(20):
        env.reset(seed=seed)
        for action in (0, 1, 5, 4, 3):
            observation, _, terminated, truncated, info = env.step(action)
            row = env.full_states()

            def part(name: str, seen: np.ndarray = observation) -> np.ndarray:
                return seen[SLICES[name]]

            np.testing.assert_allclose(part("modules") * 2, row[MODULES : MODULES + 3])
            assert part("time")[0] == pytest.approx(row[TIME] / 40)
            assert part("skips")[0] == pytest.approx(row[SKIPS] / 40)
            assert part("action").argmax() == action
            assert model.RESPONSES[part("response").argmax()] == info["response"]
            assert part("feedback").tolist() == [
                info["positive_feedback"],
                info["negative_feedback"],
            ]
            if terminated or truncated:
                break


def test_the_slices_cover_the_observation():
    covered = np.concatenate([np.arange(OBSERVATION_SIZE)[part] for part in SLICES.values()])
    np.testing.assert_array_equal(covered, np.arange(OBSERVATION_SIZE))


def test_rendering_shows_the_record():
    env = TutorEnv(render_mode="ansi")
    with pytest.raises(ResetNeeded):
        env.render()
    env.reset(seed=2)
    total, action = 0.0, 0
    for action in (0, 5, 3, 4, 1):
        observation, reward, terminated, truncated, info = env.step(action)
        total += reward
        view = env.view()
        row = env.full_states()
        assert view.step == row[TIME]
        assert view.completed == tuple(row[MODULES : MODULES + 3])
        assert view.knowledge == tuple(map(float, observation[SLICES["knowledge"]]))
        assert view.engagement == float(observation[SLICES["engagement"]][0])
        assert view.return_so_far == pytest.approx(total)
        assert view.chat[-1].response == info["response"]
        assert view.chat[-1].action == action
        assert env.render() == render_text(view)
        if terminated or truncated:
            break
    assert len(view.chat) == view.step


def test_pictures_have_the_same_size_and_change():
    env = TutorEnv(render_mode="rgb_array")
    env.reset(seed=2)
    first = env.render()
    env.step(0)
    second = env.render()
    assert first.shape == second.shape == (600, 960, 3)
    assert first.dtype == np.uint8
    assert (first != second).any()


def test_a_window_opens_and_closes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setitem(TutorEnv.metadata, "render_fps", 0)  # do not wait
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pygame's own at its first import
        env = TutorEnv(render_mode="human")
        env.reset(seed=0)
    env.step(0)
    import pygame

    assert pygame.display.get_surface().get_size() == (960, 600)
    env.close()
    assert not pygame.display.get_init()
