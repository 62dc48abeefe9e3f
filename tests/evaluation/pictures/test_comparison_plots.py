"""What the plots of a comparison show: axes, labels, and the data on them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.text import Text
from picture_checks import assert_no_text_is_cut
from synthetic_experiments import write_experiment

from rl_runner.arrays import save_arrays
from rl_runner.evaluation.comparison.compare import Comparison, compare
from rl_runner.evaluation.comparison.confidence_bands import band_of
from rl_runner.evaluation.comparison.experiments import load_experiments
from rl_runner.evaluation.comparison.scales import Scale
from rl_runner.evaluation.pictures.band_plots import (
    draw_learning_curves,
    draw_performance_profiles,
)
from rl_runner.evaluation.pictures.comparison_plots import (
    STATISTICS,
    draw_all,
    draw_intervals,
    draw_probability_of_improvement,
)
from rl_runner.evaluation.pictures.line_labels import spread
from rl_runner.evaluation.pictures.plot_style import COLORS, FAINT, PHONE, WIDE, Paper

SCALE = Scale(20.0, 1.0, 200, 475.0, "reward_threshold", 475.0)
SCORES = ([400.0, 420.0, 440.0, 460.0, 480.0], [100.0, 150.0, 200.0, 250.0, 320.0])


def compared(
    runs_dir: Path, *scores: Sequence[float], scale: Scale | None = None, n_evaluations: int = 10
) -> Comparison:
    paths = [
        write_experiment(runs_dir, f"e{i:02}", each, n_evaluations=n_evaluations)
        for i, each in enumerate(scores)
    ]
    return compare(load_experiments(paths), scale=scale)


def many(n_experiments: int, n_seeds: int = 5) -> list[list[float]]:
    rng = np.random.default_rng(0)
    return [rng.uniform(100, 500, n_seeds).tolist() for _ in range(n_experiments)]


def line(axes: Axes, label: str) -> Line2D:
    (found,) = (each for each in axes.lines if each.get_label() == label)
    return found


def points(drawn: Line2D) -> np.ndarray:
    return np.column_stack([np.asarray(drawn.get_xdata()), np.asarray(drawn.get_ydata())])


def tick_labels(axes: Axes, axis: str) -> list[str]:
    return [text.get_text() for text in getattr(axes, f"get_{axis}ticklabels")()]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([[300.0]], {"learning-curves", "intervals", "performance-profiles"}),
        ([[math.nan, 5.0]], {"learning-curves", "intervals", "performance-profiles"}),
        ([[1.0] * 5], {"learning-curves", "intervals", "performance-profiles"}),
        (
            [[1.0, 2.0], [3.0, 4.0]],
            {"learning-curves", "intervals", "performance-profiles", "probability-of-improvement"},
        ),
    ],
)
def test_every_plot_with_data_is_drawn(
    tmp_path: Path, scores: list[list[float]], expected: set[str]
):
    drawn = dict(draw_all(compared(tmp_path, *scores)))
    assert set(drawn) == expected
    for figure in drawn.values():
        figure.canvas.draw()  # warnings are errors


def test_without_evaluations_there_are_no_learning_curves(tmp_path: Path):
    path = write_experiment(tmp_path, "a", [1.0, 2.0])
    for file in path.glob("seed-*/evaluations.npz"):
        file.unlink()
    names = {name for name, _ in draw_all(compare(load_experiments([path])))}
    assert names == {"intervals", "performance-profiles"}


# --- learning curves ------------------------------------------------------------------------------


def test_learning_curves_are_the_bands_over_timesteps(tmp_path: Path):
    comparison = compared(tmp_path, *SCORES, scale=SCALE)
    figure = draw_learning_curves(comparison)
    (axes,) = figure.axes
    areas = list(axes.collections)
    for row, area, color in zip(comparison.rows, areas, COLORS, strict=False):
        band = band_of(row.experiment, comparison.bounds)
        assert band is not None
        np.testing.assert_array_equal(
            points(line(axes, row.label)), np.column_stack([band.x, band.value])
        )
        # The band and its edges have the colour of the line.
        vertices = np.asarray(area.get_paths()[0].vertices)
        assert vertices[:, 1].min() == band.low.min()
        assert vertices[:, 1].max() == band.high.max()
        assert line(axes, row.label).get_color() == color
        np.testing.assert_array_equal(area.get_facecolor()[0, :3], to_rgb(color))
        heights = [np.asarray(each.get_ydata()) for each in axes.lines if each.get_color() == color]
        for edge in (band.low, band.high):
            assert any(np.array_equal(edge, height) for height in heights)
    assert len(areas) == 2
    assert axes.get_xlim() == (0, 1000)
    assert axes.get_xlabel() == "timesteps"
    assert axes.get_ylabel() == "return of periodic evaluations (IQM)"
    named = {text.get_text(): text.get_color() for text in axes.texts}
    assert named == {
        "e00": COLORS[0], "e01": COLORS[1], "reward threshold": FAINT, "random policy": FAINT
    }  # fmt: skip
    levels = {name: set(points(line(axes, name))[:, 1]) for name in list(named)[2:]}
    assert levels == {"reward threshold": {475.0}, "random policy": {20.0}}


def test_the_axes_end_where_the_possible_returns_do(tmp_path: Path):
    comparison = compared(tmp_path, [500.0] * 5, [480.0, 490.0, 500.0, 500.0, 500.0])
    assert comparison.bounds is not None
    for figure in (draw_learning_curves(comparison), draw_learning_curves(comparison, PHONE)):
        low, high = figure.axes[0].get_ylim()
        assert comparison.bounds.low - 20 < low
        assert high < comparison.bounds.high + 20
        assert high > comparison.bounds.high  # a line at the ceiling is seen
    for axes in draw_intervals(comparison).axes:
        assert axes.get_xlim()[1] < comparison.bounds.high + 20


def test_the_last_two_evaluations_of_a_rollout_make_no_spike(tmp_path: Path):
    path = write_experiment(tmp_path, "e", [400.0] * 5)
    for file in path.glob("seed-*/evaluations.npz"):
        timesteps = np.array([0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1024])
        returns = np.append(np.linspace(0, 400, 11), 100.0)[:, None]
        save_arrays(file, {"timesteps": timesteps, "returns": returns})
    (axes,) = draw_learning_curves(compare(load_experiments([path]))).axes
    drawn = points(line(axes, "e"))
    assert drawn[:, 0].tolist() == list(range(0, 1001, 100))
    assert drawn[-1, 1] == 100.0  # the last agent's


@pytest.mark.parametrize("n_experiments", [4, 6])
def test_many_experiments_get_a_panel_each_with_the_others_behind(
    tmp_path: Path, n_experiments: int
):
    comparison = compared(tmp_path, *many(n_experiments))
    figure = draw_learning_curves(comparison)
    assert [axes.get_title() for axes in figure.axes] == [row.label for row in comparison.rows]
    for axes, row in zip(figure.axes, comparison.rows, strict=True):
        band = band_of(row.experiment, comparison.bounds)
        assert band is not None
        np.testing.assert_array_equal(points(line(axes, row.label))[:, 1], band.value)
        (area,) = axes.collections
        assert len(area.get_paths()) == 1
        thin = [each.get_color() for each in axes.lines if each.get_alpha() == 0.5]
        assert thin == list(COLORS[:n_experiments])
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


LONG = "a-rather-long-name-of-an-experiment-with-recurrent-ppo"


@pytest.mark.parametrize("paper", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("n_experiments", [1, 3, 8])
def test_no_text_is_cut_and_no_label_covers_another(
    tmp_path: Path, n_experiments: int, paper: Paper
):
    paths = [
        write_experiment(tmp_path, f"{LONG}-{i}" if i < 2 else f"e{i}", each)
        for i, each in enumerate(many(n_experiments))
    ]
    comparison = compare(load_experiments(paths), scale=SCALE)
    for name, figure in draw_all(comparison, paper):
        renderer = assert_no_text_is_cut(figure, name)
        for axes in figure.axes if name == "learning-curves" else ():
            beside = [Text.get_window_extent(text, renderer) for text in axes.texts]
            assert not any(a.overlaps(b) for a, b in itertools.combinations(beside, 2))


def test_more_experiments_than_colours_share_one(tmp_path: Path):
    figure = draw_learning_curves(compared(tmp_path, *many(len(COLORS) + 1, n_seeds=2)))
    for axes in figure.axes:
        assert line(axes, axes.get_title()).get_color() == COLORS[0]
        assert {each.get_color() for each in axes.lines if each.get_lw() == 0.7} > {FAINT}


def test_budgets_that_differ_widely_share_a_logarithmic_axis(tmp_path: Path):
    paths = [
        write_experiment(tmp_path, name, SCORES[0], total_timesteps=budget)
        for name, budget in (("long", 50_000), ("short", 1000))
    ]
    (axes,) = draw_learning_curves(compare(load_experiments(paths))).axes
    assert axes.get_xscale() == "symlog"
    assert axes.get_xlabel() == "timesteps (logarithmic)"
    assert axes.xaxis.get_major_formatter()(50_000, 0) == "50k"
    assert axes.get_xlim() == (0, 50_000)  # an agent's evaluation before training has its place
    assert axes.get_xticks().tolist() == [0, 100, 1000, 10_000]


def test_with_few_seeds_every_run_is_drawn(tmp_path: Path):
    scores = [200.0, 250.0, 300.0]
    (axes,) = draw_learning_curves(compared(tmp_path, scores)).axes
    runs = [each for each in axes.lines if each.get_lw() == 0.7]
    assert sorted(points(each)[-1, 1] for each in runs) == scores
    assert {each.get_color() for each in runs} == {COLORS[0]}


@pytest.mark.parametrize("n_seeds", [1, 2, 5])
@pytest.mark.parametrize("n_experiments", [1, 6])
def test_a_curve_of_one_evaluation_is_visible(tmp_path: Path, n_experiments: int, n_seeds: int):
    scores = [np.linspace(200, 300, n_seeds).tolist()] * n_experiments
    figure = draw_learning_curves(compared(tmp_path, *scores, n_evaluations=1))
    for axes in figure.axes:
        bare = [each for each in axes.lines if each.get_marker() in {"None", ""}]
        assert axes.lines
        assert not bare
    bars = [
        bar
        for collection in figure.findobj(LineCollection)
        for bar in collection.get_segments()
        if len(bar) == 2 and np.ptp(bar[:, 1]) > 0
    ]
    assert len(bars) == (n_experiments if n_seeds >= 5 else 0)


@pytest.mark.parametrize("n_experiments", [1, 6])
def test_baselines_are_lines_across_the_learning_curves(tmp_path: Path, n_experiments: int):
    scale = replace(SCALE, references={"rule_of_thumb": 111.0})
    scores = [[200.0, 250.0]] * n_experiments
    figure = draw_learning_curves(compared(tmp_path, *scores, scale=scale))
    for axes in figure.axes:
        levels = [np.unique(np.asarray(each.get_ydata())) for each in axes.lines]
        assert sum(level.tolist() == [111.0] for level in levels) == 1
    named = [text.get_text() for text in figure.findobj(Text)]
    assert any("rule of thumb" in text for text in named)


# --- performance profiles -------------------------------------------------------------------------


def test_a_profile_falls_from_all_runs_to_none_within_its_axes(tmp_path: Path):
    comparison = compared(tmp_path, *SCORES)
    (axes,) = draw_performance_profiles(comparison).axes
    for row in comparison.rows:
        drawn = points(line(axes, row.label))
        for level, share in drawn:
            assert share == (row.scores >= level).mean()
        assert {line(axes, row.label).get_marker()} == {"None"}
    assert axes.get_ylim() == (-0.03, 1.03)
    (legend,) = axes.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["e00", "e01"]
    low, high = axes.get_xlim()
    assert low < 100.0
    assert high > 480.0
    assert axes.get_xlabel() == "mean held-out return of the last agent"
    assert axes.get_ylabel() == "share of runs with at least this return"


def test_from_three_on_each_profile_has_a_panel(tmp_path: Path):
    comparison = compared(tmp_path, *SCORES, [300.0, 310.0, 330.0, 410.0, 460.0])
    figure = draw_performance_profiles(comparison)
    assert [axes.get_title() for axes in figure.axes] == ["e00", "e01", "e02"]
    for axes, color in zip(figure.axes, COLORS, strict=False):
        assert line(axes, axes.get_title()).get_color() == color
        (area,) = axes.collections
        np.testing.assert_array_equal(area.get_facecolor()[0, :3], to_rgb(color))


# --- labels of lines ------------------------------------------------------------------------------


@given(st.lists(st.floats(-1, 2), min_size=1, max_size=12))
def test_labels_are_moved_apart_and_keep_their_order(heights: list[float]):
    wanted, sizes = np.array(heights), np.full(len(heights), 0.1)
    placed = spread(wanted, sizes)
    order = np.argsort(wanted, kind="stable")
    assert (np.diff(placed[order]) >= 0.1 - 1e-9).all()
    assert placed.mean() == pytest.approx(wanted.mean())


def test_labels_with_room_stay_where_they_are():
    np.testing.assert_allclose(spread(np.array([0.8, 0.2]), np.array([0.1, 0.2])), [0.8, 0.2])


# --- intervals ------------------------------------------------------------------------------------


def test_intervals_show_every_estimate_its_interval_and_the_runs(tmp_path: Path):
    comparison = compared(tmp_path, *SCORES)
    figure = draw_intervals(comparison)
    titles = [name.replace("_", " ") for name in STATISTICS]
    assert [axes.get_title() for axes in figure.axes] == titles
    assert tick_labels(figure.axes[0], "y") == ["e00", "e01"]
    for axes, name in zip(figure.axes, STATISTICS, strict=True):
        for place, row in enumerate(comparison.rows):
            at = [each for each in axes.lines if set(np.asarray(each.get_ydata())) == {place}]
            (bar,) = (each for each in at if len(np.asarray(each.get_xdata())) == 2)
            (tick,) = (each for each in at if each.get_marker() == "|")
            estimate = getattr(row.aggregates, name)
            assert tuple(np.asarray(bar.get_xdata())) == estimate.ci95
            assert np.asarray(tick.get_xdata()).tolist() == [estimate.value]
        dots = [points(each) for each in axes.lines if each.get_marker() == "o"]
        assert [each[:, 0].tolist() for each in dots] == list(SCORES)
        assert axes.get_ylim() == (1.6, -0.6)  # the first experiment is at the top
    assert "mean held-out return of the last agent" in figure.get_supxlabel()


def test_equal_runs_each_have_a_dot_of_their_own(tmp_path: Path):
    figure = draw_intervals(compared(tmp_path, [200.0] * 5))
    for axes in figure.axes:
        (dots,) = (each for each in axes.lines if each.get_marker() == "o")
        assert len(np.unique(np.asarray(dots.get_ydata()))) == 5
        assert (np.asarray(dots.get_xdata()) == 200.0).all()


# --- probability of improvement -------------------------------------------------------------------


def test_few_pairs_are_listed_with_their_intervals(tmp_path: Path):
    comparison = compared(tmp_path, *SCORES, [300.0, 310.0, 330.0, 410.0, 460.0])
    (axes,) = draw_probability_of_improvement(comparison).axes
    assert tick_labels(axes, "y") == ["e00\nover e01", "e00\nover e02", "e01\nover e02"]
    assert axes.get_xlim() == (-0.03, 1.03)
    ticks = [each for each in axes.lines if each.get_marker() == "|"]
    values = [pair.probability_of_improvement.value for pair in comparison.pairs]
    assert [float(np.asarray(tick.get_xdata())[0]) for tick in ticks] == values


def test_many_pairs_are_a_matrix_with_the_clear_ones_in_bold(tmp_path: Path):
    comparison = compared(tmp_path, *SCORES, *many(4))
    assert len(comparison.pairs) == 15
    axes = draw_probability_of_improvement(comparison).axes[0]
    labels = [row.label for row in comparison.rows]
    assert tick_labels(axes, "y") == tick_labels(axes, "x") == labels
    shown = np.ma.asarray(axes.images[0].get_array()).filled(np.nan)
    bold = {
        (round(text.get_position()[1]), round(text.get_position()[0]))
        for text in axes.texts
        if text.get_fontweight() == "bold"
    }
    expected = set()
    for pair in comparison.pairs:
        i, j = labels.index(pair.first), labels.index(pair.second)
        estimate = pair.probability_of_improvement
        assert shown[i, j] == estimate.value
        assert shown[j, i] == 1 - estimate.value
        if pair.verdict in {"better", "worse"}:
            expected |= {(i, j), (j, i)}
    assert bold == expected
