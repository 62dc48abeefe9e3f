import json
from pathlib import Path

import pytest

from rl_runner.errors import RunFolderError
from rl_runner.layout import STUDY_BEST, STUDY_START
from rl_runner.runs.find import find_runs


def _experiment(path: Path, *seeds: int) -> Path:
    path.mkdir(parents=True)
    (path / "config.yaml").write_text("name: x\n")
    for seed in seeds:
        run = path / f"seed-{seed}"
        run.mkdir()
        (run / "run.json").write_text(json.dumps({"seed": seed, "status": "finished"}))
    return path


def test_a_run_names_itself(tmp_path: Path):
    experiment = _experiment(tmp_path / "exp", 0, 1)
    assert find_runs(experiment / "seed-1") == [experiment / "seed-1"]


def test_an_experiment_names_its_seeds_in_the_order_of_their_numbers(tmp_path: Path):
    experiment = _experiment(tmp_path / "exp", 10, 9, 100, 0, 1)
    expected = [experiment / f"seed-{seed}" for seed in (0, 1, 9, 10, 100)]
    assert find_runs(experiment) == expected


def test_only_folders_with_a_record_are_runs(tmp_path: Path):
    experiment = _experiment(tmp_path / "exp", 3)
    (experiment / "seed-4").mkdir()
    (experiment / "report").mkdir()
    (experiment / "report" / "run.json").write_text("{}")
    assert find_runs(experiment) == [experiment / "seed-3"]


def test_an_experiment_without_runs_says_so(tmp_path: Path):
    experiment = _experiment(tmp_path / "exp")
    (experiment / "seed-0").mkdir()
    with pytest.raises(RunFolderError, match="no runs yet") as caught:
        find_runs(experiment)
    assert caught.value.problems[0].where == str(experiment)


def test_another_folder_is_neither_a_run_nor_an_experiment(tmp_path: Path):
    _experiment(tmp_path / "exp", 0)
    with pytest.raises(RunFolderError, match="Neither a run nor an experiment"):
        find_runs(tmp_path)


def test_a_tuning_study_says_which_experiments_it_leads_to(tmp_path: Path):
    _experiment(tmp_path / "trials" / "trial-0000", 0)
    (tmp_path / STUDY_START).touch()
    with pytest.raises(RunFolderError, match="a tuning study") as caught:
        find_runs(tmp_path)
    (problem,) = caught.value.problems
    assert problem.cure == f"Its trials are experiments: name one below {tmp_path / 'trials'}."
    (tmp_path / STUDY_BEST).touch()
    with pytest.raises(RunFolderError, match="makes an experiment of its winner"):
        find_runs(tmp_path)


def test_a_mistyped_path_gets_a_suggestion(tmp_path: Path):
    _experiment(tmp_path / "cartpole-ppo-0123abcd", 0)
    with pytest.raises(RunFolderError) as caught:
        find_runs(tmp_path / "cartpole-ppo-0123abce")
    (problem,) = caught.value.problems
    assert problem.where == str(tmp_path / "cartpole-ppo-0123abce")
    assert problem.cure == "Did you mean `cartpole-ppo-0123abcd`?"


@pytest.mark.parametrize("path", ["zzz", "no/such/place", "file/below"])
def test_a_path_like_nothing_there_is_sent_to_the_list(tmp_path: Path, path: str):
    _experiment(tmp_path / "cartpole-ppo-0123abcd", 0)
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError) as caught:
        find_runs(tmp_path / path)
    assert caught.value.problems[0].cure == "`rl runs` lists all runs."


def test_a_file_is_not_a_run(tmp_path: Path):
    file = tmp_path / "model.zip"
    file.touch()
    with pytest.raises(RunFolderError):
        find_runs(file)
