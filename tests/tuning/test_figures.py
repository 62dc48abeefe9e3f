from typing import Any

import pytest

from rl_runner.config.tune import ObjectiveConfig
from rl_runner.errors import StudyError
from rl_runner.tuning.figures import draw_figures
from rl_runner.tuning.report import describe, load_report

Document = dict[str, Any]


def objective(**changes: Any) -> Document:
    base = ObjectiveConfig(**changes)
    direction = "maximize" if base.maximized else "minimize"
    return {**base.model_dump(), "direction": direction, "description": base.measure}


def trial(number: int, outcome: str = "complete", **values: Any) -> Document:
    return {
        "number": number,
        "outcome": outcome,
        "values": {"gamma": 0.9, "network": [64, 64], **values},
        "scores": [float(number)] * 2 if outcome == "complete" else [],
        "seeds": [[number - 1.0, number + 1.0]] if outcome == "complete" else [],
        "curve": [[50, 1.0], [100, float(number)]],
        "seconds": 1.0,
    }


def document(trials: list[Document], **changes: Any) -> Document:
    return {
        "study": "x",
        "total_timesteps": 50,
        "objectives": [objective()],
        "n_trials": {"complete": len(trials)},
        "best_trial": 1,
        "pareto_front": None,
        "winner": None,
        "best_config": None,
        "confirmed": [],
        "importances": {},
        "trials": trials,
        **changes,
    }


CONFIRMED = [
    {
        "candidate": label,
        "values": {},
        "search_scores": searched,
        "scores": [4.0],
        "seeds": [[3.0, 5.0]],
        "mean": 4.0,
        "ci95": [3.0, 5.0],
        "optimism": 1.0,
        "optimism_ci95": None,
        "failures": [],
    }
    for label, searched in (("start", None), ("trial-0001", [5.0]))
]
TRIALS = [
    trial(0, rate=1e-5),
    trial(1, rate=1e-2, network=[8]),
    trial(2, "pruned", rate=1e-3),
    trial(3, "failed"),
    trial(4, "infeasible"),
    trial(5, rate=1e-4, extra=True),
]


def test_a_whole_study_has_every_picture():
    whole = document(
        TRIALS,
        objectives=[objective(), objective(measure="wall_time")],
        pareto_front=[0, 1],
        confirmed=CONFIRMED,
        winner="trial-0001",
        importances={"rate": 0.7, "gamma": 0.3},
    )
    figures = dict(draw_figures(whole))
    assert list(figures) == [
        "history",
        "slices",
        "parallel-coordinates",
        "learning-curves",
        "importances",
        "pareto-front",
        "confirmation",
    ]
    for figure in figures.values():
        figure.canvas.draw()  # warnings, which are errors, come here


@pytest.mark.parametrize(
    "trials", [[], [trial(0, "pruned")], [trial(1)], [trial(0), trial(1)]], ids=str
)
def test_a_small_study_has_the_pictures_that_it_can(trials: list[Document]):
    figures = dict(draw_figures(document(trials)))
    assert ("history" in figures) == any(t["outcome"] == "complete" for t in trials)
    for figure in figures.values():
        figure.canvas.draw()


def test_the_best_so_far_never_gets_worse():
    for measure, best in (("final", [0.0, 1.0, 5.0]), ("wall_time", [0.0, 0.0, 0.0])):
        described = document(TRIALS, objectives=[objective(measure=measure)])
        (axes,) = dict(draw_figures(described))["history"].axes
        (line,) = [line for line in axes.lines if line.get_label() == "best so far"]
        assert list(line.get_ydata()) == best


def test_a_curve_is_cut_where_the_next_seed_begins():
    (axes,) = dict(draw_figures(document([trial(1)])))["learning-curves"].axes
    drawn = [list(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "-"]
    assert drawn[:2] == [[50.0], [100.0]]
    ends = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert ends == [50]


def test_wide_ranges_are_drawn_on_a_logarithmic_scale():
    panels = dict(draw_figures(document(TRIALS)))["slices"].axes
    scales = {axes.get_xlabel(): axes.get_xscale() for axes in panels if axes.get_xlabel()}
    assert scales == {"gamma": "linear", "network": "linear", "rate": "log", "extra": "linear"}


def test_the_text_names_the_winner_and_what_the_search_had_promised():
    told = document(
        TRIALS,
        confirmed=CONFIRMED,
        winner="trial-0001",
        best_config="runs/x/best.yaml",
        importances={"rate": 1.0},
    )
    text = "\n".join(describe(told))
    assert "trial-0001: 4 on fresh seeds (3 to 5); the search had 5." in text
    assert "Winner: trial-0001, in runs/x/best.yaml." in text
    assert "rate 1.00" in text
    failed = {**CONFIRMED[1], "scores": [], "failures": ["seed 1: it broke"]}
    assert "it broke" in "\n".join(describe(document(TRIALS, confirmed=[failed])))
    unconfirmed = describe(document(TRIALS, best_config="runs/x/best.yaml"))
    assert "Not confirmed: trial 1" in "\n".join(unconfirmed)


def test_a_study_without_a_summary_has_no_report(tmp_path: Any):
    with pytest.raises(StudyError, match="at the end of a study"):
        load_report(tmp_path)
