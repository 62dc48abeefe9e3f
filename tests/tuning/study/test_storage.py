import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.storages.journal import JournalFileBackend

from rl_runner.config import ExperimentConfig, config_from_dict
from rl_runner.errors import DiskFullError, Problem, StudyError
from rl_runner.tuning.optuna_log import optuna_silenced
from rl_runner.tuning.search import search as searches
from rl_runner.tuning.search.running_trial import RunningTrial
from rl_runner.tuning.study import storage as storages
from rl_runner.tuning.study.study_folder import StudyFolder
from rl_runner.tuning.study_reporter import StudyPlan, StudyReporter
from rl_runner.tuning.tune import tune

pytestmark = pytest.mark.usefixtures("without_pictures")

CLIFF: dict[str, Any] = {
    "name": "cliff",
    "env": {"id": "CliffWalking-v1", "time_limit": 20},
    "algo": {"name": "q_learning"},
    "train": {"total_timesteps": 120, "seeds": 2},
    "eval": {"every": 40, "n_episodes": 2, "final_episodes": 2},
    "tune": {"trials": 2, "seeds": 1, "confirm": {"trials": 0}},
}


def study() -> ExperimentConfig:
    return config_from_dict(CLIFF)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/optuna.db"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql+psycopg://me:secret@127.0.0.1:1/none", "database is running"),
        ("sqlite:////nowhere/at/all.db", "database is running"),
        ("nonsense", "as Optuna does"),
        ("fantasql://me:secret@host/name", "as Optuna does"),
    ],
)
def test_a_storage_that_cannot_be_used_is_named_without_its_password(
    tmp_path: Path, url: str, expected: str
):
    with pytest.raises(StudyError) as caught:
        tune(study(), runs_dir=tmp_path / "runs", storage=url)
    (problem,) = caught.value.problems
    assert expected in problem.cure
    assert "secret" not in str(problem)
    assert url.partition("@")[2] in problem.where
    assert not (tmp_path / "runs").exists()


def test_a_driver_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> None:
        message = "Failed to import DB access module for the specified storage URL."
        raise ImportError(message)

    monkeypatch.setattr(storages, "RDBStorage", refuse)
    with pytest.raises(StudyError) as caught:
        tune(study(), runs_dir=tmp_path, storage="mysql://me@host/name")
    assert "Install its driver" in caught.value.problems[0].cure


def test_an_unfinished_line_of_the_journal_is_taken_back(tmp_path: Path):
    folder = StudyFolder(tmp_path)
    with optuna_silenced():
        optuna.create_study(study_name="mine", storage=storages.open_storage(None, folder))
    whole = folder.journal.read_bytes()
    folder.journal.write_bytes(whole + b'{"op_code": 5, "wor')
    storage = storages.open_storage(None, folder)
    assert folder.journal.read_bytes() == whole
    assert [study.study_name for study in storage.get_all_studies()] == ["mine"]


def test_the_lock_of_a_process_that_was_killed_while_it_wrote_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)  # with a relative path, as by default, the link leads nowhere
    result = tune(study(), runs_dir="runs")
    lock = result.path / "study.journal.lock"
    lock.symlink_to(result.path / "study.journal")
    code = f"""
from pathlib import Path
from rl_runner.tuning.study.study_folder import StudyFolder
from rl_runner.tuning.study.storage import open_storage
storage = open_storage(None, StudyFolder(Path({str(result.path)!r})))
(study,) = storage.get_all_studies()
storage.set_study_user_attr(study._study_id, "seen", True)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)
    assert not os.path.lexists(lock)


def test_a_full_disk_under_the_journal_is_explained_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    append = JournalFileBackend.append_logs
    n_appended = 0

    def fill_up(self: JournalFileBackend, logs: list[dict[str, Any]]) -> None:
        nonlocal n_appended
        n_appended += 1
        if n_appended > 15:
            with Path(self._file_path).open("a", encoding="utf-8") as file:
                file.write('{"op_code"')  # what there is room for
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(self, logs)

    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", fill_up)
        with pytest.raises(DiskFullError, match="journal cannot be used: No space") as caught:
            tune(study(), runs_dir=tmp_path / "full")
    (problem,) = caught.value.problems
    assert problem.where.endswith("study.journal")
    assert "run the same command again" in problem.cure
    result = tune(study(), runs_dir=tmp_path / "full")
    undisturbed = tune(study(), runs_dir=tmp_path / "roomy")
    assert [t.scores for t in result.trials] == [t.scores for t in undisturbed.trials]
    assert [t.curve for t in result.trials] == [t.curve for t in undisturbed.trials]


class Moving(StudyReporter):
    """Moves the study away when its first trial has begun, and perhaps puts another file there."""

    def __init__(self, replacement: str | None) -> None:
        self.replacement = replacement

    def search_started(self, plan: StudyPlan) -> None:
        self.journal = plan.path / "study.journal"

    def trial_started(self, number: int, values: Any) -> None:
        del number, values
        self.journal.rename(self.journal.with_name("kept"))
        if self.replacement is not None:
            self.journal.write_text(self.replacement, encoding="utf-8")


@pytest.mark.parametrize(
    ("replacement", "expected"), [(None, "No such file"), ("", "another file is in its place")]
)
def test_a_journal_that_vanishes_is_missed(tmp_path: Path, replacement: str | None, expected: str):
    reporter = Moving(replacement)
    with pytest.raises(StudyError, match=f"journal cannot be used: {expected}"):
        tune(study(), runs_dir=tmp_path, reporter=reporter)
    if replacement is None:
        assert not reporter.journal.exists()
    reporter.journal.with_name("kept").replace(reporter.journal)
    result = tune(study(), runs_dir=tmp_path)
    assert [t.outcome for t in result.trials] == ["complete", "complete"]


def test_a_damaged_journal_is_named_with_its_line(tmp_path: Path):
    small = study()
    result = tune(small, runs_dir=tmp_path)
    journal = result.path / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[3] = b"\x00\xff" * 20 + b"\n"
    journal.write_bytes(b"".join(lines))
    with pytest.raises(StudyError, match="journal is damaged") as caught:
        tune(small, runs_dir=tmp_path)
    assert caught.value.problems[0].where.endswith("study.journal:4")
    assert journal.read_bytes() == b"".join(lines)


def test_a_study_that_optuna_made_is_not_touched(tmp_path: Path, url: str):
    theirs = optuna.create_study(study_name="theirs", storage=url)
    theirs.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    with pytest.raises(StudyError, match="was not created by `rl tune`"):
        tune(study(), runs_dir=tmp_path / "runs", storage=url, study="theirs")
    assert len(theirs.trials) == 1


class Heard(StudyReporter):
    def __init__(self) -> None:
        self.started: list[int] = []

    def trial_started(self, number: int, values: Any) -> None:
        del values
        self.started.append(number)


def let_heartbeats_expire(url: str) -> None:
    """Let every trial's process seem to have ended long ago."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        expire = sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = '2000-01-01 00:00:00'")
        assert connection.execute(expire).rowcount >= 1
    engine.dispose()


