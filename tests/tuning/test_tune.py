import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from rl_runner.config import ExperimentConfig, config_from_dict, dump_config, load_config
from rl_runner.errors import DiskFullError, StudyError
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.training.resolve import resolve
from rl_runner.tuning import tune as whole_study
from rl_runner.tuning.report.study_report import load_report
from rl_runner.tuning.report.study_summary import TuneResult
from rl_runner.tuning.study_reporter import StudyReporter, TrialReport
from rl_runner.tuning.tune import tune

# The fixture `undisturbed` is built before this one, so that its study has pictures.
pytestmark = pytest.mark.usefixtures("without_pictures")

HERE = Path(__file__).parent
TRAINING_TESTS = HERE.parent / "training"
CLIFF: dict[str, Any] = {
    "name": "cliff",
    "env": {"id": "CliffWalking-v1", "time_limit": 20},
    "algo": {"name": "q_learning"},
    "train": {"total_timesteps": 120, "seeds": 2},
    "eval": {"every": 40, "n_episodes": 2, "final_episodes": 2},
}
TINY = {"trials": 4, "seeds": 2, "startup_trials": 2, "confirm": {"trials": 1, "seeds": 2}}
Study = Callable[..., ExperimentConfig]


def study(**tuned: Any) -> ExperimentConfig:
    return config_from_dict({**CLIFF, "tune": {**TINY, **tuned}})


def reports(result: TuneResult) -> list[TrialReport]:
    """Return the trials without how long they took."""
    return [replace(trial, seconds=0.0) for trial in result.trials]


def modified(folder: Path) -> dict[str, int]:
    records = sorted(folder.glob("*/*/seed-*/run.json"))
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in records}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> TuneResult:
    """Give a study that ran to its end, one run at a time; do not change it."""
    return tune(study(), runs_dir=tmp_path_factory.mktemp("runs"), jobs=1)


def test_a_study_ends_with_a_config_that_is_ready_to_be_trained(undisturbed: TuneResult):
    assert [trial.number for trial in undisturbed.trials] == [0, 1, 2, 3]
    assert not undisturbed.stopped
    assert undisturbed.winner is not None
    assert undisturbed.best_config is not None
    best = load_config(undisturbed.best_config)
    assert best.tune is None
    assert best == resolve(best).config  # complete: every default is written out
    assert best.train.seeds == (0, 1)
    assert best.name == "cliff"
    start = resolve(load_config(undisturbed.path / "start.yaml")).config
    assert start.tune is not None
    assert start.tune.parameters
    for name, value in undisturbed.winner.candidate.values.items():
        assert best.algo.hyperparameters[name] == value


def test_each_trial_has_run_folders_and_hparams(undisturbed: TuneResult):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for trial in undisturbed.complete:
        folder = undisturbed.path / "trials" / f"trial-{trial.number:04d}"
        runs = sorted(folder.glob("seed-*"))
        assert len(runs) == len(trial.seeds[0]) == 2
        config = load_config(folder)
        assert [f"seed-{seed}" for seed in config.train.seeds] == [run.name for run in runs]
        events = EventAccumulator(str(folder)).Reload()
        assert events.Scalars("tune/final")[0].value == pytest.approx(trial.scores[0])
        assert "_hparams_/session_start_info" in events.PluginTagToContent("hparams")


def test_no_seed_of_the_search_is_one_of_the_confirmation(undisturbed: TuneResult):
    def seeds_in(place: str) -> list[int]:
        folders = undisturbed.path.glob(f"{place}/*/seed-*")
        return [int(folder.name.removeprefix("seed-")) for folder in folders]

    searched, fresh = seeds_in("trials"), seeds_in("confirm")
    assert len(set(searched)) == len(searched)
    assert len(set(fresh)) == 2
    assert len(fresh) == 4  # the starting config and a trial
    assert not set(searched) & set(fresh)
    assert not {0, 1} & {*searched, *fresh}


