import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch
from picture_checks import assert_no_text_is_cut

from rl_runner.evaluation.pictures.plot_style import PHONE, WIDE, Paper
from rl_runner.layout import ESTIMATES
from rl_runner.offline.judging.judgement_plot import draw_judgement, write_judgement
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


def drawn(judgement: Judgement, paper: Paper = WIDE) -> tuple[Axes, Axes]:
    """Return the panels of estimates and of weights, after they were laid out."""
    figure = draw_judgement(judgement, paper)
    assert_no_text_is_cut(figure)
    of_estimates, of_weights = figure.axes
    return of_estimates, of_weights


def bars(axes: Axes) -> list[tuple[float, float]]:
    return [tuple(np.asarray(each.get_xdata())) for each in axes.lines if each.get_lw() == 5]


@pytest.mark.parametrize("paper", [WIDE, PHONE], ids=["wide", "phone"])
def test_each_estimate_has_a_row_with_its_interval(paper: Paper):
    estimates = {
        "IPS": Estimate(0.8, (0.5, 1.1), 0.1, ZERO, 0.2, ZERO),
        "DM": Estimate(0.7, (0.6, 0.9), 0.0, ZERO, 0.1, ZERO, for_claims=False),
        "DR": Estimate(0.9, (0.8, 1.0), 0.2, ZERO, 0.1, ZERO),
    }
    axes, weights = drawn(dataclasses.replace(GIVEN, estimates=estimates), paper)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["IPS", "DM\n(not for claims)", "DR"]
    assert bars(axes) == [(0.5, 1.1), (0.6, 0.9), (0.8, 1.0)]
    ticks = [each for each in axes.lines if each.get_marker() == "|"]
    assert [np.asarray(each.get_xdata()).item() for each in ticks] == [0.8, 0.7, 0.9]
    low, high = axes.get_ylim()
    assert low > high  # the first at the top
    lines = {each.get_label(): np.asarray(each.get_xdata())[0] for each in axes.lines}
    assert lines["logging policy"] == 0.7
    assert lines["rule-based policy, by DR"] == pytest.approx(0.8)
    assert weights.get_title() == "effective sample 500 of 1,000"
    (stairs,) = weights.patches
    assert isinstance(stairs, StepPatch)
    assert stairs.get_data().values.tolist() == [10, 5]


def test_a_refusal_says_so_and_shows_the_weights():
    refused = dataclasses.replace(GIVEN, refusal="too little", estimates={})
    axes, weights = drawn(refused)
    assert axes.get_title() == "refused: the log does not support an estimate"
    assert bars(axes) == []
    assert weights.patches


def test_an_interval_beside_its_estimate_is_drawn_all_the_same():
    """Resampling may leave the estimate outside, or rounding may."""
    odd = Estimate(0.9, (0.9 + 1e-16, 0.95), 0.2, ZERO, 0.1, ZERO)
    beside = Estimate(0.9, (1.0, 1.1), 0.2, ZERO, 0.1, ZERO)
    axes, _ = drawn(dataclasses.replace(GIVEN, estimates={"IPS": odd, "DR": beside}))
    assert bars(axes) == [odd.ci95, beside.ci95]


def test_without_the_rule_based_policy_its_line_is_missing():
    alone = Estimate(0.9, (0.8, 1.0), 0.2, ZERO, None, None)
    axes, _ = drawn(dataclasses.replace(GIVEN, estimates={"DR": alone}))
    named = {each.get_label() for each in axes.lines}
    assert "logging policy" in named
    assert "rule-based policy, by DR" not in named


def test_the_picture_is_a_file_of_the_run(tmp_path: Path):
    write_judgement(GIVEN, tmp_path)
    assert (tmp_path / ESTIMATES).read_bytes()[:4] == b"\x89PNG"
