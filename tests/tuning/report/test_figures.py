import itertools
from typing import Any

import pytest
from picture_checks import assert_no_text_is_cut
from study_documents import CONFIRMED, TRIALS, Document, objective, summary, trial

from rl_runner.errors import StudyError
from rl_runner.evaluation.pictures.plot_style import PHONE, WIDE, Paper
from rl_runner.tuning.report.figures import draw_figures
from rl_runner.tuning.report.study_report import describe, load_report


@pytest.mark.parametrize("paper", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_whole_study_has_every_picture_and_no_text_is_cut(paper: Paper):
    whole = summary(
        TRIALS,
        objectives=[objective(), objective(measure="wall_time")],
        pareto_front=[0, 1],
        confirmed=CONFIRMED,
        winner="trial-0001",
        importances={"rate": 0.7, "gamma": 0.3},
    )
    figures = dict(draw_figures(whole, paper))
    assert list(figures) == [
        "history",
        "slices",
        "parallel-coordinates",
        "learning-curves",
        "importances",
        "pareto-front",
        "confirmation",
    ]
    for name, figure in figures.items():
        assert_no_text_is_cut(figure, name)
        if paper is PHONE:
            assert figure.get_figwidth() == PHONE.width


@pytest.mark.parametrize(
    "trials", [[], [trial(0, "pruned")], [trial(1)], [trial(0), trial(1)]], ids=str
)
def test_a_small_study_has_the_pictures_that_it_can(trials: list[Document]):
    figures = dict(draw_figures(summary(trials)))
    assert ("history" in figures) == any(t["outcome"] == "complete" for t in trials)
    for figure in figures.values():
        figure.canvas.draw()


def test_the_best_so_far_never_gets_worse():
    for measure, best in (("final", [0.0, 1.0, 5.0, 5.0]), ("wall_time", [0.0] * 4)):
        described = summary(TRIALS, objectives=[objective(measure=measure)])
        (axes,) = dict(draw_figures(described))["history"].axes
        (line,) = [line for line in axes.lines if line.get_label() == "best so far"]
        assert list(line.get_ydata()) == best


def test_a_curve_is_cut_where_the_next_seed_begins():
    (axes,) = dict(draw_figures(summary([trial(1)])))["learning-curves"].axes
    drawn = [list(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "-"]
    assert drawn[:2] == [[50.0], [100.0]]
    ends = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert ends == [50]


def test_wide_ranges_are_drawn_on_a_logarithmic_scale():
    panels = dict(draw_figures(summary(TRIALS)))["slices"].axes
    scales = {axes.get_xlabel(): axes.get_xscale() for axes in panels if axes.get_xlabel()}
    assert scales == {"gamma": "linear", "network": "linear", "rate": "log", "extra": "linear"}


def test_what_was_searched_on_a_logarithmic_scale_is_drawn_on_one():
    near = [trial(0, rate=0.1), trial(1, rate=0.2)]
    panels = dict(draw_figures(summary(near)))["slices"].axes
    assert [a.get_xscale() for a in panels if a.get_xlabel() == "rate"] == ["log"]


@pytest.mark.parametrize("high", [6e-4, 9e-4, 4e-3, 4e-2, 4.0])
def test_labels_of_a_logarithmic_axis_do_not_overlap(high: float):
    near = [trial(0, rate=6e-4, second=1), trial(1, rate=high, second=2)]
    figure = dict(draw_figures(summary(near)))["slices"]
    figure.canvas.draw()
    (axes,) = (a for a in figure.axes if a.get_xlabel() == "rate")
    texts = [*axes.get_xticklabels(), *axes.get_xticklabels(minor=True)]
    limits = axes.get_xlim()
    shown = [t for t in texts if t.get_text() and limits[0] <= t.get_position()[0] <= limits[1]]
    boxes = sorted((text.get_window_extent() for text in shown), key=lambda box: box.x0)
    assert boxes
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_trials_are_counted_in_whole_numbers():
    figure = dict(draw_figures(summary([trial(0), trial(1)])))["slices"]
    (scale,) = (axes for axes in figure.axes if axes.get_ylabel() == "trial")
    figure.canvas.draw()
    assert {text.get_text() for text in scale.get_yticklabels()} == {"0", "1"}


def test_panels_without_a_hyperparameter_are_not_there():
    many = [trial(i, rate=0.1 * (i + 1), second=i, third=i) for i in range(2)]
    panels = dict(draw_figures(summary(many)))["slices"].axes
    shown = [axes.get_xlabel() for axes in panels if axes.get_visible() and axes.get_xlabel()]
    assert shown == ["gamma", "network", "rate", "second", "third"]
    assert sum(not axes.get_visible() for axes in panels) == 3


def test_the_text_names_the_winner_and_what_the_search_had_promised():
    described = summary(
        TRIALS,
        confirmed=CONFIRMED,
        winner="trial-0001",
        best_config="runs/x/best.yaml",
        importances={"rate": 1.0},
    )
    text = "\n".join(describe(described))
    assert (
        "trial-0001: 4 on fresh seeds (3 to 5), +0.5 against the start (-1.25 to +2.25); "
        "5 in the search, where its mean was better by +1." in text
    )
    assert "Winner: trial-0001: its mean is 0.5 higher than the starting config's (95 %" in text
    assert "but a difference is not shown. Its config is runs/x/best.yaml." in text
    assert "rate 1.00" in text
    failed = {**CONFIRMED[1], "scores": [], "failures": ["seed 1: it broke"]}
    assert "it broke" in "\n".join(describe(summary(TRIALS, confirmed=[failed])))
    unconfirmed = describe(summary(TRIALS, best_config="runs/x/best.yaml"))
    assert "Not confirmed: trial 1" in "\n".join(unconfirmed)


def test_the_text_tells_the_number_that_decided_from_the_mean():
    worst = {**CONFIRMED[1], "scores": [3.0], "search_scores": [4.5]}
    text = "\n".join(describe(summary(TRIALS, confirmed=[worst])))
    assert "trial-0001: 3 on fresh seeds, whose mean is 4 (3 to 5), +0.5 against" in text


def test_a_study_without_a_summary_has_no_report(tmp_path: Any):
    with pytest.raises(StudyError, match="at the end of a study"):
        load_report(tmp_path)
