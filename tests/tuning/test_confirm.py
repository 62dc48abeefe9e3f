from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rl_runner.config.tune import ObjectiveConfig, TuneConfig
from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.tuning.confirm import (
    Candidate,
    Confirmed,
    candidates,
    gain_of,
    optimism_of,
    pareto_front,
    rank_trials,
    winner_of,
)
from rl_runner.tuning.study_reporter import TrialReport
from rl_runner.tuning.trial_runs import confirm_seeds, search_seeds

FINAL, SECONDS = ObjectiveConfig(), ObjectiveConfig(measure="wall_time")


def trial(number: int, *scores: float, outcome: Any = "complete") -> TrialReport:
    spread = tuple((score - 1.0, score - 0.5, score, score + 0.5, score + 1.0) for score in scores)
    return TrialReport(number, {"gamma": 0.9}, outcome, scores, spread)


def confirmed(searched: TrialReport | None, *scores: float) -> Confirmed:
    label = "start" if searched is None else f"trial-{searched.number:04d}"
    candidate = Candidate(label, None, searched)  # type: ignore[arg-type]  # no config is needed
    return Confirmed(candidate, (float(np.mean(scores)),) if scores else (), (scores,), ())


def test_the_best_come_first_whichever_way_is_better():
    trials = [trial(0, 1.0), trial(1, 3.0), trial(2, 2.0), trial(3, 3.0)]
    assert [t.number for t in rank_trials(FINAL, trials)] == [1, 3, 2, 0]
    assert [t.number for t in rank_trials(SECONDS, trials)] == [0, 2, 1, 3]


def test_among_equals_the_one_that_was_there_sooner_comes_first():
    late, soon = {100: 20.0, 200: 500.0}, {100: 400.0, 200: 500.0}
    trials = [replace(trial(i, 500.0), curve=curve) for i, curve in enumerate([{}, late, soon])]
    assert [t.number for t in rank_trials(FINAL, trials)] == [2, 1, 0]
    slow, fast = {100: -20.0, 200: -500.0}, {100: -400.0, 200: -500.0}  # as the pruner sees them
    trials = [replace(trial(i, 7.0), curve=curve) for i, curve in enumerate([{}, slow, fast])]
    assert [t.number for t in rank_trials(SECONDS, trials)] == [2, 1, 0]


def test_candidates_are_the_start_and_the_best_that_are_complete(pole: Any):
    start = pole()
    trials = [trial(0, 1.0), trial(1, 9.0, outcome="pruned"), trial(2, 3.0), trial(3, 2.0)]
    tune = TuneConfig.model_validate({"confirm": {"trials": 2}})
    chosen = candidates(start, tune, trials)
    assert [candidate.label for candidate in chosen] == ["start", "trial-0002", "trial-0003"]
    assert chosen[1].config.algo.hyperparameters["gamma"] == 0.9


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12))
def test_nobody_beats_the_front_and_somebody_beats_all_others(points: list[tuple[int, int]]):
    trials = [trial(i, float(a), float(b)) for i, (a, b) in enumerate(points)]
    front = pareto_front([FINAL, SECONDS], trials)

    def beats(one: TrialReport, other: TrialReport) -> bool:
        no_worse = one.scores[0] >= other.scores[0] and one.scores[1] <= other.scores[1]
        return no_worse and one.scores != other.scores

    for item in trials:
        assert (item in front) == (not any(beats(other, item) for other in trials))


def test_the_winner_is_chosen_on_fresh_seeds():
    lucky, modest = trial(0, 100.0), trial(1, 50.0)
    items = [confirmed(None, 10.0), confirmed(lucky, 20.0, 20.0), confirmed(modest, 40.0, 40.0)]
    assert winner_of(TuneConfig(), items) is items[2]


def test_the_starting_config_wins_if_nothing_beats_it():
    items = [confirmed(None, 20.0), confirmed(trial(0, 100.0), 20.0)]
    assert winner_of(TuneConfig(), items) is items[0]


def test_a_candidate_with_a_failed_run_cannot_win():
    failed = Confirmed(confirmed(trial(0, 9.0)).candidate, (), (), ("seed 1: it broke",))
    assert winner_of(TuneConfig(), [failed]) is None
    assert failed.summary is None
    assert optimism_of(FINAL, failed) is None


