import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from run_files import PowerCutError, files_below, saver, write_half_then_die

from rl_runner.errors import DiskFullError, RunFolderError
from rl_runner.layout import LOCK
from rl_runner.runs import folder as folder_module
from rl_runner.runs.folder import SPARE_SIZE, ExperimentFolder, RunFolder
from rl_runner.runs.record import AgentResult, Results, RunRecord, read_record


def test_a_run_is_named_by_its_experiment_and_seed(tmp_path: Path):
    run = ExperimentFolder.place(tmp_path, "exp", "0123abcd", "model.zip").run(7)
    assert run.path == tmp_path / "exp-0123abcd" / "seed-7"
    assert list(tmp_path.iterdir()) == []


def test_clear_removes_everything_but_the_claim_and_the_record(run: RunFolder):
    run.write_record(RunRecord(status="failed"))
    run.agents.save_best(10, saver("best"))
    run.agents.save_final(saver("last"))
    (run.path / "notes").mkdir()
    (run.path / "notes" / "a.txt").write_text("a")
    run.clear()
    assert sorted(entry.name for entry in run.path.iterdir()) == [LOCK, "run.json"]


def test_clear_removes_a_link_to_a_folder_but_not_what_it_points_to(run: RunFolder, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.txt").write_text("keep me")
    (run.path / "videos").symlink_to(elsewhere, target_is_directory=True)
    run.clear()
    assert (elsewhere / "precious.txt").read_text() == "keep me"
    assert not (run.path / "videos").is_symlink()


def test_a_record_comes_back_as_it_was_written(run: RunFolder):
    results = Results(last=AgentResult(mean_reward=1.5))
    record = RunRecord(status="interrupted", name="Größe ×", results=results)
    run.write_record(RunRecord(status="running"))
    run.write_record(record)
    assert run.read_record() == record
    assert read_record(run.path) == record
    assert "Größe ×" in (run.path / "run.json").read_text(encoding="utf-8")


def test_a_run_that_never_started_has_an_empty_record(tmp_path: Path):
    assert RunFolder(tmp_path / "nowhere", "model.zip").read_record() is None
    (tmp_path / "file").touch()
    assert read_record(tmp_path / "file" / "seed-0") is None


def test_a_run_is_announced_once(tmp_path: Path):
    run = RunFolder(tmp_path / "exp-0123abcd" / "seed-0", "model.zip")
    run.announce(RunRecord(status="pending"))
    run.announce(RunRecord(status="failed"))
    assert run.read_record() == RunRecord(status="pending")
    assert not run.is_claimed()


def test_a_run_that_another_process_has_is_not_announced(run: RunFolder):
    RunFolder(run.path, "model.zip").announce(RunRecord(status="pending"))
    assert run.read_record() is None


def test_damaged_json_names_the_file_and_the_cure(run: RunFolder):
    (run.path / "run.json").write_text('{"status": "fini')
    with pytest.raises(RunFolderError) as caught:
        run.read_record()
    (problem,) = caught.value.problems
    assert "Not valid JSON" in problem.what
    assert problem.where == str(run.path / "run.json")
    assert "--fresh" in problem.cure


@pytest.mark.parametrize("content", [b"[1, 2]", b"null", b'"text"', b"\xff\xfe\x00", b""])
def test_a_record_that_holds_no_object_is_refused(run: RunFolder, content: bytes):
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(RunFolderError) as caught:
        run.read_record()
    assert caught.value.problems[0].where == str(run.path / "run.json")


def test_a_folder_in_place_of_the_record_is_refused(run: RunFolder):
    (run.path / "run.json").mkdir()
    with pytest.raises(RunFolderError, match="Not readable"):
        run.read_record()


def test_a_crash_while_writing_the_record_leaves_the_old_one(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    run.write_record(RunRecord(status="running"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write_half_then_die)
        with pytest.raises(PowerCutError):
            run.write_record(RunRecord(status="interrupted", error="x" * 100))
    assert run.read_record() == RunRecord(status="running")
    run.write_record(RunRecord(status="interrupted"))
    assert run.read_record() == RunRecord(status="interrupted")


def test_a_record_that_is_not_json_leaves_the_old_one(run: RunFolder):
    run.write_record(RunRecord(status="running"))
    with pytest.raises(TypeError):
        run.write_record(RunRecord(status=object()))
    assert run.read_record() == RunRecord(status="running")


def test_a_crash_while_writing_the_config_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    experiment = ExperimentFolder(tmp_path / "exp", "model.zip")
    experiment.write_config("name: old\n")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write_half_then_die)
        with pytest.raises(PowerCutError):
            experiment.write_config("name: new\n")
    assert (tmp_path / "exp" / "config.yaml").read_text() == "name: old\n"


# --- what the operating system refuses ------------------------------------------------------------


WRITES: dict[str, Callable[[RunFolder], object]] = {
    "write_record": lambda run: run.write_record(RunRecord(status="running")),
    "save_best": lambda run: run.agents.save_best(10, saver("best")),
    "save_final": lambda run: run.agents.save_final(saver("last")),
    "open_episodes": lambda run: run.measurements.open_episodes().close(),
    "save_evaluations": lambda run: run.measurements.save_evaluations({"timesteps": np.array([1])}),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize(
    ("code", "message"),
    [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system")],
)
def test_a_refused_write_is_explained(
    run: RunFolder,
    monkeypatch: pytest.MonkeyPatch,
    write: Callable[[RunFolder], object],
    code: int,
    message: str,
):
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", refuse)
        patch.setattr(Path, "open", refuse)
        with pytest.raises(RunFolderError) as caught:
            write(run)
    assert isinstance(caught.value, DiskFullError) == (code == errno.ENOSPC)
    (problem,) = caught.value.problems
    assert message in problem.what
    assert problem.where.startswith(str(run.path))
    assert "--runs-dir" in problem.cure
    write(run)  # and once there is space, it works


def test_a_full_disk_leaves_the_old_record(run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    run.write_record(RunRecord(status="running"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", half_of_it)
        with pytest.raises(RunFolderError, match="No space left"):
            run.write_record(RunRecord(status="interrupted"))
        with pytest.raises(DiskFullError):  # nothing was reserved
            run.write_final_record(RunRecord(status="interrupted"))
    assert json.loads((run.path / "run.json").read_text())["status"] == "running"
    assert [file.name for file in run.path.glob("*run.json*")] == ["run.json"]


def half_of_it(path: Path, text: str, **_: object) -> None:
    with path.open("w") as file:
        file.write(text[:3])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("length", [10, 200_000])
def test_on_a_full_disk_the_final_record_takes_the_reserved_space(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, length: int
):
    run.reserve_record()
    run.write_record(RunRecord(status="running"))
    final = RunRecord(status="failed", error="full", traceback="x" * length, log_tail=("y",))
    monkeypatch.setattr(Path, "write_text", half_of_it)
    run.write_final_record(final)
    # What does not fit goes without its longest parts.
    kept = final if length == 10 else RunRecord(status="failed", error="full")
    assert run.read_record() == kept
    assert sorted(file.name for file in run.path.iterdir()) == [LOCK, "run.json"]


def test_the_reserved_space_is_freed_at_the_end(run: RunFolder):
    run.reserve_record()
    assert (run.path / ".spare").stat().st_size == SPARE_SIZE
    run.clear()  # as a new run does
    run.write_final_record(RunRecord(status="interrupted"))
    assert run.read_record() == RunRecord(status="interrupted")
    assert not (run.path / ".spare").exists()


def test_a_file_where_the_run_folder_should_be_is_explained(tmp_path: Path):
    (tmp_path / "seed-0").write_text("in the way")
    with pytest.raises(RunFolderError, match="Cannot write"):
        RunFolder(tmp_path / "seed-0", "model.zip").claim()


def test_a_file_where_the_runs_directory_should_be_is_explained(tmp_path: Path):
    (tmp_path / "runs").write_text("in the way")
    experiment = ExperimentFolder.place(tmp_path / "runs", "exp", "0123abcd", "model.zip")
    with pytest.raises(RunFolderError, match="Cannot write"):
        experiment.write_config("name: x\n")
    with pytest.raises(RunFolderError, match="Cannot write"):
        experiment.run(0).claim()
    assert (tmp_path / "runs").read_text() == "in the way"


def test_writing_a_config_creates_the_folder_and_leaves_nothing_else(tmp_path: Path):
    experiment = ExperimentFolder.place(tmp_path / "runs", "exp", "0123abcd", "model.zip")
    experiment.write_config("name: ×\n")
    experiment.write_config("name: exp\n")
    assert files_below(tmp_path) == {str(Path("runs", "exp-0123abcd", "config.yaml"))}
    assert (experiment.path / "config.yaml").read_text(encoding="utf-8") == "name: exp\n"


# --- log.txt --------------------------------------------------------------------------------------


def test_a_log_that_is_too_long_keeps_its_end(run: RunFolder, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(folder_module, "MOST_LOG", 1_000)
    monkeypatch.setattr(folder_module, "KEPT_LOG", 100)
    with run.open_log() as log:  # as the run has it open, too
        log.write("a" * 1_000)
        log.flush()
        run.trim_log()
        assert (run.path / "log.txt").stat().st_size == 1_000
        log.write("b" * 100)
        log.flush()
        run.trim_log()
        log.write("c")
    text = (run.path / "log.txt").read_text()
    assert text.endswith("]\n" + "b" * 100 + "c")
    assert len(text) < 300
    RunFolder(run.path / "nowhere").trim_log()


def test_lines_are_added_to_the_log_without_secrets(run: RunFolder):
    run.add_to_log("begun")
    run.add_to_log("api_key=abc123secret")
    assert run.log_tail()[0] == "begun"
    assert "abc123secret" not in (run.path / "log.txt").read_text()


def test_a_log_that_cannot_be_written_does_not_stop_anything(run: RunFolder):
    (run.path / "log.txt").mkdir(parents=True)
    run.add_to_log("begun")
    assert run.log_tail() == []
    assert list((run.path / "log.txt").iterdir()) == []


def test_the_end_of_a_log_is_bounded_in_lines_and_bytes(run: RunFolder):
    with run.open_log() as log:
        log.write("x" * 1_000_000 + "\n" + "\n".join(map(str, range(10))))
    assert run.log_tail(3) == ["7", "8", "9"]
    assert sum(map(len, run.log_tail())) <= folder_module.MOST_TAIL
