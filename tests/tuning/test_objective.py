import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.config.tune import ObjectiveConfig
from rl_runner.tuning.objective import RunOutcome, over_seeds, score_of_run

TOTAL = 100
CURVE = {20: 1.0, 40: 5.0, 60: 3.0, 80: 7.0, 100: 6.0}
OUTCOME = RunOutcome(4.0, 6.5, 12.5, CURVE)

scores = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (ObjectiveConfig(measure="final"), 4.0),
        (ObjectiveConfig(measure="best"), 6.5),
        (ObjectiveConfig(measure="last_mean", last=2), 6.5),
        (ObjectiveConfig(measure="last_mean", last=99), 4.4),
        (ObjectiveConfig(measure="time_to_threshold", threshold=5.0), 40.0),
        (ObjectiveConfig(measure="time_to_threshold", threshold=99.0), 200.0),
        (ObjectiveConfig(measure="wall_time"), 12.5),
    ],
    ids=lambda value: getattr(value, "measure", str(value)),
)
def test_a_run_has_a_number(objective: ObjectiveConfig, expected: float):
    assert score_of_run(objective, OUTCOME, TOTAL) == pytest.approx(expected)


def test_the_interquartile_mean_leaves_the_extremes_out():
    iqm = ObjectiveConfig(over_seeds="iqm")
    assert over_seeds(iqm, [0.0, 4.0, 6.0, 1000.0]) == 5.0


def test_the_worst_seed_is_the_lowest_return_or_the_longest_time():
    assert over_seeds(ObjectiveConfig(over_seeds="worst"), [3.0, 1.0, 2.0]) == 1.0
    time = ObjectiveConfig(measure="wall_time", over_seeds="worst")
    assert over_seeds(time, [3.0, 1.0, 2.0]) == 3.0


@given(scores, st.sampled_from(["mean", "median", "iqm", "worst"]), st.randoms())
def test_seeds_taken_together_lie_among_them_in_whatever_order(values, how, random):
    objective = ObjectiveConfig(over_seeds=how)
    together = over_seeds(objective, values)
    slack = 1e-9 * max(1.0, float(np.abs(values).max()))
    assert min(values) - slack <= together <= max(values) + slack
    shuffled = random.sample(values, len(values))
    assert over_seeds(objective, shuffled) == pytest.approx(together, rel=1e-9, abs=1e-6)