def test_the_report_can_be_had_without_the_storage(undisturbed: TuneResult):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    report = load_report(undisturbed.path)
    assert report.document == json.loads(json.dumps(undisturbed.summary.to_json()))
    assert {"history", "slices", "parallel-coordinates", "confirmation"} <= set(report.figures)
    pictures = {path.stem for path in (undisturbed.path / "figures").glob("*.png")}
    assert pictures == set(report.figures)
    assert "Winner" in report.text
    events = EventAccumulator(str(undisturbed.path)).Reload()
    assert set(events.Tags()["images"]) == {f"tune/{name}" for name in pictures}


def test_the_same_call_again_trains_nothing(undisturbed: TuneResult):
    before = modified(undisturbed.path)
    again = tune(study(), runs_dir=undisturbed.path.parent, jobs=1)
    assert modified(undisturbed.path) == before
    assert again.summary == undisturbed.summary


@pytest.mark.slow
def test_the_same_seed_gives_the_same_trials_also_if_there_were_fewer_at_first(
    undisturbed: TuneResult, tmp_path: Path
):
    few = tune(study(trials=1, confirm={"trials": 0}), runs_dir=tmp_path, jobs=1)
    more = tune(study(confirm={"trials": 0}), runs_dir=tmp_path, jobs=1)
    assert few.path == more.path
    assert reports(few) == reports(undisturbed)[:1]
    assert reports(more) == reports(undisturbed)
    assert more.winner is None
    assert more.best_config is not None
    assert "not confirmed" in more.best_config.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_study_that_was_killed_resumes_as_if_nothing_had_happened(
    undisturbed: TuneResult, tmp_path: Path
):
    config = tmp_path / "cliff.yaml"
    config.write_text(dump_config(study()), encoding="utf-8")
    command = [sys.executable, "-m", "rl_runner", "tune", str(config), "--jobs", "1"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    for _ in range(2400):  # until the third trial is under way
        if list(tmp_path.glob("runs/*/trials/trial-0002/seed-*/episodes.csv")):
            break
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    (journal,) = tmp_path.glob("runs/*/study.journal")
    with journal.open("a", encoding="utf-8") as file:
        file.write('{"op_code": 5, "worker')  # the line it was writing
    result = tune(load_config(config), runs_dir=tmp_path / "runs", jobs=1)
    assert reports(result) == reports(undisturbed)
    assert result.summary.confirmed == undisturbed.summary.confirmed


def test_a_trial_that_was_cut_off_while_it_was_drawn_is_drawn_to_its_end(
    undisturbed: TuneResult, tmp_path: Path
):
    journal = undisturbed.path / "study.journal"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    drawn = [i for i, line in enumerate(lines) if '"param_name"' in line]
    last = [i for i in drawn if json.loads(lines[i])["trial_id"] == 3]
    assert len(last) > 3
    folder = tmp_path / undisturbed.path.name
    folder.mkdir()
    cut = "".join(lines[: last[1] + 1])
    (folder / "study.journal").write_text(cut, encoding="utf-8")
    result = tune(study(confirm={"trials": 0}), runs_dir=tmp_path, jobs=1)
    assert reports(result) == reports(undisturbed)


def test_a_run_that_ended_after_the_search_was_killed_is_heard_afterwards(
    undisturbed: TuneResult, tmp_path: Path
):
    folder = tmp_path / undisturbed.path.name
    shutil.copytree(undisturbed.path, folder)
    journal = folder / "study.journal"
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True)
    reported_last = [i for i, line in enumerate(lines) if '"trial_id":3,"step":40,' in line]
    journal.write_text("".join(lines[: reported_last[0] + 1]), encoding="utf-8")
    result = tune(study(confirm={"trials": 0}), runs_dir=tmp_path, jobs=1)
    assert reports(result) == reports(undisturbed)


class Interrupting(StudyReporter):
    """Asks for a stop, as Ctrl-C does, when the first trial has ended."""

    def trial_ended(self, trial: TrialReport) -> None:
        if trial.number == 0:
            signal.raise_signal(signal.SIGINT)


