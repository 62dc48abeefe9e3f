import numpy as np
import pytest
from learners import branches, rows_on_the_way, without_answer
from scipy.stats import chisquare

from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning.dynamic_programming import (
    count_states,
    set_state,
    state_index,
    transitions_of_action,
    transitions_of_time,
)
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.kernel import difficulty, write_reward
from rl_runner.envs.tutor.simulator.state import (
    ANSWER,
    CONFUSED,
    ENDING,
    ENGAGEMENT,
    FEEDBACK,
    FOCUS,
    GOAL,
    KNOWLEDGE,
    LEVEL,
    MODULES,
    N_COLUMNS,
    PACE,
    RESPONSE,
    TESTED,
)
from rl_runner.envs.tutor.vector import TutorVectorEnv

OPTIONS = TutorOptions()
MODEL = OPTIONS.build_model()


def learner(**columns: int) -> np.ndarray:
    """A learner who knows nothing, half engaged, slow, and came for topic 0."""
    row = np.zeros(N_COLUMNS, dtype=np.int32)
    row[ENGAGEMENT] = 2
    for name, value in columns.items():
        row[COLUMNS[name]] = value
    return row


COLUMNS = {
    "knowledge": KNOWLEDGE,
    "engagement": ENGAGEMENT,
    "confused": CONFUSED,
    "goal": GOAL,
    "pace": PACE,
    "modules": MODULES,
    "tested": TESTED,
    "focus": FOCUS,
}


def probability(row: np.ndarray, action: int, **after: int) -> float:
    """P(the columns have these values after the step)."""
    columns = COLUMNS | {"response": RESPONSE, "feedback": FEEDBACK, "ending": ENDING}
    outcomes = branches(row, action, MODEL)
    return sum(
        p
        for outcome, p in outcomes.items()
        if all(outcome[columns[name]] == value for name, value in after.items())
    )


@pytest.mark.parametrize("n_levels", [1, 2])
def test_the_rows_of_the_kernel_are_distributions_in_every_state(n_levels: int):
    model_ = TutorOptions(modules_per_topic=n_levels).build_model()
    tables = [transitions_of_time(model_)]
    types = [(goal, pace) for goal in range(3) for pace in range(2)]
    for goal, pace in types if n_levels == 1 else [(1, model.FAST)]:
        tables += [transitions_of_action(model_, a, goal, pace) for a in range(model.N_ACTIONS)]
    for table in tables:
        assert (table.probabilities >= 0.0).all()
        sums = np.add.reduceat(table.probabilities, table.starts[:-1])
        np.testing.assert_allclose(sums, 1.0, rtol=0.0, atol=1e-12)
        assert table.targets.min() >= 0
    assert len(tables[1].starts) == count_states(n_levels) + 1


def test_there_are_as_many_states_as_the_design_counts():
    assert count_states(2) == 101_250


def test_every_state_has_one_number():
    row = np.zeros(N_COLUMNS, dtype=np.int32)
    for index in range(count_states(1)):
        set_state(row, index, 1)
        assert state_index(row, 1) == index


def test_the_three_parts_of_a_suggestion():
    ready = learner(goal=1)
    skip = 1 / (1 + np.exp(1.4))
    stays = 1 - model.HAZARDS[2]
    assert difficulty(ready, 0) == model.READY
    skipped = probability(ready, 0, response=model.SKIPPED)
    assert skipped == pytest.approx(skip)
    completed = probability(ready, 0, response=model.COMPLETED)
    assert completed == pytest.approx((1 - skip) * 0.8)
    praised = probability(ready, 0, feedback=1)
    assert praised == pytest.approx((1 - skip) * 0.8 * 0.06)
    learned = probability(ready, 0, knowledge=1, ending=model.GOING_ON)
    assert learned == pytest.approx((1 - skip) * 0.35, rel=0.02)  # the hazard differs by engagement
    lost = probability(ready, 0, response=model.SKIPPED, engagement=1, ending=model.GOING_ON)
    assert lost == pytest.approx(skip * 0.3 * (1 - model.HAZARDS[1]))
    kept = probability(ready, 0, response=model.SKIPPED, engagement=2, ending=model.GOING_ON)
    assert kept == pytest.approx(skip * 0.7 * stays)