@pytest.mark.slow
def test_an_abandoned_trial_is_taken_up_again(tmp_path: Path, url: str):
    runs = tmp_path / "runs"
    with pytest.raises(StudyError):  # makes the study, and begins nothing
        tune(study(), runs_dir=runs, storage=url, study="mine", timeout=0.0)
    storage = storages.open_storage(url, StudyFolder(runs / "mine"))
    with optuna_silenced():
        dead = optuna.load_study(study_name="mine", storage=storage)
        trial = dead.ask()
        trial.suggest_categorical("gamma", [0.9, 0.95, 0.98, 0.99, 0.995, 0.999])
    storages.send_heartbeat(storage, trial)
    storages.close_storage(storage)
    let_heartbeats_expire(url)
    heard = Heard()
    result = tune(study(), runs_dir=runs, storage=url, study="mine", reporter=heard)
    assert [t.outcome for t in result.trials] == ["complete", "complete"]
    assert heard.started == [0, 2]  # Optuna counts the second go at trial 0
    assert result.trials[0].values["gamma"] == trial.params["gamma"]
    assert {path.name for path in (runs / "mine" / "trials").iterdir()} == {
        "trial-0000",
        "trial-0002",
    }


class Interrupting(Heard):
    """Asks for a stop, as Ctrl-C does, when a trial has begun."""

    def trial_started(self, number: int, values: Any) -> None:
        super().trial_started(number, values)
        signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_a_trial_that_is_stopped_again_and_again_is_not_given_up(tmp_path: Path, url: str):
    impatient = Interrupting()
    for _ in range(4):
        assert tune(study(), runs_dir=tmp_path, storage=url, reporter=impatient).stopped
    assert impatient.started == [0, 0, 0, 0]
    heard = Heard()
    result = tune(study(), runs_dir=tmp_path, storage=url, reporter=heard)
    assert heard.started == [0, 5]  # Optuna counts every go at trial 0
    assert [t.outcome for t in result.trials] == ["complete", "complete"]


@pytest.mark.slow
def test_a_disk_that_is_full_again_and_again_takes_no_trial_away(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(storages, "HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr(storages, "GRACE_SECONDS", 2)

    def full(*_: object) -> None:
        raise DiskFullError(Problem("No space left on device."))

    heard = Heard()
    with monkeypatch.context() as patch:
        patch.setattr(searches, "log_trial", full)
        for _ in range(4):
            with pytest.raises(DiskFullError):
                tune(study(), runs_dir=tmp_path, storage=url, reporter=heard)
    result = tune(study(), runs_dir=tmp_path, storage=url, reporter=heard)
    assert heard.started == [0, 0, 0, 0, 0, 5]  # Optuna counts every go at trial 0
    assert [t.outcome for t in result.trials] == ["complete", "complete"]


@pytest.mark.slow
def test_a_storage_that_fails_in_the_middle_loses_nothing(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
):
    def fail(self: RunningTrial) -> Any:
        del self
        message = "An exception is raised during the commit."
        raise StorageInternalError(message) from OSError("server closed the connection")

    with monkeypatch.context() as patched:
        patched.setattr(RunningTrial, "attributes", fail)
        with pytest.raises(StudyError, match="server closed the connection") as caught:
            tune(study(), runs_dir=tmp_path / "runs", storage=url)
    assert "same command again" in caught.value.problems[0].cure
    (record,) = tmp_path.glob("runs/*/trials/trial-0000/seed-*/run.json")
    trained_at = record.stat().st_mtime_ns
    let_heartbeats_expire(url)
    result = tune(study(), runs_dir=tmp_path / "runs", storage=url)
    assert [t.outcome for t in result.trials] == ["complete", "complete"]
    assert record.stat().st_mtime_ns == trained_at
