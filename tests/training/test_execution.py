from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rl_runner import train
from rl_runner.config import ExperimentConfig
from rl_runner.runs.folder import RunFolder
from rl_runner.seeding import SeedTree
from rl_runner.training.execution import execute
from rl_runner.training.recording import refresh_result
from rl_runner.training.reporting import StopRequest
from rl_runner.training.task import RunTask

ConfigOf = Callable[..., ExperimentConfig]
Diary = Any  # the environment class of conftest.py
Witness = Any  # the reporter of conftest.py


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
    failed = RunFolder(runs[1].path, "q_table.npz")
    record = failed.read_record()
    assert "raised an exception in step(): SystemExit: 3" in record.error
    assert "exit_or_step" in record.traceback
    assert not failed.is_claimed()


def test_a_run_left_to_another_process_is_looked_at_again(task: RunTask, witness: Witness):
    other = task.folder
    assert other.claim()
    left = execute(task, witness, StopRequest())
    assert (left.status, left.elsewhere) == ("running", True)
    assert refresh_result(left, task).status == "running"
    other.write_record(replace(task.new_record(), status="running"))
    other.release()  # as if it had been killed
    stopped = refresh_result(left, task)
    assert (stopped.status, stopped.record.timesteps) == ("interrupted", 0)
    ours = execute(task, witness, StopRequest())
    assert refresh_result(ours, task) is ours
    now = refresh_result(left, task)
    assert (now.status, now.elsewhere) == ("finished", True)
    (other.path / "run.json").write_text("{", encoding="utf-8")
    assert "--fresh" in refresh_result(left, task).record.error