def test_a_study_that_is_interrupted_resumes(undisturbed: TuneResult, tmp_path: Path):
    config = study(confirm={"trials": 0})
    stopped = tune(config, runs_dir=tmp_path, jobs=1, reporter=Interrupting())
    assert stopped.stopped
    assert stopped.best_config is None
    assert len(stopped.complete) < 4
    assert reports(tune(config, runs_dir=tmp_path, jobs=1)) == reports(undisturbed)


def misbehaving(marker: Path, what: str, **tuned: Any) -> ExperimentConfig:
    wrapper = {"name": "misbehaving.Misbehaving", "kwargs": {"marker": str(marker), "what": what}}
    raw = {**CLIFF, "env": {**CLIFF["env"], "wrappers": [wrapper]}}
    raw["tune"] = {**TINY, "trials": 2, "seeds": 1, "confirm": {"trials": 0}, **tuned}
    return config_from_dict(raw)


@pytest.fixture
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TRAINING_TESTS))


@pytest.mark.usefixtures("_importable")
def test_a_bug_is_a_failure_with_its_cause_and_no_result(tmp_path: Path):
    config = misbehaving(tmp_path / "marker", "raise")
    result = tune(config, runs_dir=tmp_path / "runs", jobs=1)
    failed, complete = result.trials
    assert (failed.outcome, complete.outcome) == ("failed", "complete")
    assert "the environment broke" in failed.cause
    assert failed.scores == ()
    assert result.complete == [complete]
    storage = optuna.storages.JournalStorage(
        optuna.storages.journal.JournalFileBackend(str(result.path / "study.journal"))
    )
    states = [t.state.name for t in optuna.load_study(study_name=None, storage=storage).trials]
    assert states == ["FAIL", "COMPLETE"]


@pytest.mark.usefixtures("_importable")
@pytest.mark.parametrize("how", ["kill", "terminate"])
def test_a_run_that_a_signal_ended_is_tried_again(tmp_path: Path, how: str):
    config = misbehaving(tmp_path / "marker", how)
    result = tune(config, runs_dir=tmp_path / "runs", jobs=1)
    assert (tmp_path / "marker").exists()
    assert [trial.outcome for trial in result.trials] == ["complete", "complete"]


@pytest.mark.usefixtures("_importable")
def test_a_full_disk_is_no_trials_failure(tmp_path: Path):
    marker = tmp_path / "marker"
    config = misbehaving(marker, "fill")
    with pytest.raises(DiskFullError, match=r"seed-1000000000\n.*full") as caught:
        tune(config, runs_dir=tmp_path / "runs", jobs=1)
    assert "same command again" in caught.value.problems[0].cure
    result = tune(config, runs_dir=tmp_path / "runs", jobs=1)
    assert [trial.outcome for trial in result.trials] == ["complete", "complete"]
    assert [trial.number for trial in result.trials] == [0, 1]


@pytest.mark.usefixtures("_importable")
def test_a_full_disk_makes_no_candidate_lose(tmp_path: Path):
    marker = tmp_path / "marker"
    marker.touch()  # the search behaves
    tune(misbehaving(marker, "fill"), runs_dir=tmp_path / "runs", jobs=1)
    marker.unlink()
    config = misbehaving(marker, "fill", confirm={"trials": 1, "seeds": 2})
    with pytest.raises(DiskFullError, match="confirm/start/seed-2000000000"):
        tune(config, runs_dir=tmp_path / "runs", jobs=1)
    result = tune(config, runs_dir=tmp_path / "runs", jobs=1)
    assert [len(item.seeds[0]) for item in result.confirmed] == [2, 2]


