import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from rl_runner.cli.commands.tune import PRUNERS, SAMPLERS, _seconds
from rl_runner.cli.display import study_results
from rl_runner.cli.display.console import interval
from rl_runner.cli.display.study_progress import LineReporter, LiveReporter, short, sparkline
from rl_runner.config.tune import Pruner, Sampler
from rl_runner.errors import ConfigError
from rl_runner.runs.record import RunRecord
from rl_runner.runs.study_summary import ConfirmedSummary, ObjectiveSummary, StudySummary
from rl_runner.training.reporting import Evaluated, Progress, RunId
from rl_runner.tuning.study_reporter import StudyPlan, TrialReport

CONFIG = """
    name: cliff
    env: {id: CliffWalking-v1, time_limit: 20}
    algo: {name: q_learning}
    train: {total_timesteps: 80, seeds: 1}
    eval: {every: 40, n_episodes: 1, final_episodes: 1}
    tune:
      trials: 2
      seeds: 1
      confirm: {trials: 1, seeds: 2}
      search_space:
        gamma: {type: categorical, choices: [0.9, 0.99]}
"""


def confirmed(**results: Any) -> ConfirmedSummary:
    """Give the second trial's results on fresh seeds; what is not named is missing."""
    nothing = dict.fromkeys(("mean", "ci95", "gain", "gain_ci95", "optimism", "optimism_ci95"))
    return ConfirmedSummary(
        **{
            "candidate": "trial-0001",
            "values": {},
            "search_scores": (5.0,),
            "scores": (4.0,),
            "seeds": ((4.0,),),
            "failures": (),
            **nothing,
            **results,
        }
    )


@pytest.mark.parametrize(
    ("over_seeds", "columns", "row"),
    [
        ("mean", ["search", "fresh seeds", "95 %"], ["5.000", "4.000", "—"]),
        ("worst", ["search", "fresh seeds", "mean"], ["5.000", "3.000", "4.000"]),
    ],
)
def test_the_number_that_decides_is_shown_beside_the_mean(
    monkeypatch: pytest.MonkeyPatch, over_seeds: str, columns: list[str], row: list[str]
):
    drawn: list[Any] = []
    monkeypatch.setattr(study_results, "table", lambda *arguments: drawn.append(arguments))
    monkeypatch.setattr(study_results, "show", lambda _: None)
    fresh = 4.0 if over_seeds == "mean" else 3.0
    summary: Any = SimpleNamespace(
        objectives=[SimpleNamespace(over_seeds=over_seeds)],
        confirmed=[confirmed(scores=(fresh,), mean=4.0, optimism=1.0)],
    )
    study_results._show_confirmed(summary)
    ((names, rows, _),) = drawn
    assert [name.removeprefix(">") for name in names[1:4]] == columns
    assert rows[0][1:4] == row
    assert len(rows[0]) == len(names)


@pytest.mark.slow
def test_a_study_is_run_reported_and_resumed(rl: Any, write_yaml: Any):
    config = write_yaml(CONFIG, "cliff.yaml")
    outcome = rl("tune", config, "--jobs", 1, "--json", "--study", "mine")
    assert outcome.exit_code == 0, outcome.stderr
    document = outcome.document
    assert document["n_trials"] == {"complete": 2}
    start = document["confirmed"][0]
    assert start["candidate"] == "start"
    assert len(start["seeds"][0]) == 2
    assert "trial 0:" in outcome.stderr
    assert "best so far" in outcome.stderr
    best = Path(document["best_config"])
    assert best == Path("runs/mine/best.yaml")
    assert rl("check", best).exit_code == 0
    assert rl("train", best, "-q", "--seeds", 1).exit_code == 0

    page = rl("report", "runs/mine", "--out", "study.html")
    assert page.exit_code == 0, page.stderr
    assert "1 search → study.html" in page.stderr
    assert "Confirmed on fresh seeds" in Path("study.html").read_text(encoding="utf-8")

    again = rl("tune", config, "--jobs", 1, "--study", "mine")
    assert again.exit_code == 0
    assert "2 trials completed earlier" in again.stderr
    assert "Confirmed on fresh seeds" in again.stdout
    assert "Ready for `rl train`" in again.stdout
    assert "gamma=0.9" in again.stdout

    more = rl("tune", config, "--trials", 3, "--confirm", 0, "-q", "--json", "--study", "mine")
    assert more.document["n_trials"] == {"complete": 3}
    assert more.document["confirmed"] == []
    assert more.stderr == ""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--set", "tune.search_space.gamma.choices=[]"], "at least one"),
        (["--set", "tune.search_space.gama={type: float, low: 0, high: 1}"], "Unknown key `gama`"),
        (["--set", "tune.search_space.gamma={type: float, low: 1, high: 0}"], "above"),
        (["--set", "tune.search_space={}"], "empty"),
        (["--set", "tune.search_space.gamma.choices=[2.0]"], "less than or equal to 1"),
        (["--set", "tune.smapler=tpe"], "Did you mean `sampler`?"),
        (["--timeout", "soon"], "is not a duration"),
        (["--timeout", "0"], "is not a duration"),
        (["--storage", "nonsense"], "cannot be used"),
        (["--study", "../elsewhere"], "is not a valid name for a study"),
    ],
)
def test_a_mistake_is_explained_and_nothing_is_written(
    rl: Any, write_yaml: Any, tmp_path: Path, options: list[str], expected: str
):
    outcome = rl("tune", write_yaml(CONFIG, "cliff.yaml"), *options)
    assert outcome.exit_code == 2
    assert expected in outcome.message
    assert outcome.stdout == ""
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("option", "right"), [("--sampler", "random"), ("--pruner", "median")])
def test_a_misspelt_choice_is_met_with_the_right_one(
    rl: Any, write_yaml: Any, option: str, right: str
):
    outcome = rl("tune", write_yaml(CONFIG, "cliff.yaml"), option, right[:-1])
    assert outcome.exit_code == 2
    assert f"Did you mean `{right}`?" in outcome.message


