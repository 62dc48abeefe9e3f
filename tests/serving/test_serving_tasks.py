import threading
import time
from pathlib import Path

import pytest

from rl_runner.serving.tasks import INTERRUPTED


def test_a_training_ends_with_its_server_and_does_not_block_the_next(
    serve, log_runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "trains_for_long"
    program.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setattr("rl_runner.serving.tasks.sys.executable", str(program))
    tasks = serve(log_runs[0], training="experiment.yaml").service.tasks
    number = tasks.begin_training("somebody")
    training = threading.Thread(target=tasks.train, args=(number,))
    training.start()
    while tasks._process is None:
        time.sleep(0.01)
    tasks.stop()
    training.join(30)
    assert not training.is_alive()
    (row,) = tasks.latest(2)
    assert (row.status, row.metadata) == ("failed", {"error": INTERRUPTED})
    assert tasks.begin_training("somebody") > number


def test_a_training_that_begins_while_the_server_ends_is_not_started(
    serve, log_runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rl_runner.serving.tasks.sys.executable", "/no/such/program")
    tasks = serve(log_runs[0], training="experiment.yaml").service.tasks
    number = tasks.begin_training("somebody")
    tasks.stop()
    tasks.train(number)
    assert tasks.latest(1)[0].metadata == {"error": INTERRUPTED}


def test_whatever_fails_leaves_no_row_that_is_running(
    serve, log_runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = serve(log_runs[0], training="experiment.yaml").service.tasks

    def fail() -> dict[str, object]:
        message = "of a kind that nobody expected"
        raise ValueError(message)

    monkeypatch.setattr(tasks, "_train", fail)
    number = tasks.begin_training("somebody")
    tasks.train(number)
    row = tasks.latest(1)[0]
    assert row.status == "failed"
    assert "nobody expected" in row.metadata["error"]
