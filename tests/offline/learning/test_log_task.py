"""Learning from logs has the life of every other run: processes, retries, interruptions."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from log_training import train_on_logs
from typer.testing import CliRunner

from rl_runner.arrays import load_arrays
from rl_runner.cli.app import app
from rl_runner.config import ExperimentConfig, config_from_dict
from rl_runner.offline.learning.log_experiment import resolve_on_logs
from rl_runner.offline.learning.log_q_learning import LogQLearning
from rl_runner.offline.learning.training import LogTask, train_many_on_logs
from rl_runner.runs.record import read_record
from rl_runner.training.execution import execute
from rl_runner.training.recording import announce
from rl_runner.training.reporting import Reporter, StopRequest


def config_of(log: Path, **train: object) -> ExperimentConfig:
    raw = {
        "env": {"id": "Recommender-v0"},
        "algo": {"name": "q_learning"},
        "data": {"path": str(log)},
        "train": {"seeds": [0, 1], **train},
    }
    return config_from_dict(raw)


@pytest.fixture
def task(log_file: Path, tmp_path: Path) -> LogTask:
    """A task that has not begun, with its logs loaded."""
    loaded = resolve_on_logs(config_of(log_file))
    return LogTask(loaded.config, 0, tmp_path / "logs-0123abcd", loaded=loaded)


def test_a_task_travels_without_its_logs(task: LogTask):
    sent = pickle.loads(pickle.dumps(task))  # noqa: S301 - our own bytes
    assert sent == task
    assert sent.loaded is None
    assert task.loaded is not None


@pytest.mark.slow
def test_processes_learn_what_this_process_learns(log_file: Path, tmp_path: Path):
    config = config_of(log_file)
    here = train_on_logs(config, runs_dir=tmp_path / "here").runs
    there = train_on_logs(config, runs_dir=tmp_path / "there", jobs=2).runs
    assert [run.status for run in there] == ["finished"] * 2, there[0].record.traceback
    for a, b in zip(here, there, strict=True):
        one, other = (load_arrays(run.path / "log_table.npz") for run in (a, b))
        assert all(np.array_equal(one[key], other[key]) for key in {*one, *other})
        assert (b.path / "log.txt").exists()


def test_a_stop_request_is_recorded_and_the_same_task_learns_later(task: LogTask):
    stop = StopRequest()
    stop.set()
    stopped = execute(task, Reporter(), stop)
    assert (stopped.status, stopped.record.stopped_at) == ("interrupted", 0)
    assert execute(task, Reporter(), StopRequest()).status == "finished"


def test_a_lost_table_is_learned_again(task: LogTask):
    execute(task, Reporter(), StopRequest())
    task.folder.agents.weights.unlink()
    again = execute(task, Reporter(), StopRequest())
    assert again.status == "finished"
    assert task.folder.agents.weights.is_file()


def test_a_run_is_pending_until_it_begins(task: LogTask):
    announce(task)
    record = read_record(task.folder.path)
    assert record == replace(task.new_record(), status="pending")


def test_a_failure_is_recorded_with_its_cause_and_the_other_seeds_learn(
    log_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    learn, calls = LogQLearning.learn, []

    def fail_once(self: LogQLearning, log: object) -> object:
        calls.append(log)
        if len(calls) == 1:
            message = "no more memory"
            raise MemoryError(message)
        return learn(self, log)  # type: ignore[arg-type]

    monkeypatch.setattr(LogQLearning, "learn", fail_once)
    (result,) = train_many_on_logs(
        [config_of(log_file)], runs_dir=tmp_path, fresh=False, jobs=None, reporter=Reporter()
    )
    assert [run.status for run in result.runs] == ["failed", "finished"]
    assert result.runs[0].record.error == "MemoryError: no more memory"


@pytest.mark.slow
def test_the_command_retries_and_names_failures_as_for_environments(log_file: Path, tmp_path: Path):
    config = tmp_path / "logs.yaml"
    config.write_text(
        f"env: {{id: Recommender-v0}}\nalgo: {{name: q_learning}}\n"
        f"data: {{path: {log_file}}}\ntrain: {{max_hours: 1.0e-9}}\n",
        encoding="utf-8",
    )
    options = ["--runs-dir", str(tmp_path / "runs"), "--jobs", "1", "--retries", "1"]
    outcome = CliRunner().invoke(app, ["train", str(config), *options])
    assert outcome.exit_code == 1
    assert "is tried again" in outcome.stderr
    assert "took longer than" in outcome.stderr
    quiet = CliRunner().invoke(app, ["train", str(config), *options, "--quiet"])
    assert quiet.exit_code == 1
    assert "is tried again" not in quiet.stderr
