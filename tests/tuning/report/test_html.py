import json
from pathlib import Path
from typing import Any

import pytest
from study_documents import CONFIRMED, TRIALS, document

from rl_runner.config import config_from_dict, dump_config
from rl_runner.errors import StudyError
from rl_runner.evaluation.report import write_report
from rl_runner.tuning.report.html import is_study, study_part


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder of a study that has come to its end."""
    study = tmp_path / "pole-tune"
    run = study / "trials" / "trial-0001" / "seed-1000001000"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps({"versions": {"torch": "9.9"}}), encoding="utf-8")
    start = {"name": "pole", "env": {"id": "CartPole-v1"}, "algo": {"name": "ppo"}}
    config = config_from_dict({**start, "train": {"total_timesteps": 50}})
    (study / "start.yaml").write_text(dump_config(config), encoding="utf-8")
    (study / "best.yaml").write_text("name: the-best\n", encoding="utf-8")
    summary(study, winner="trial-0001", confirmed=CONFIRMED, importances={"rate": 1.0})
    return study


def summary(study: Path, **changes: Any) -> None:
    trials = [{**t, "cause": "it <broke>"} if t["outcome"] == "failed" else t for t in TRIALS]
    text = json.dumps({**document(trials, **changes), "seeds_per_trial": 2})
    (study / "summary.json").write_text(text, encoding="utf-8")


def page_of(study: Path) -> str:
    out = study.parent / "report.html"
    write_report([], out, studies=[study_part(study)])
    return " ".join(out.read_text(encoding="utf-8").split())


def test_a_study_is_in_the_report_with_its_pictures_and_what_fresh_seeds_say(folder: Path):
    assert is_study(folder)
    page = page_of(folder)
    assert "<h1>pole-tune on" in page
    assert "Winner: trial-0001</strong>, 4.000 on 2 fresh seeds: its mean is 0.500 higher" in page
    assert "but a difference is not shown" in page
    assert "better than the starting" not in page
    assert "its mean there was 1.000 higher than on fresh seeds" in page
    for picture in ("confirmation", "history", "importances", "slices", "parallel coordinates"):
        assert f'alt="{picture}"' in page
    assert page.index('alt="confirmation"') < page.index('alt="slices"')
    assert "1 trial failed" in page
    assert "it &lt;broke&gt;" in page
    assert "rate=1e-05" in page
    assert "name: the-best" in page
    assert "9.9" in page  # what it ran on
    assert "What was run" not in page  # no experiment beside it


def test_a_winner_by_its_worst_seed_is_not_called_better_where_its_mean_is_worse(folder: Path):
    winner = {**CONFIRMED[1], "gain": -2.5, "gain_ci95": [-4.0, -1.0]}
    summary(folder, winner="trial-0001", confirmed=[CONFIRMED[0], winner])
    page = page_of(folder)
    assert "though its mean is 2.500 worse than the starting config&#39;s" in page
    assert "-2.500 better" not in page
    assert "but a difference is not shown" not in page


def test_a_study_that_was_not_confirmed_says_so(folder: Path):
    summary(folder, best_config="best.yaml")
    assert "too optimistic on average" in page_of(folder)


def test_a_study_in_which_no_candidate_came_through_says_so(folder: Path):
    failed = {**CONFIRMED[1], "scores": [], "seeds": [], "failures": ["seed 1: it broke"]}
    summary(folder, confirmed=[{**failed, "mean": None, "ci95": None, "optimism": None}])
    page = page_of(folder)
    assert "No candidate finished training on every fresh seed" in page
    assert "seed 1: it broke" in page


def test_a_study_that_has_not_come_to_its_end_is_refused(folder: Path):
    (folder / "summary.json").unlink()
    assert is_study(folder)
    with pytest.raises(StudyError, match="at the end of a study"):
        study_part(folder)


def test_a_summary_of_another_version_is_refused(folder: Path):
    summary(folder, format=1)
    with pytest.raises(StudyError, match=r"(?s)Another version.*rewrites the file"):
        study_part(folder)


def test_an_experiment_is_no_study(tmp_path: Path):
    assert not is_study(tmp_path)