def test_the_help_lists_every_sampler_and_pruner():
    assert SAMPLERS.split("|") == list(get_args(Sampler))
    assert PRUNERS.split("|") == list(get_args(Pruner))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86_400)],
)
def test_a_length_of_time_has_a_unit(text: str | None, seconds: float | None):
    assert _seconds(text) == seconds


def test_a_length_of_time_without_sense_is_refused():
    with pytest.raises(ConfigError):
        _seconds("2 fortnights")


def plan(**changes: Any) -> StudyPlan:
    whole = {"n_trials": 4, "n_seeds": 2, "total_timesteps": 100, "objectives": ("final",)}
    return StudyPlan(path=Path("runs/x"), study="x", maximized=True, **{**whole, **changes})


def trial(number: int, *scores: float, outcome: Any = "complete") -> TrialReport:
    return TrialReport(number, {"gamma": 0.9}, outcome, scores, seconds=1.0)


def test_the_best_so_far_is_named(capsys: Any):
    reporter = LineReporter()
    reporter.search_started(plan(done=(trial(0, 3.0),)))
    reporter.trial_ended(trial(1, 2.0))
    reporter.trial_ended(trial(2, 4.0))
    reporter.trial_ended(trial(3, outcome="pruned"))
    lines = capsys.readouterr().err.splitlines()
    assert "1 trial completed earlier" in lines[1]
    assert ["best so far" in line for line in lines[2:]] == [False, True, False]


def test_the_least_is_best_where_less_is_better():
    reporter = LineReporter()
    reporter.search_started(plan())
    assert reporter.plan is not None
    reporter.plan = StudyPlan(**{**vars(reporter.plan), "maximized": False})
    assert [reporter.count(trial(i, score)) for i, score in enumerate((3.0, 4.0, 2.0))] == [
        True,
        False,
        True,
    ]


def test_the_live_display_shows_runs_curves_and_the_whole():
    from rich.console import Console

    reporter = LiveReporter()
    reporter.live.console = Console(width=100, record=True, file=io.StringIO())
    run = RunId("cliff-trial-1", 1_000_001_000)
    reporter.search_started(plan())
    reporter.trial_ended(trial(0, 3.0))
    reporter.run_started(run)
    for mean in (1.0, 2.0, 5.0):
        reporter.run_evaluated(Evaluated(run, 25, mean))
    reporter.run_progress(Progress(run, 50, 100, 1000.0, 2.0, 5.0))
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(reporter.live.renderable)
    text = console.export_text()
    assert "cliff-trial-1 seed 1000001000" in text
    assert "50%" in text
    assert "▁" in text
    assert "█" in text
    assert "1 of 4" in text
    assert " left" in text
    assert "best: trial 0" in text
    reporter.run_ended(run, RunRecord())
    assert reporter.progress == {}
    reporter.close()


def test_a_curve_of_equal_numbers_is_flat():
    assert sparkline([2.0, 2.0]) == "▁▁"
    assert sparkline([]) == ""
    assert sparkline([0.0, 1.0]) == "▁█"


def test_numbers_are_short():
    assert short(0.000123456) == "0.0001235"
    assert short([64, 64]) == "[64, 64]"
    assert interval(None) == "—"
    assert interval((1.0, 2.5)) == "1.000 to 2.500"


@pytest.mark.parametrize(
    ("gain", "ends", "said"),
    [
        (None, None, "Winner: trial-0001. Ready"),
        (
            0.5,
            None,
            "trial-0001: its mean is 0.500 higher than the starting config's, from too few",
        ),
        (0.5, (0.1, 0.9), "trial-0001, 0.500 better than the starting config (95 % interval of"),
        (0.5, (-0.1, 1.1), "-0.100 to 1.100), but a difference is not shown. Ready"),
        (-0.5, None, "0.500 lower than the starting config's, from too few seeds for a claim. R"),
        (-0.5, (-0.9, -0.1), "though its mean is 0.500 worse than the starting config's (95 %"),
    ],
)
def test_the_verdict_says_how_much_better_the_winner_is_and_whether_that_is_sure(
    gain: float | None, ends: tuple[float, float] | None, said: str
):
    candidate = SimpleNamespace(trial=SimpleNamespace(number=1))
    result: Any = SimpleNamespace(winner=SimpleNamespace(candidate=candidate))
    summary = StudySummary(
        study="x",
        path="runs/x",
        stopped=False,
        total_timesteps=50,
        seeds_per_trial=1,
        objectives=(
            ObjectiveSummary(
                measure="final",
                last=1,
                threshold=None,
                over_seeds="mean",
                direction="maximize",
                description="final",
            ),
        ),
        search_space={},
        n_trials={"complete": 1},
        best_trial=1,
        pareto_front=None,
        winner="trial-0001",
        best_config="best.yaml",
        confirmed=(confirmed(gain=gain, gain_ci95=ends),),
        importances={},
        trials=(),
    )
    assert said in study_results.verdict(result, summary)