def test_a_hard_module_that_is_not_completed_confuses():
    hard = learner(modules=1, goal=1)
    assert difficulty(hard, 0) == model.HARD
    stopped = probability(hard, 0, response=model.STOPPED)
    assert probability(hard, 0, confused=1) == pytest.approx(stopped)
    opened = 1 - 1 / (1 + np.exp(1.4 - 0.6))
    assert stopped == pytest.approx(opened * 0.7)
    complained = probability(hard, 0, response=model.STOPPED, feedback=-1)
    assert complained == pytest.approx(opened * 0.7 * 0.04 / 2)


OPENS = 1 - 1 / (1 + np.exp(1.4))  # a ready module that is not of the goal, at engagement 2
OPENS_EASY = 1 - 1 / (1 + np.exp(0.5))
OPENS_HARD = 1 - 1 / (1 + np.exp(0.8))
PASS_KNOWN = 0.9**3 + 3 * 0.81 * 0.1
PASS_GUESSED = 0.2**3 + 3 * 0.04 * 0.8
EASY = {"knowledge": 1, "goal": 1}
HARD = {"modules": 1, "goal": 1}
PASSED = {"modules": 1, "tested": 1, "knowledge": 1}
DESIGN = [  # the learner, the action, what comes of it, with what probability: as designed
    ({"goal": 1}, 0, {"engagement": 3}, OPENS * 0.8 * 0.6),
    ({"goal": 1, "pace": model.FAST}, 0, {"knowledge": 1}, OPENS * 0.6),
    ({**PASSED, "goal": 1}, 0, {"modules": 2, "tested": 0}, OPENS * 0.8),
    ({**PASSED, "goal": 1}, 0, {"modules": 2}, OPENS * 0.8),
    (EASY, 0, {"response": model.COMPLETED}, OPENS_EASY * 0.95),
    (EASY, 0, {"engagement": 1}, OPENS_EASY * 0.4 + (1 - OPENS_EASY) * 0.3),
    (EASY, 0, {"knowledge": 1}, 1.0),
    (HARD, 0, {"response": model.COMPLETED}, OPENS_HARD * 0.3),
    (HARD, 0, {"engagement": 1}, OPENS_HARD * 0.5 + (1 - OPENS_HARD) * 0.3),
    (HARD, 0, {"knowledge": 1}, OPENS_HARD * 0.05),
    (HARD, 0, {"response": model.SKIPPED, "feedback": -1}, (1 - OPENS_HARD) * 0.04),
    (HARD, 0, {"response": model.COMPLETED, "feedback": -1}, OPENS_HARD * 0.3 * 0.04 / 2),
    (HARD, 0, {"feedback": 1}, 0.0),
    ({"confused": 1, "goal": 1}, 0, {"response": model.SKIPPED}, 1 / (1 + np.exp(0.9))),
    ({"engagement": 4}, 0, {"response": model.SKIPPED}, 1 / (1 + np.exp(1.4 + 1.2 + 0.9))),
    ({}, 3, {"knowledge": 1}, 0.10),
    ({}, 3, {"engagement": 1}, 0.15),
    ({"confused": 1}, 3, {"knowledge": 1}, 0.25),
    ({"confused": 1}, 3, {"engagement": 2}, 1.0),
    ({"confused": 1}, 4, {"confused": 0}, 0.4),
    ({"confused": 1}, 4, {"engagement": 3}, 0.35),
    ({}, 4, {"engagement": 1}, 0.2),
    ({"engagement": 1}, 4, {"engagement": 2}, 0.35),
    ({"engagement": 4}, 4, {"engagement": 3}, 0.2),
    ({}, 5, {"engagement": 1}, 0.3),
    (PASSED, 5, {"engagement": 1}, 0.3),
    ({"modules": 1, "knowledge": 1}, 5, {"engagement": 3}, PASS_KNOWN * 0.3),
    ({"modules": 1, "knowledge": 1}, 5, {"tested": 1}, PASS_KNOWN),
    ({"modules": 1, "knowledge": 1}, 5, {"confused": 1}, (1 - PASS_KNOWN) * 0.35),
    ({"modules": 1}, 5, {"knowledge": 1}, (1 - PASS_GUESSED) * 0.1),
    ({"modules": 1, "knowledge": 1}, 5, {"knowledge": 1}, 1.0),
    ({"modules": 1}, 5, {"confused": 1, "engagement": 1}, (1 - PASS_GUESSED) * 0.35),
    ({"modules": 1}, 5, {"engagement": 1}, (1 - PASS_GUESSED) * 0.35),
]


