import dataclasses

import numpy as np
import pytest
from matplotlib.figure import Figure

from rl_runner.layout import ESTIMATES
from rl_runner.offline.judging.judgement_plot import draw_judgement
from rl_runner.runs.log_results import Estimate, Judgement, Support

ZERO = (0.0, 0.0)
SUPPORT = Support(500.0, 80.0, 40, 27.0, 1.0, (0.9, 1.1), 0.0)
GIVEN = Judgement(
    interactions=1000,
    users=90,
    logged_reward=0.7,
    logged_reward_ci95=(0.6, 0.8),
    support=SUPPORT,
    refusal=None,
    needed=None,
    estimates={"DR": Estimate(0.9, (0.8, 1.0), 0.2, ZERO, 0.1, ZERO)},
    weight_histogram=((10, 5), (0.0, 1.0, 27.0)),
)


@pytest.fixture
def draw(tmp_path, monkeypatch):
    """Draw a judgement, and return the figure that was written."""
    saved = []
    save = Figure.savefig

    def remember(figure, *arguments, **keywords):
        saved.append(figure)
        save(figure, *arguments, **keywords)

    monkeypatch.setattr(Figure, "savefig", remember)

    def drawn(**changes):
        draw_judgement(dataclasses.replace(GIVEN, **changes), tmp_path)
        assert (tmp_path / ESTIMATES).read_bytes()[:4] == b"\x89PNG"
        return saved[-1]

    return drawn


def intervals(axes):
    """Return (low, high) of each horizontal line, from the top."""
    lines = [c.get_segments()[0] for c in axes.collections if c.get_paths()]
    return [(segment[0, 0], segment[1, 0]) for segment in lines]


def labels(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def names(axes):
    return [text.get_text() for text in axes.get_yticklabels()]


def test_estimates_stand_beside_the_logged_reward_and_the_weights(draw):
    left, right = draw().axes
    assert names(left) == ["DR"]
    assert intervals(left) == [(0.8, 1.0)]
    assert labels(left) == ["logging policy", "rule-based policy, by DR"]
    assert left.get_title() == ""
    assert np.array_equal(right.patches[0].get_data().values, [10, 5])
    assert right.get_title() == "effective sample 500 of 1,000"


def test_a_refusal_is_drawn_as_one(draw):
    left, _ = draw(refusal="too little", estimates={}).axes
    assert left.get_title() == "refused: the log does not support an estimate"
    assert names(left) == []
    assert labels(left) == ["logging policy"]


def test_an_interval_that_does_not_contain_its_estimate_is_drawn_as_it_is(draw):
    """Resampling may leave the estimate outside, or rounding may."""
    rounded = Estimate(0.9, (0.9 + 1e-16, 0.95), 0.2, ZERO, 0.1, ZERO)
    outside = Estimate(0.9, (1.0, 1.1), 0.2, ZERO, 0.1, ZERO)
    left, _ = draw(estimates={"IPS": rounded, "DR": outside}).axes
    assert names(left) == ["IPS", "DR"]
    assert intervals(left) == [rounded.ci95, outside.ci95]
    points = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    assert points == [0.9, 0.9]


def test_without_the_rule_based_policy_its_line_is_missing(draw):
    alone = Estimate(0.9, (0.8, 1.0), 0.2, ZERO, None, None)
    model = dataclasses.replace(alone, for_claims=False)
    left, _ = draw(estimates={"DM": model, "DR": alone}).axes
    assert names(left) == ["DM\n(not for claims)", "DR"]
    assert labels(left) == ["logging policy"]
