import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
from pebble import ProcessExpired

from rl_runner.cli import INCOMPLETE
from rl_runner.config import ExperimentConfig, config_from_dict
from rl_runner.errors import DiskFullError, Problem, describe_exception
from rl_runner.evaluation.reproduction import differences
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import RunRecord, read_record
from rl_runner.training.environment_task import EnvironmentTask
from rl_runner.training.processes import launcher as launcher_module
from rl_runner.training.processes import process as process_module
from rl_runner.training.processes.launcher import Launcher
from rl_runner.training.processes.process import RunningTask
from rl_runner.training.reporting import Evaluated, Progress, Reporter
from rl_runner.training.resolve import resolve
from rl_runner.training.task import RunResult, RunTask
from rl_runner.training.train import ExperimentResult, train, train_many

HERE = Path(__file__).parents[1]

ConfigOf = Callable[..., ExperimentConfig]
InvokeRl = Callable[..., Any]
Witness = Any  # the reporter of conftest.py


def experiment(marker: Path, what: str, **train_section: Any) -> ExperimentConfig:
    return config_from_dict(
        {
            "name": what,
            "env": {
                "id": "CliffWalking-v1",
                "time_limit": 20,
                "wrappers": [
                    {
                        "name": "misbehaving.Misbehaving",
                        "kwargs": {"marker": str(marker), "what": what},
                    }
                ],
            },
            "algo": {"name": "q_learning"},
            "train": {"total_timesteps": 400, "seeds": 3, **train_section},
            "eval": {"n_episodes": 2, "final_episodes": 3},
        }
    )


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


def launch(config: ExperimentConfig, tmp_path: Path, retries: int = 0) -> ExperimentResult:
    (result,) = train_many(
        [config],
        runs_dir=tmp_path / "runs",
        fresh=False,
        jobs=2,
        reporter=Reporter(),
        retries=retries,
    )
    return result


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "message"),
    [("raise", "the environment broke"), ("kill", "SIGKILL"), ("crash", "SIGSEGV")],
)
def test_a_failing_run_takes_down_no_other_and_is_tried_again(
    tmp_path: Path, what: str, message: str
):
    config = experiment(tmp_path / "marker", what)
    result = launch(config, tmp_path)
    (failed,) = [run for run in result.runs if run.status == "failed"]
    assert [run.status for run in result.runs].count("finished") == 2
    record = json.loads((failed.path / "run.json").read_text(encoding="utf-8"))
    assert record["status"] == "failed"
    assert message in record["error"]
    if what == "raise":
        assert "misbehaving.py" in record["traceback"]
    if what == "crash":
        assert any("Segmentation fault" in line for line in record["log_tail"])

    untouched = {
        run.seed: (run.path / "run.json").stat().st_mtime_ns
        for run in result.runs
        if run is not failed
    }
    again = launch(config, tmp_path)
    assert [run.status for run in again.runs] == ["finished"] * 3
    for run in again.runs:
        if run.seed in untouched:
            assert (run.path / "run.json").stat().st_mtime_ns == untouched[run.seed]


@pytest.mark.slow
def test_retries_try_at_once(tmp_path: Path):
    result = launch(experiment(tmp_path / "marker", "kill"), tmp_path, retries=1)
    assert [run.status for run in result.runs] == ["finished"] * 3


@pytest.mark.slow
def test_a_run_that_takes_too_long_fails_and_the_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(process_module, "GRACE_SECONDS", 1.0)
    hanging = experiment(tmp_path / "marker", "sleep", seeds=1, max_hours=2 / 3600)
    (tmp_path / "passed").touch()  # nothing goes wrong there
    sound = experiment(tmp_path / "passed", "raise", seeds=2)
    failed, finished = train_many(
        [hanging, sound], runs_dir=tmp_path / "runs", fresh=False, jobs=2, reporter=Reporter()
    )
    assert [run.status for run in failed.runs] == ["failed"]
    assert "took longer" in failed.runs[0].record.error
    assert [run.status for run in finished.runs] == ["finished"] * 2


