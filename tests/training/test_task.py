import json
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from pebble import ProcessExpired

from rl_runner import train
from rl_runner.config import ExperimentConfig
from rl_runner.errors import Problem, RunFolderError
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree
from rl_runner.training.launcher import Launcher, RunningTask
from rl_runner.training.reporting import StopRequest
from rl_runner.training.resolve import resolve
from rl_runner.training.task import (
    RunResult,
    RunTask,
    announce,
    execute,
    look_again,
    new_record,
)

ConfigOf = Callable[..., ExperimentConfig]
Diary = Any  # the environment class of conftest.py
Witness = Any  # the reporter of conftest.py


def record_of(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return record


# --- in this process ------------------------------------------------------------------------------


def test_an_environment_that_exits_fails_that_run_only(
    tmp_path: Path, config_of: ConfigOf, diary: Diary, monkeypatch: pytest.MonkeyPatch
):
    step = diary.step

    def exit_or_step(self: Any, action: int) -> Any:
        if self.fails:
            raise SystemExit(3)
        return step(self, action)

    monkeypatch.setattr(diary, "step", exit_or_step)
    (fatal,) = SeedTree(1).train_envs(1)
    env = {"id": "TrainingTestDiary-v0", "time_limit": 6, "kwargs": {"fails_on": fatal}}
    runs = train(config_of("cliff", env=env), runs_dir=tmp_path, seeds=[0, 1, 2]).runs
    assert [run.status for run in runs] == ["finished", "failed", "finished"]
    record = record_of(runs[1].path)
    assert record["error"] == "SystemExit(3)"
    assert "exit_or_step" in record["traceback"]
    assert not RunFolder(runs[1].path, "q_table.npz").is_claimed()


def test_a_run_that_takes_too_long_in_this_process_fails(
    tmp_path: Path, config_of: ConfigOf, witness: Witness
):
    config = config_of("cliff", train={"max_hours": 1e-9})
    (run,) = train(config, runs_dir=tmp_path, reporter=witness).runs
    assert run.status == "failed"
    assert run.record["error"] == "took longer than 1e-09 hours"
    assert record_of(run.path) == run.record
    assert witness.told("run_ended")[-1] == (0, "failed")
    (again,) = train(config_of("cliff"), runs_dir=tmp_path).runs
    assert again.status == "finished"


def test_a_run_that_is_quick_enough_finishes(tmp_path: Path, config_of: ConfigOf):
    (run,) = train(config_of("cliff", train={"max_hours": 1.0}), runs_dir=tmp_path).runs
    assert run.status == "finished"


# --- what the launcher makes of a process's end ---------------------------------------------------


class Ended:
    """A future whose process is gone."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def done(self) -> bool:
        return True

    def result(self) -> RunResult:
        raise self.error


@pytest.fixture
def task(tmp_path: Path, config_of: ConfigOf) -> RunTask:
    task = RunTask(resolve(config_of("cliff")), 0, tmp_path / "cliff-0123abcd")
    announce(task)
    return task


def end(launcher: Launcher, task: RunTask, error: BaseException) -> RunResult:
    ours, theirs = Pipe()
    launcher.running.append(RunningTask(task, 0, Ended(error), ours))
    theirs.close()
    ((ended, result),) = launcher.poll()
    assert ended is task
    assert not launcher.busy
    return result


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), GeneratorExit("odd"), KeyboardInterrupt(), OSError("no pipe"), MemoryError()],
    ids=repr,
)
def test_whatever_a_future_raises_is_recorded(
    task: RunTask, witness: Witness, error: BaseException
):
    result = end(Launcher(witness, jobs=1), task, error)
    assert result.status == "failed"
    assert result.record["error"] == repr(error)
    assert record_of(task.folder.path) == result.record
    assert witness.told("run_ended") == [(0, "failed")]


@pytest.mark.parametrize(
    ("code", "told", "by_signal"),
    [(-9, "SIGKILL; was it out of memory?", True), (3, "exit code 3", False)],
)
def test_a_process_that_ends_without_a_word_is_a_failure(
    task: RunTask, witness: Witness, code: int, told: str, by_signal: bool
):
    result = end(Launcher(witness, jobs=1), task, ProcessExpired("gone", code))
    assert result.status == "failed"
    assert told in result.record["error"]
    assert result.record.get("ended_by_signal", False) is by_signal


def test_a_run_that_was_killed_on_request_was_interrupted(task: RunTask, witness: Witness):
    (task.folder.checkpoints.path / "80").mkdir(parents=True)
    launcher = Launcher(witness, jobs=1)
    launcher.stop()
    (note,) = witness.told("note")
    assert "goes on later from its last one" in note
    assert "Ctrl-C again: stop now." in note
    launcher.stop()
    assert witness.told("note") == [note]
    result = end(launcher, task, ProcessExpired("gone", -9))
    assert result.status == "interrupted"
    assert result.record["timesteps"] == 80
    assert "error" not in result.record
    assert record_of(task.folder.path) == result.record


def test_a_damaged_record_is_left_as_it_is(task: RunTask, witness: Witness):
    file = task.folder.path / "run.json"
    file.write_text('{"status": "lost"}')
    result = end(Launcher(witness, jobs=1), task, ProcessExpired("gone", -9))
    assert result.status == "failed"
    assert "`lost` is no status of a run" in result.record["error"]
    assert file.read_text() == '{"status": "lost"}'


def test_a_disk_that_is_full_does_not_stop_the_launcher(
    task: RunTask, witness: Witness, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise RunFolderError(Problem("No space left on device."))

    monkeypatch.setattr(RunFolder, "write_record", full)
    result = end(Launcher(witness, jobs=1), task, ProcessExpired("gone", -9))
    assert result.status == "failed"
    assert "No space left" in result.record["error"]
    assert not task.folder.is_claimed()


def test_a_log_that_is_no_text_does_not_hide_the_failure(task: RunTask, witness: Witness):
    (task.folder.path / "log.txt").write_bytes(b"fine\nnot \xff text\n")
    result = end(Launcher(witness, jobs=1), task, ProcessExpired("gone", -11))
    assert "SIGSEGV" in result.record["error"]
    assert result.record["log_tail"] == ["fine", "not \ufffd text"]


def test_a_run_left_to_another_process_is_looked_at_again(task: RunTask, witness: Witness):
    other = task.folder
    assert other.claim()
    left = execute(task, witness, StopRequest())
    assert (left.status, left.elsewhere) == ("running", True)
    assert look_again(left, task).status == "running"
    other.write_record({**new_record(task), "status": "running"})
    other.release()  # as if it had been killed
    stopped = look_again(left, task)
    assert (stopped.status, stopped.record["timesteps"]) == ("interrupted", 0)
    ours = execute(task, witness, StopRequest())
    assert look_again(ours, task) is ours
    now = look_again(left, task)
    assert (now.status, now.elsewhere) == ("finished", True)
    (other.path / "run.json").write_text("{", encoding="utf-8")
    assert "--fresh" in look_again(left, task).record["error"]