@pytest.mark.parametrize(("columns", "action", "after", "expected"), DESIGN, ids=str)
def test_a_step_does_what_was_designed(columns: dict, action: int, after: dict, expected: float):
    assert probability(learner(**columns), action, **after) == pytest.approx(expected)


@pytest.mark.parametrize("engagement", range(5))
def test_feedback_and_leaving_depend_on_engagement(engagement: int):
    positive = (0, 0.02, 0.06, 0.12, 0.20)[engagement]
    negative = (0.15, 0.08, 0.04, 0.015, 0.005)[engagement]
    row = learner(engagement=engagement)
    completed = probability(row, 0, response=model.COMPLETED)
    assert probability(row, 0, feedback=1) == pytest.approx(completed * positive)
    skipped = probability(row, 0, response=model.SKIPPED)
    assert probability(row, 0, feedback=-1) == pytest.approx(skipped * negative)
    known = learner(engagement=engagement, modules=1, knowledge=1)
    failed = {"response": model.FAILED, "confused": 0, "ending": model.LEFT}
    hazard = (0.15, 0.06, 0.02, 0.006, 0.002)[engagement]
    assert probability(known, 5, **failed) == pytest.approx((1 - PASS_KNOWN) * 0.65 * hazard)


def test_an_answer_names_mostly_the_goal_and_the_others_equally_often():
    n = 20_000
    env = TutorVectorEnv(n)
    env.reset(seed=0)
    shifts = (outcome_rows(env, model.CLARIFY)[:, ANSWER] - env.full_states()[:, GOAL]) % 3
    assert chisquare(np.bincount(shifts), n * np.array([0.85, 0.075, 0.075])).pvalue > 0.001


def test_a_finished_topic_is_always_skipped():
    finished = learner(modules=2, tested=1, knowledge=2)
    assert probability(finished, 0, response=model.SKIPPED) == pytest.approx(1.0)
    assert all(outcome[LEVEL] == 0 for outcome in branches(finished, 0, MODEL))


def test_a_quiz_is_passed_with_two_of_three():
    known = learner(modules=1, knowledge=1)
    unknown = learner(modules=1)
    assert probability(known, 5, response=model.PASSED) == pytest.approx(0.9**3 + 3 * 0.81 * 0.1)
    assert probability(unknown, 5, response=model.PASSED) == pytest.approx(0.2**3 + 3 * 0.04 * 0.8)
    assert probability(learner(), 5, response=model.NOTHING) == pytest.approx(1.0)


def test_a_resource_clears_confusion():
    confused = learner(confused=1, engagement=4, pace=model.FAST)
    cleared = probability(confused, 3, confused=0)
    assert cleared == pytest.approx(0.7)
    assert probability(confused, 3, feedback=1) == pytest.approx(0.7 * 0.20 / 2)
    learned = probability(confused, 3, knowledge=1)
    assert learned == pytest.approx(0.40)
    beyond = learner(confused=1, knowledge=2, modules=1)
    assert probability(beyond, 3, knowledge=2) == pytest.approx(1.0)


