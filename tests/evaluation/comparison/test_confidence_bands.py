import numpy as np
import pytest

from rl_runner.evaluation.comparison.confidence_bands import (
    learning_band,
    on_grid,
    performance_profile,
)
from rl_runner.evaluation.comparison.experiments import Curve


def test_a_learning_band_is_the_interquartile_mean_where_all_runs_have_steps():
    curves = [
        Curve(np.array([0, 100 + 10 * i]), np.array([0.0, 100.0 + 10 * i]), np.zeros(2))
        for i in range(6)
    ]
    band = learning_band(curves)
    assert band is not None
    assert (band.x[0], band.x[-1]) == (0, 100)
    np.testing.assert_allclose(band.value, band.x)  # every curve is the same straight line
    np.testing.assert_allclose(band.low, band.x)
    few = learning_band(curves[:3])
    assert few is not None
    assert np.isnan(few.low).all()
    assert learning_band([]) is None
    apart = Curve(np.array([200, 300]), np.zeros(2), np.zeros(2))
    assert learning_band([curves[0], apart]) is None


def test_a_profile_falls_from_all_runs_to_none():
    band = performance_profile(np.array([1.0, 2.0, 2.0, 4.0]), np.array([0.0, 1.0, 2.0, 3.0, 5.0]))
    np.testing.assert_allclose(band.value, [1, 1, 0.75, 0.25, 0])
    assert (band.low <= band.value).all()
    assert (band.value <= band.high).all()


@pytest.mark.parametrize(
    ("timesteps", "every", "total", "due", "of"),
    [
        # Late by a step of all environments, and once more at the end of the last rollout
        ([0, 102, 201, 300, 324], 100, 300, [0, 100, 200, 300], [0, 1, 2, 4]),
        # A budget that is no multiple of the interval
        ([100, 200, 230], 100, 230, [100, 230], [0, 2]),
        ([30, 60, 100], 30, 100, [30, 60, 100], [0, 1, 2]),
        # More environments than the interval has timesteps
        ([0, 128, 256, 384], 100, 350, [0, 100, 200, 350], [0, 1, 2, 3]),
        # An interval longer than the budget
        ([0, 64], 1000, 50, [0, 50], [0, 1]),
    ],
)
def test_evaluations_move_to_where_they_were_due(
    timesteps: list[int], every: int, total: int, due: list[int], of: list[int]
):
    values = np.arange(len(timesteps), dtype=float)
    moved = on_grid(Curve(np.array(timesteps), values, values), every, total)
    assert moved.timesteps.tolist() == due
    assert moved.returns.tolist() == of
    assert moved.seconds.tolist() == of
