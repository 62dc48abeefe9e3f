"""What `rl train` says of the runs that it has not finished, in every order of ending."""

from pathlib import Path
from typing import Any

import pytest

from rl_runner.cli import INCOMPLETE, INTERRUPTED
from rl_runner.cli.display.results import show_unfinished
from rl_runner.runs.record import RunRecord, Status
from rl_runner.training.experiment import ExperimentResult
from rl_runner.training.task import RunResult

HERE = Path("runs/x")


def result(name: str, *runs: RunResult) -> ExperimentResult:
    return ExperimentResult(HERE, name, "0" * 8, runs)


def run(seed: int, status: Status, *, elsewhere: bool = False, **record: Any) -> RunResult:
    return RunResult(seed, HERE, RunRecord(status=status, **record), elsewhere=elsewhere)


def test_finished_and_failed_runs_are_not_its_business(capsys: pytest.CaptureFixture[str]):
    assert show_unfinished([result("a", run(0, "finished"), run(1, "failed"))]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"timesteps": 12_345, "stopped_at": 12_345}, "seed 0 at 12,345 timesteps (saved)."),
        (
            {"timesteps": 10_000, "stopped_at": 12_345},
            "seed 0 at 12,345 timesteps, will resume from the checkpoint at 10,000.",
        ),
        (
            {"timesteps": 0, "stopped_at": 345},
            "seed 0 at 345 timesteps, will resume from the beginning.",
        ),
        ({"timesteps": 10_000}, "seed 0 will resume from the checkpoint at 10,000."),  # killed
        ({"timesteps": 0, "stopped_at": 0}, "seed 0 at the beginning."),
    ],
)
def test_a_stopped_run_is_said_to_resume_from_where_it_will(
    record: dict[str, int], message: str, capsys: pytest.CaptureFixture[str]
):
    assert show_unfinished([result("a", run(0, "interrupted", **record))]) == INTERRUPTED
    assert capsys.readouterr().err.splitlines() == [
        f"Interrupted: {message}",
        "Run the same command again to resume.",
    ]


def test_stopped_beside_another_process(capsys: pytest.CaptureFixture[str]):
    runs = (
        run(0, "finished"),
        run(1, "interrupted", timesteps=500, stopped_at=500),
        run(2, "running", elsewhere=True),
        run(3, "finished", elsewhere=True),
        run(4, "interrupted", elsewhere=True, timesteps=70, stopped_at=70),
        run(5, "pending"),
    )
    assert show_unfinished([result("a", *runs)]) == INTERRUPTED
    assert capsys.readouterr().err.splitlines() == [
        "Interrupted: seed 1 at 500 timesteps (saved).",
        "Not started: seed 5.",
        "Left to another process, which was interrupted: seed 4 at 70 timesteps (saved).",
        "In training by another process: seed 2.",
        "Trained by another process: seed 3.",
        "If that process hangs, end it and run the same command again.",
        "Run the same command again to resume.",
    ]


def test_what_another_process_still_trains_is_not_success(capsys: pytest.CaptureFixture[str]):
    runs = run(0, "finished"), run(1, "running", elsewhere=True)
    both = [result("a", *runs), result("b", run(1, "finished"))]
    assert show_unfinished(both) == INCOMPLETE
    assert capsys.readouterr().err.splitlines() == [
        "In training by another process: a seed 1.",
        "If that process hangs, end it and run the same command again.",
    ]


@pytest.mark.parametrize("status", ["interrupted", "pending"])
def test_what_another_process_left_unfinished_is_not_success(status: Status):
    runs = run(0, "finished"), run(1, status, elsewhere=True)
    assert show_unfinished([result("a", *runs)]) == INCOMPLETE


def test_what_another_process_has_finished_is_success(capsys: pytest.CaptureFixture[str]):
    runs = run(0, "finished"), run(1, "finished", elsewhere=True)
    assert show_unfinished([result("a", *runs)]) == 0
    assert capsys.readouterr().err == "Trained by another process: seed 1.\n"