def test_a_learner_who_has_finished_everything_graduates():
    row = learner(knowledge=2)
    row[MODULES : MODULES + 3] = 2
    row[TESTED : TESTED + 3] = [0, 1, 1]
    passed = probability(row, 5, response=model.PASSED)
    assert probability(row, 5, ending=model.GRADUATED) == pytest.approx(passed)
    assert probability(row, 5, ending=model.LEFT, response=model.PASSED) == 0.0


def test_one_of_two_topics_is_forgotten_at_a_time():
    row = learner(engagement=4)
    row[KNOWLEDGE : KNOWLEDGE + 3] = 2
    outcomes = branches(row, 3, MODEL)
    stays = 1 - probability(row, 3, ending=model.LEFT)
    levels = KNOWLEDGE + np.arange(3)
    lost = {tuple(o[c] for c in levels): 0.0 for o in outcomes}
    for outcome, p in outcomes.items():
        if outcome[ENDING] == model.GOING_ON:
            lost[tuple(outcome[c] for c in levels)] += p
    assert lost[2, 1, 2] == pytest.approx(0.01 * stays)
    assert lost[2, 2, 1] == pytest.approx(0.01 * stays)
    assert set(lost) == {(2, 2, 2), (2, 1, 2), (2, 2, 1)}


def test_the_half_life_learner_forgets_half_in_a_half_life():
    forget = TutorOptions(learner="half_life").build_model().forget
    for practices, rate in enumerate(forget):
        half_life = model.HALF_LIFE * 2**practices
        assert (1 - rate) ** half_life == pytest.approx(0.5)
    assert set(MODEL.forget) == {model.FORGET}


def test_leaving_after_a_complaint_costs_no_more_than_one_of_both():
    terms = np.empty(len(model.REWARD_TERMS))
    row = learner()
    row[RESPONSE], row[FEEDBACK] = model.SKIPPED, -1
    for ending in (model.GOING_ON, model.LEFT):
        row[ENDING] = ending
        assert write_reward(row, terms) == pytest.approx(-0.1 - 1.0 - 5.0)


@pytest.mark.slow
def test_frequencies_agree_with_the_kernel():
    """χ² over twelve situations, corrected for their number (Bonferroni)."""
    n, p_values = 20_000, []
    for number, row in enumerate(rows_on_the_way(OPTIONS, 12)):
        action = number % model.N_ACTIONS
        env = TutorVectorEnv(n, **vars(OPTIONS))
        env.reset(seed=1000 * number)
        env.learners.rows[:] = row
        expected = branches(row, action, MODEL)
        observed = dict.fromkeys(expected, 0)
        after = outcome_rows(env, action)
        for outcome in after:
            observed[without_answer(outcome)] += 1
        p_values.append(p_value(observed, expected, n))
    assert min(p_values) > 0.01 / len(p_values)


def outcome_rows(env: TutorVectorEnv, action: int) -> np.ndarray:
    """Step once without beginning anew, so that the rows show how it ended."""
    from rl_runner.envs.tutor.simulator.batch import Outcome, step_learners

    actions = np.full(env.num_envs, action)
    step_learners(env.model, env.learners, actions, Outcome.empty(env.num_envs), autoreset=False)
    return env.full_states()


def p_value(observed: dict, expected: dict, n: int) -> float:
    """χ² test with the rare outcomes (fewer than five expected) taken together."""
    rare = [key for key, p in expected.items() if n * p < 5]
    common = [key for key in expected if key not in set(rare)]
    counts = [observed[key] for key in common] + [sum(observed[key] for key in rare)]
    means = [n * expected[key] for key in common] + [n * sum(expected[key] for key in rare)]
    if means[-1] < 5:
        counts, means = [*counts[:-2], sum(counts[-2:])], [*means[:-2], sum(means[-2:])]
    return float(chisquare(counts, means).pvalue)
