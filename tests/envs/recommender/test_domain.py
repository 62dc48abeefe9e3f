import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.envs.recommender.domain import (
    N_ACTIONS,
    N_STATES,
    RecommendationAction,
    RecommendationState,
    state_index,
    state_parts,
    trait_bins,
)
from rl_runner.envs.recommender.rewards import RewardWeights, mood_improvement, rewards

PERSON = {
    "openness": 75,
    "conscientiousness": 60,
    "extraversion": 40,
    "agreeableness": 80,
    "neuroticism": 30,
    "content_type": "music",
    "mood": "calm",
    "time_of_day": "evening",
}


@pytest.mark.parametrize(
    ("trait", "number"), [(0, 0), (19.99, 0), (20, 1), (59.9, 2), (60, 3), (80, 4), (100, 4)]
)
def test_traits_fall_into_five_equal_bins(trait, number):
    assert trait_bins(np.array(trait)) == number


def test_three_bins_are_thirds():
    assert trait_bins(np.array([0, 33, 34, 66, 67, 100]), bins=3).tolist() == [0, 0, 1, 1, 2, 2]


@given(st.integers(0, N_STATES - 1))
def test_a_state_is_its_number(index):
    assert state_index(state_parts(np.array(index))) == index


def test_a_person_and_a_moment_are_a_state():
    state = RecommendationState(**PERSON)
    assert state.parts.tolist() == [3, 3, 2, 4, 1, 0, 4, 2]
    assert state.index == state_index(state.parts)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("openness", float("nan"), "from 0 to 100"),
        ("openness", "75", "openness is '75', not a number"),
        ("openness", None, "openness is None, not a number"),
        ("neuroticism", 100.5, "from 0 to 100"),
        ("agreeableness", -1, "from 0 to 100"),
        ("mood", "hungry", "known: neutral, happy"),
        ("time_of_day", "noon", "known: morning"),
        ("content_type", "book", "known: music"),
    ],
)
def test_a_state_that_cannot_be_is_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        RecommendationState(**{**PERSON, name: value})


def test_every_action_is_its_number():
    actions = [RecommendationAction.from_index(i) for i in range(N_ACTIONS)]
    assert len(set(actions)) == N_ACTIONS == 27
    assert [action.index for action in actions] == list(range(N_ACTIONS))


@pytest.mark.parametrize("index", [-1, 27])
def test_there_is_no_other_action(index):
    with pytest.raises(IndexError, match="0 … 26"):
        RecommendationAction.from_index(index)


def test_an_unknown_word_is_no_action():
    with pytest.raises(ValueError, match="known: focused"):
        RecommendationAction("low", "wide", "mixed")


def test_an_action_becomes_what_a_catalogue_takes():
    action = RecommendationAction("low", "diverse", "exploratory")
    assert action.to_recommendation_params() == {
        "min_energy": 0.0,
        "max_energy": 0.4,
        "valence": 0.3,
        "genre_count": 5,
        "exploration_rate": 0.5,
        "popularity_min": 0,
        "popularity_max": 50,
    }


def outcome(**happened):
    names = ("like", "dislike", "complete", "skip", "share", "completion_rate")
    return {name: np.array([happened.get(name, 0)]) for name in names}


@pytest.mark.parametrize(
    ("happened", "moods", "reward"),
    [
        ({}, (0, 0), 0.0),
        ({"like": 1}, (0, 0), 1.0),
        ({"dislike": 1}, (0, 0), -1.0),
        ({"complete": 1, "share": 1}, (0, 0), 1.3),
        ({"skip": 1, "completion_rate": 0.2}, (0, 0), -0.2),
        ({}, (2, 1), 0.5),  # sad → happy
        ({}, (1, 2), -0.5),
        ({"like": 1, "complete": 1, "share": 1, "completion_rate": 1}, (2, 1), 3.3),
        ({"dislike": 1, "skip": 1}, (1, 2), -1.8),
    ],
)
def test_the_reward_adds_seven_terms(happened, moods, reward):
    before, after = np.array([moods[0]]), np.array([moods[1]])
    assert rewards(outcome(**happened), before, after) == pytest.approx([reward])


def test_the_bounds_are_those_of_the_extremes():
    assert RewardWeights().bounds == pytest.approx((-1.8, 3.3))


def test_the_bounds_hold_for_any_weights():
    """By trying everything that can happen."""
    weights = RewardWeights(2.0, 1.0, -0.5, 0.4, -0.2, -3.0, -1.5)
    happened = [
        outcome(**feedback, **end, share=share, completion_rate=rate)
        for feedback in ({}, {"like": 1}, {"dislike": 1})
        for end in ({}, {"complete": 1}, {"skip": 1})
        for share in (0, 1)
        for rate in (0, 1)
    ]
    each = [
        rewards(one, np.array([before]), np.array([after]), weights)[0]
        for one in happened
        for before, after in ((1, 2), (2, 1))
    ]
    assert weights.bounds == pytest.approx((min(each), max(each)))


def test_other_weights_need_no_other_outcomes():
    weights = RewardWeights(like=2.0)
    assert rewards(outcome(like=1), np.array([0]), np.array([0]), weights) == pytest.approx([2.0])


def test_moods_improve_at_most_from_the_worst_to_the_best():
    moods = np.arange(7)
    change = mood_improvement(moods[:, None], moods)
    assert (change.min(), change.max()) == (-1.0, 1.0)
    assert np.allclose(change, -change.T)