@pytest.mark.slow
def test_runs_in_processes_equal_runs_in_this_one(tmp_path: Path):
    (tmp_path / "marker").touch()
    config = experiment(tmp_path / "marker", "raise")
    apart = launch(config, tmp_path)
    here = train(config, runs_dir=tmp_path / "here")
    for a, b in zip(apart.runs, here.runs, strict=True):
        assert differences(RunFolder(a.path, "q_table.npz"), RunFolder(b.path, "q_table.npz")) == []


@pytest.mark.slow
def test_progress_and_endings_are_reported_from_the_processes(tmp_path: Path):
    class Listener(Reporter):
        def __init__(self) -> None:
            self.heard: dict[int, list[str]] = {}

        def run_started(self, run: Any) -> None:
            self.heard.setdefault(run.seed, []).append("started")

        def run_progress(self, progress: Progress) -> None:
            self.heard[progress.run.seed].append("progress")

        def run_ended(self, run: Any, record: Any) -> None:
            self.heard[run.seed].append(record.status)

    (tmp_path / "marker").touch()
    config = experiment(tmp_path / "marker", "raise", total_timesteps=6000, seeds=2)
    listener = Listener()
    train(config, runs_dir=tmp_path, jobs=2, reporter=listener)
    for events in listener.heard.values():
        assert events[0] == "started"
        assert "progress" in events
        assert events[-1] == "finished"


# Checkpoints, which a run spends waiting for the disk, let a signal arrive before its end.
CONFIG = """
name: stopped
env: {id: FrozenLake-v1}
algo: {name: q_learning}
train: {total_timesteps: 20_000, seeds: 2}
eval: {every: 10_000, n_episodes: 2, final_episodes: 3}
checkpoint: {every: 250}
"""


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "rl_runner", "train", "config.yaml", "--json", *options]


def start(folder: Path, *options: str) -> "subprocess.Popen[str]":
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    return subprocess.Popen(
        command(*options),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_checkpoint(folder: Path) -> None:
    for _ in range(1200):
        if list(folder.glob("runs/*/seed-0/checkpoints/[0-9]*")):
            return
        time.sleep(0.05)
    pytest.fail("no checkpoint appeared within a minute")


def run_folders(folder: Path) -> list[RunFolder]:
    return [RunFolder(path, "q_table.npz") for path in sorted(folder.glob("runs/*/seed-*"))]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, invoke_rl: InvokeRl) -> list[RunFolder]:
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    outcome = invoke_rl("train", folder / "config.yaml", "-q", "--runs-dir", folder / "runs")
    assert outcome.exit_code == 0, outcome.message
    return run_folders(folder)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_a_stopped_command_resumes_where_it_was(
    tmp_path: Path, undisturbed: list[RunFolder], rl: InvokeRl, how: str
):
    process = start(tmp_path)
    wait_for_checkpoint(tmp_path)
    if how == "SIGKILL":
        os.killpg(process.pid, signal.SIGKILL)  # as a power cut: the command and all its runs
    else:
        process.send_signal(signal.Signals[how])
    out, err = process.communicate(timeout=60)
    if how != "SIGKILL":
        assert process.returncode == 130, err
        assert "Interrupted: seed 0 at " in err
        assert "Run the same command again to resume" in err
        statuses = {run["status"] for run in json.loads(out)["runs"]}
        assert "interrupted" in statuses
        assert statuses <= {"interrupted", "pending", "finished"}

    again = rl("train", "config.yaml", "--json")
    assert again.exit_code == 0, again.message
    assert "resumes from" in again.message
    resumed = run_folders(tmp_path)
    assert len(resumed) == len(undisturbed) == 2
    for a, b in zip(undisturbed, resumed, strict=True):
        assert differences(a, b) == []