def test_optimism_is_what_the_search_promised_too_much():
    searched = trial(0, 10.0)  # its seeds: 9 to 11
    optimism = optimism_of(FINAL, confirmed(searched, 5.0, 5.5, 6.0, 6.5, 7.0))
    assert optimism is not None
    assert optimism.mean == pytest.approx(4.0)
    assert optimism.ci95 is not None
    low, high = optimism.ci95
    assert 0 < low < 4.0 < high
    time = TuneConfig(objective=(SECONDS,)).objective[0]
    optimism = optimism_of(time, confirmed(searched, 15.0, 16.0, 17.0))
    assert optimism is not None
    assert optimism.mean == pytest.approx(6.0)  # longer than the search said


def test_one_seed_gives_no_interval_and_the_start_no_optimism():
    optimism = optimism_of(FINAL, confirmed(trial(0, 10.0), 5.0))
    assert optimism is not None
    assert optimism.ci95 is None
    assert optimism_of(FINAL, confirmed(None, 5.0)) is None


def test_the_gain_is_over_the_start_on_fresh_seeds_alone():
    start = confirmed(None, 1.0, 1.5, 2.0, 2.5, 3.0)
    items = [start, confirmed(trial(0, 99.0), 5.0, 5.5, 6.0, 6.5, 7.0)]
    gain = gain_of(FINAL, items[1], items)
    assert gain is not None
    assert gain.mean == pytest.approx(4.0)
    assert gain.ci95 is not None
    half = stats.t.ppf(0.975, 8) * np.sqrt(0.625 / 5 + 0.625 / 5)  # equal spreads: Student's
    assert gain.ci95 == pytest.approx((4.0 - half, 4.0 + half))
    assert gain_of(FINAL, start, items) is None
    seconds = gain_of(SECONDS, items[1], items)
    assert seconds is not None
    assert seconds.mean == pytest.approx(-4.0)  # four seconds longer


def test_the_gains_of_all_candidates_hold_together():
    start = confirmed(None, 1.0, 1.5, 2.0, 2.5, 3.0)
    best = confirmed(trial(0, 9.0), 5.0, 5.5, 6.0, 6.5, 7.0)
    others = [confirmed(trial(i, 9.0), 4.0, 4.5, 5.0, 5.5, 6.0) for i in (1, 2)]
    gain = gain_of(FINAL, best, [start, best, *others])
    assert gain is not None
    assert gain.ci95 is not None
    half = stats.t.ppf(1 - 0.025 / 3, 8) * 0.5
    assert gain.ci95 == pytest.approx((4.0 - half, 4.0 + half))


def test_the_gain_stays_within_the_bounds_of_the_objective():
    bounds = Bounds(1.0, 500.0, "test")
    items = [
        replace(confirmed(each, *scores), bounds=bounds)
        for each, scores in ((None, [100.0] * 5), (trial(0, 500.0), [500.0] * 5))
    ]
    gain = gain_of(FINAL, items[1], items)
    assert gain is not None
    assert gain.ci95 is not None
    assert 0 < gain.ci95[0] < 400 < gain.ci95[1] <= 499
    few = [replace(item, seeds=(item.seeds[0][:2],)) for item in items]
    assert gain_of(FINAL, few[1], few) == replace(gain, ci95=None)


def test_there_is_no_gain_without_a_result_of_both():
    best = confirmed(trial(0, 9.0), 5.0, 6.0)
    failed = Confirmed(confirmed(None, 1.0).candidate, (), (), ("seed 1: it broke",))
    assert gain_of(FINAL, best, [failed, best]) is None
    assert gain_of(FINAL, best, [best]) is None


@given(
    st.integers(0, 10**8 - 1), st.lists(st.integers(0, 99_999), min_size=2, max_size=5, unique=True)
)
def test_no_seed_is_used_twice(seed: int, numbers: list[int]):
    tune = TuneConfig.model_validate(
        {"seed": seed, "seeds": 1000, "confirm": {"trials": 1, "seeds": 1000}}
    )
    used = [set(search_seeds(tune, number)) for number in numbers] + [set(confirm_seeds(tune))]
    assert len(set().union(*used)) == sum(map(len, used))
    assert all(1000 < one < 2**63 for one in set().union(*used))