def test_a_trial_has_not_ended_if_the_disk_is_full_for_its_hparams(
    undisturbed: TuneResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from stable_baselines3.common.logger import TensorBoardOutputFormat

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    config = study(confirm={"trials": 0})
    with monkeypatch.context() as patch:
        patch.setattr(TensorBoardOutputFormat, "write", refuse)
        with pytest.raises(DiskFullError, match="trial-0000\nCannot write: No space left"):
            tune(config, runs_dir=tmp_path, jobs=1)
    result = tune(config, runs_dir=tmp_path, jobs=1)
    assert reports(result) == reports(undisturbed)
    (events,) = (result.path / "trials" / "trial-0000").glob("events.out.tfevents*")
    assert events.stat().st_size > 200


class AfterTheFirst(optuna.pruners.BasePruner):
    """Finds every trial but the first hopeless."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        del study
        return trial.number > 0


def test_a_hopeless_trial_ends_at_once_and_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(whole_study, "build_pruner", lambda *_: AfterTheFirst())
    config = config_from_dict(
        {
            **CLIFF,
            "train": {"total_timesteps": 40_000},
            "eval": {"every": 2_000, "n_episodes": 1, "final_episodes": 1},
            "checkpoint": {"every": 20_000},
            "tune": {**TINY, "trials": 2, "seeds": 1, "confirm": {"trials": 0}},
        }
    )
    result = tune(config, runs_dir=tmp_path, jobs=1)
    first, second = result.trials
    assert (first.outcome, second.outcome) == ("complete", "pruned")
    assert len(second.curve) == 1
    (record,) = (result.path / "trials" / "trial-0001").glob("seed-*/run.json")
    assert json.loads(record.read_text(encoding="utf-8"))["status"] == "pruned"
    assert result.complete == [first]


def test_what_cannot_be_trained_is_infeasible_and_takes_no_trial_away(tmp_path: Path):
    exponential = {
        "exploration_schedule": {"type": "categorical", "choices": ["exponential"]},
        "exploration_final_eps": {"type": "categorical", "choices": [0.0, 0.1]},
    }
    config = study(trials=3, seeds=1, search_space=exponential, confirm={"trials": 0})
    result = tune(config, runs_dir=tmp_path, jobs=2)
    infeasible = [trial for trial in result.trials if trial.outcome == "infeasible"]
    assert infeasible
    assert all("exponential schedule" in trial.cause for trial in infeasible)
    assert all(trial.values["exploration_final_eps"] == 0.0 for trial in infeasible)
    assert len(result.complete) == 3


@pytest.mark.slow
def test_several_objectives_give_a_front(tmp_path: Path):
    config = study(
        trials=3, seeds=1, objective=["final", "wall_time"], confirm={"trials": 1, "seeds": 1}
    )
    result = tune(config, runs_dir=tmp_path, jobs=2)
    assert all(len(trial.scores) == 2 for trial in result.complete)
    front = result.summary.pareto_front
    scores = {trial.number: trial.scores for trial in result.complete}
    for number in front:
        final, seconds = scores[number]
        assert not any(f > final and s < seconds for f, s in scores.values())
    assert "pareto-front" in load_report(result.path).figures


def test_another_config_under_the_same_name_is_refused(tmp_path: Path):
    small = {"trials": 1, "seeds": 1, "confirm": {"trials": 0}}
    tune(study(**small), runs_dir=tmp_path, jobs=1, study="mine")
    before = modified(tmp_path)
    other = config_from_dict({**CLIFF, "algo": {"name": "q_learning", "gamma": 0.5}})
    with pytest.raises(StudyError, match=r"algo\.gamma was 0\.99 and is 0\.5"):
        tune(other, runs_dir=tmp_path, jobs=1, study="mine")
    assert modified(tmp_path) == before


@pytest.mark.parametrize("in_database", [False, True])
def test_an_experiments_folder_is_not_made_a_study(tmp_path: Path, in_database: bool):
    from rl_runner import train

    experiment = train(config_from_dict(CLIFF), runs_dir=tmp_path, seeds=[0]).path
    before = sorted(tmp_path.rglob("*"))
    url = f"sqlite:///{tmp_path}/optuna.db" if in_database else None
    with pytest.raises(StudyError, match="an experiment's folder"):
        tune(study(), runs_dir=tmp_path, jobs=1, study=experiment.name, storage=url)
    assert sorted(tmp_path.rglob("*")) == before


class Claiming(StudyReporter):
    """Tries the same study once more while it is under way."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.refusal = ""

    def trial_started(self, number: int, values: Mapping[str, Any]) -> None:
        del number, values
        code = f"""
from rl_runner.tuning.study.study_folder import StudyFolder
from pathlib import Path
(path,) = Path({str(self.runs_dir)!r}).glob("cliff-*")
StudyFolder(path).claim()
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        self.refusal = done.stderr


def test_two_processes_do_not_share_a_file(tmp_path: Path):
    reporter = Claiming(tmp_path)
    config = study(trials=1, seeds=1, confirm={"trials": 0})
    tune(config, runs_dir=tmp_path, jobs=1, reporter=reporter)
    assert "Another `rl tune` is running this study" in reporter.refusal
    assert "--storage" in reporter.refusal


def test_after_the_time_no_trial_begins(tmp_path: Path):
    with pytest.raises(StudyError, match="No trial was completed"):
        tune(study(), runs_dir=tmp_path, jobs=1, timeout=0.0)


@pytest.mark.usefixtures("_importable")
def test_a_search_in_which_everything_fails_gives_up(tmp_path: Path):
    wrapper = {"name": "misbehaving.Hopeless"}
    raw = {**CLIFF, "env": {**CLIFF["env"], "wrappers": [wrapper]}}
    config = config_from_dict({**raw, "tune": {**TINY, "trials": 50, "seeds": 1}})
    with pytest.raises(StudyError, match="All 5 trials failed") as caught:
        tune(config, runs_dir=tmp_path, jobs=1)
    assert "always breaks" in str(caught.value)


@pytest.mark.usefixtures("_importable")
def test_a_search_that_gave_up_resumes_once_its_environment_is_corrected(tmp_path: Path):
    marker = tmp_path / "marker"
    wrapper = {"name": "misbehaving.Broken", "kwargs": {"marker": str(marker)}}
    raw = {**CLIFF, "env": {**CLIFF["env"], "wrappers": [wrapper]}}
    tuned = {**TINY, "trials": 7, "seeds": 1, "confirm": {"trials": 0}}
    config = config_from_dict({**raw, "tune": tuned})
    marker.touch()
    with pytest.raises(StudyError, match="All 5 trials failed"):
        tune(config, runs_dir=tmp_path / "runs", jobs=1)
    marker.unlink()
    result = tune(config, runs_dir=tmp_path / "runs", jobs=1)
    assert result.counts == {"failed": 5, "complete": 2}


@pytest.mark.usefixtures("_importable")
def test_returns_that_are_no_numbers_are_a_failure_and_not_pruned(tmp_path: Path):
    wrapper = {"name": "misbehaving.NotANumber"}
    raw = {**CLIFF, "env": {**CLIFF["env"], "wrappers": [wrapper]}}
    config = config_from_dict({**raw, "tune": {**TINY, "trials": 50, "seeds": 1}})
    with pytest.raises(StudyError, match="All 5 trials failed"):
        tune(config, runs_dir=tmp_path, jobs=1)


class Holding(StudyReporter):
    """Holds the run of the first trial, as one does whose launcher was killed, until it is met."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self.met = False

    def trial_started(self, number: int, values: Mapping[str, Any]) -> None:
        del values
        if number == 0:
            (trial,) = self.runs_dir.glob("*/trials/trial-0000")
            seed = load_config(trial).train.seeds[0]
            self.run = ExperimentFolder(trial, "q_table.npz").run(seed)
            assert self.run.claim()

    def note(self, text: str) -> None:
        if "another process" in text:
            self.met = True
            self.run.release()


def test_a_trial_waits_for_a_run_that_a_killed_session_is_still_at(tmp_path: Path):
    reporter = Holding(tmp_path)
    config = study(trials=1, seeds=1, confirm={"trials": 0})
    result = tune(config, runs_dir=tmp_path, jobs=1, reporter=reporter)
    assert reporter.met
    assert result.counts == {"complete": 1}


def test_a_space_of_single_values_has_no_importances(tmp_path: Path):
    single = {"gamma": {"type": "categorical", "choices": [0.9]}}
    config = study(trials=4, seeds=1, search_space=single, confirm={"trials": 0})
    assert tune(config, runs_dir=tmp_path, jobs=1).importances == {}