@pytest.mark.slow
def test_two_commands_at_once_share_the_work(tmp_path: Path, undisturbed: list[RunFolder]):
    first, second = start(tmp_path, "--jobs", "1"), start(tmp_path, "--jobs", "1")
    outputs = [process.communicate(timeout=300) for process in (first, second)]
    # The one that ends first may leave a seed to the other, and says so; the last sees all results.
    codes = [first.returncode, second.returncode]
    assert set(codes) <= {0, INCOMPLETE}, outputs
    assert 0 in codes
    for code, (_, err) in zip(codes, outputs, strict=True):
        assert ("In training by another process" in err) is (code == INCOMPLETE)
    for a, b in zip(undisturbed, run_folders(tmp_path), strict=True):
        assert differences(a, b) == []
    starts = [line for _, err in outputs for line in err.splitlines() if "held-out" in line]
    assert len({line.split(" over ")[0] for line in starts}) >= 2


LONG: dict[str, Any] = {
    "name": "long",
    "env": {"id": "CliffWalking-v1", "time_limit": 20},
    "algo": {"name": "q_learning", "engine": "stock"},
    "train": {"total_timesteps": 2_000_000, "seeds": [0]},
    "eval": {"every": 1000, "n_episodes": 1, "final_episodes": 1},
    "checkpoint": {"every": 1_000_000},
}


class Hearing(Reporter):
    def __init__(self) -> None:
        self.evaluated: list[Evaluated] = []

    def run_evaluated(self, evaluated: Evaluated) -> None:
        self.evaluated.append(evaluated)


def test_a_run_whose_process_is_only_beginning_hears_of_the_wish_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(launcher_module, "GRACE_SECONDS", 1e9)
    task = EnvironmentTask(resolve(config_from_dict(LONG)).config, 0, tmp_path)
    launcher = Launcher(Reporter(), jobs=1)
    with launcher.session():
        launcher.add(task)
        launcher.poll()  # starts it
        launcher.request_stop()
        (result,) = until_it_ends(launcher)
    assert result.status == "interrupted"


def test_the_fork_server_survives_a_ctrl_c_while_it_loads_torch():
    script = """
import os, signal, time
from multiprocessing.forkserver import _forkserver
from rl_runner.startup import start_fork_server
from rl_runner.training.task import modules_for
start_fork_server(modules_for([]))
signal.signal(signal.SIGINT, signal.SIG_IGN)
for _ in range(8):
    time.sleep(0.25)
    os.killpg(0, signal.SIGINT)
print(os.waitpid(_forkserver._forkserver_pid, os.WNOHANG))
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("(0, 0)\n", "")


def until_it_ends(launcher: Launcher) -> list[RunResult]:
    for _ in range(1200):
        time.sleep(0.05)
        if ended := launcher.poll():
            return [result for _, result in ended]
    launcher.request_stop()  # asked again: now
    pytest.fail("it has not stopped within a minute")


def test_a_hopeless_run_is_given_up_and_others_may_be_added_meanwhile(tmp_path: Path):
    short = {**LONG, "name": "short", "train": {"total_timesteps": 100, "seeds": [0]}}
    hopeless, other = (
        EnvironmentTask(resolve(config_from_dict(config)).config, 0, tmp_path / str(config["name"]))
        for config in (LONG, short)
    )
    reporter = Hearing()
    launcher = Launcher(reporter, jobs=1)
    statuses, is_given_up = {}, False
    with launcher.session():
        launcher.add(hopeless)
        while launcher.busy:
            time.sleep(0.02)
            for task, result in launcher.poll():
                statuses[task.config.name] = result.status
            if reporter.evaluated and not is_given_up:
                is_given_up = True
                launcher.give_up(hopeless)
                launcher.add(other)
    assert statuses == {"long": "pruned", "short": "finished"}
    assert hopeless.folder.read_record().status == "pruned"
    assert reporter.evaluated[0].run == hopeless.run
    assert reporter.evaluated[0].timesteps == 1000


# --- in this process ------------------------------------------------------------------------------


def test_a_run_that_takes_too_long_in_this_process_fails(
    tmp_path: Path, config_of: ConfigOf, witness: Witness
):
    config = config_of("cliff", train={"max_hours": 1e-9})
    (run,) = train(config, runs_dir=tmp_path, reporter=witness).runs
    assert run.status == "failed"
    assert run.record.error == "took longer than 1e-09 hours"
    assert read_record(run.path) == run.record
    assert witness.reports("run_ended")[-1] == (0, "failed")
    (again,) = train(config_of("cliff"), runs_dir=tmp_path).runs
    assert again.status == "finished"


def test_a_run_that_is_quick_enough_finishes(tmp_path: Path, config_of: ConfigOf):
    (run,) = train(config_of("cliff", train={"max_hours": 1.0}), runs_dir=tmp_path).runs
    assert run.status == "finished"


# --- what becomes of a process's end --------------------------------------------------------------


def end(launcher: Launcher, task: RunTask, error: BaseException) -> RunResult:
    """Let the task's process end with an error."""
    future: Future[RunResult] = Future()
    future.set_exception(error)
    ours, theirs = Pipe()
    launcher.running.append(RunningTask(task, 0, future, ours))
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
    assert result.record.error == describe_exception(error)
    assert task.folder.read_record() == result.record
    assert witness.reports("run_ended") == [(0, "failed")]


@pytest.mark.parametrize(
    ("code", "message", "by_signal"),
    [(-9, "SIGKILL; was it out of memory?", True), (3, "exit code 3", False)],
)
def test_a_process_that_ends_without_a_word_is_a_failure(
    task: RunTask, witness: Witness, code: int, message: str, by_signal: bool
):
    result = end(Launcher(witness, jobs=1), task, ProcessExpired("gone", code))
    assert result.status == "failed"
    assert message in result.record.error
    assert result.record.ended_by_signal is by_signal


def test_a_run_that_was_killed_on_request_was_interrupted(task: RunTask, witness: Witness):
    (task.folder.checkpoints.path / "80").mkdir(parents=True)
    launcher = Launcher(witness, jobs=1)
    launcher.request_stop()
    (note,) = witness.reports("note")
    assert "will resume from its last one" in note
    assert "Press Ctrl-C again to stop at once." in note
    launcher.request_stop()
    assert witness.reports("note") == [note]
    result = end(launcher, task, ProcessExpired("gone", -9))
    assert result.status == "interrupted"
    assert result.record.timesteps == 80
    assert result.record.error is None
    assert witness.reports("run_ended") == [(0, "interrupted")]
    assert task.folder.read_record() == result.record


def test_a_damaged_record_is_left_as_it_is(task: RunTask, witness: Witness):
    file = task.folder.path / "run.json"
    file.write_text('{"status": "lost"}')
    result = end(Launcher(witness, jobs=1), task, ProcessExpired("gone", -9))
    assert result.status == "failed"
    assert "`lost` is not a valid run status" in result.record.error
    assert file.read_text() == '{"status": "lost"}'


def test_a_disk_that_is_full_does_not_stop_the_launcher(
    task: RunTask, witness: Witness, monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object) -> None:
        raise DiskFullError(Problem("No space left on device."))

    monkeypatch.setattr(RunFolder, "write_record", full)
    result = end(Launcher(witness, jobs=1), task, ProcessExpired("gone", -9))
    assert result.status == "failed"
    assert "No space left" in result.record.error
    assert result.record.disk_full
    assert not task.folder.is_claimed()


def test_a_run_that_is_killed_on_a_full_disk_is_not_left_as_running(
    task: RunTask, witness: Witness, monkeypatch: pytest.MonkeyPatch
):
    def full(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    task.folder.reserve_record()
    task.folder.write_record(RunRecord(status="running"))
    monkeypatch.setattr(Path, "write_text", full)
    result = end(Launcher(witness, jobs=1), task, ProcessExpired("gone", -9))
    assert result.status == "failed"
    assert "SIGKILL" in result.record.error
    assert task.folder.read_record() == result.record


def test_a_log_that_is_no_text_does_not_hide_the_failure(task: RunTask, witness: Witness):
    (task.folder.path / "log.txt").write_bytes(b"fine\nnot \xff text\n")
    result = end(Launcher(witness, jobs=1), task, ProcessExpired("gone", -11))
    assert "SIGSEGV" in result.record.error
    assert result.record.log_tail == ("fine", "not \ufffd text")
