import errno
import gc
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from rl_runner.errors import CheckpointError, DiskFullError, RunFolderError
from rl_runner.runs.folder import ExperimentFolder, RunFolder
from rl_runner.runs.layout import EPISODE_COLUMNS, LOCK
from rl_runner.runs.record import AgentResult, Results, RunRecord, read_record

DIE_WHILE_SAVING = """
import os, sys
from pathlib import Path
from rl_runner.runs.folder import RunFolder
def save(folder):
    (folder / "model.zip").write_text("half of a mod")
    os._exit(9)
getattr(RunFolder(Path(sys.argv[1]), "model.zip"), sys.argv[2])(*map(int, sys.argv[3:]), save)
"""


class PowerCutError(Exception):
    """Stands for whatever ends a process in the middle of a write."""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    folder = RunFolder(tmp_path / "exp-0123abcd" / "seed-0", "model.zip")
    assert folder.claim()
    yield folder
    folder.release()


def _saver(text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "model.zip").write_text(text)


def _files_below(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}


def test_a_run_is_named_by_its_experiment_and_seed(tmp_path: Path):
    run = ExperimentFolder.place(tmp_path, "exp", "0123abcd", "model.zip").run(7)
    assert run.path == tmp_path / "exp-0123abcd" / "seed-7"
    assert list(tmp_path.iterdir()) == []


# --- clear ----------------------------------------------------------------------------------------


def test_clear_removes_everything_but_the_claim_and_the_record(run: RunFolder):
    run.write_record(RunRecord(status="failed"))
    run.save_best(10, _saver("best"))
    run.save_final(_saver("last"))
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


# --- run.json -------------------------------------------------------------------------------------


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


# --- atomic writes --------------------------------------------------------------------------------


def _write_half_then_die(path: Path, text: str, **_: object) -> int:
    with path.open("w") as file:
        file.write(text[: len(text) // 2])
    raise PowerCutError


def test_a_crash_while_writing_the_record_leaves_the_old_one(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    run.write_record(RunRecord(status="running"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", _write_half_then_die)
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
        patch.setattr(Path, "write_text", _write_half_then_die)
        with pytest.raises(PowerCutError):
            experiment.write_config("name: new\n")
    assert (tmp_path / "exp" / "config.yaml").read_text() == "name: old\n"


def test_a_crash_while_saving_evaluations_leaves_the_old_ones(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    old = {"timesteps": np.array([10]), "returns": np.array([[1.0, 2.0]])}
    run.save_evaluations(old)

    def half(file: IO[bytes], **_: object) -> None:
        file.write(b"PK\x03\x04")
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", half)
        with pytest.raises(PowerCutError):
            run.save_evaluations({"timesteps": np.array([10, 20])})
    loaded = run.load_evaluations()
    assert set(loaded) == set(old)
    np.testing.assert_array_equal(loaded["returns"], old["returns"])


def test_a_crash_while_saving_the_final_agent_leaves_the_old_one_and_no_litter(run: RunFolder):
    run.save_final(_saver("old"))
    before = _files_below(run.path)

    def crash(folder: Path) -> None:
        (folder / "model.zip").write_text("half")
        raise PowerCutError

    with pytest.raises(PowerCutError):
        run.save_final(crash)
    assert run.weights.read_text() == "old"
    assert _files_below(run.path) == before


def test_a_crash_while_saving_the_best_agent_leaves_the_old_one(run: RunFolder):
    run.save_best(10, _saver("old"))

    def crash(folder: Path) -> None:
        (folder / "model.zip").write_text("half")
        raise PowerCutError

    with pytest.raises(PowerCutError):
        run.save_best(20, crash)
    assert (run.checkpoint("best") / "model.zip").read_text() == "old"


@pytest.mark.parametrize(
    ("method", "timesteps"), [("save_best", ["20"]), ("save_best", ["10"]), ("save_final", [])]
)
def test_a_process_that_dies_while_saving_leaves_the_old_agent(
    run: RunFolder, method: str, timesteps: list[str]
):
    run.save_best(10, _saver("old"))
    run.save_final(_saver("old"))
    command = [sys.executable, "-c", DIE_WHILE_SAVING, str(run.path), method, *timesteps]
    assert subprocess.run(command, check=False).returncode == 9
    assert (run.checkpoint("best") / "model.zip").read_text() == "old"
    assert (run.checkpoint("last") / "model.zip").read_text() == "old"


def test_the_litter_of_a_process_that_died_goes_with_the_next_checkpoint(run: RunFolder):
    command = [sys.executable, "-c", DIE_WHILE_SAVING, str(run.path), "save_best", "20"]
    subprocess.run(command, check=False)
    assert len(list((run.path / "checkpoints").iterdir())) == 1
    run.checkpoints.write("30", _saver("whole"))
    run.checkpoints.keep_newest(1)
    assert _files_below(run.path / "checkpoints") == {"30/model.zip", "30/checksums.json"}


# --- agents ---------------------------------------------------------------------------------------


def test_only_the_best_agent_and_its_pointer_are_kept(run: RunFolder):
    for timesteps in (10, 20, 5, 30):
        run.save_best(timesteps, _saver(f"agent at {timesteps}"))
        name = f"best-{timesteps}"
        assert run.checkpoint("best") == run.path / "checkpoints" / name
        kept = {"best", f"{name}/model.zip", f"{name}/checksums.json"}
        assert _files_below(run.path / "checkpoints") == kept
    assert (run.path / "checkpoints" / "best").read_text() == "best-30\n"
    assert (run.checkpoint("best") / "model.zip").read_text() == "agent at 30"


def test_a_better_agent_at_the_same_timestep_replaces_the_older_one(run: RunFolder):
    run.save_best(10, _saver("first"))
    run.save_best(10, _saver("second"))
    assert (run.checkpoint("best") / "model.zip").read_text() == "second"


def test_other_users_may_read_the_best_agent(run: RunFolder):
    run.save_best(10, _saver("best"))
    mode = stat.S_IMODE(run.checkpoint("best").stat().st_mode)
    assert mode & 0o055 == 0o055


def test_every_file_of_the_final_agent_lands_in_the_run_folder(run: RunFolder):
    def save(folder: Path) -> None:
        assert folder.parent == run.path  # the same file system, or it could not be renamed
        (folder / "model.zip").write_text("weights")
        (folder / "normalization.npz").write_text("statistics")

    run.save_final(save)
    assert run.checkpoint("last") == run.path
    assert run.weights.read_text() == "weights"
    assert (run.path / "normalization.npz").read_text() == "statistics"
    assert _files_below(run.path) == {LOCK, "model.zip", "normalization.npz"}


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_missing_agent_is_named_with_its_folder_and_cure(run: RunFolder, name: str):
    with pytest.raises(CheckpointError) as caught:
        run.checkpoint(name)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert f"`{name}`" in problem.what
    assert problem.where == str(run.path)
    assert "rl train" in problem.cure


@pytest.mark.parametrize("pointer", ["best-10\n", "", "\n", "none", "../..", "best-99\n"])
def test_a_pointer_to_nothing_is_a_missing_agent(run: RunFolder, pointer: str):
    run.save_best(10, _saver("best"))
    (run.path / "checkpoints" / "best-10" / "model.zip").unlink()
    (run.path / "checkpoints" / "best").write_text(pointer)
    with pytest.raises(CheckpointError, match="`best`"):
        run.checkpoint("best")


def test_an_agent_of_another_algorithm_is_a_missing_agent(run: RunFolder):
    run.save_final(_saver("weights"))
    with pytest.raises(CheckpointError):
        RunFolder(run.path, "q_table.npz").checkpoint("last")


# --- measurements ---------------------------------------------------------------------------------


def test_episodes_begin_with_the_columns_and_reach_the_disk_line_by_line(run: RunFolder):
    with run.open_episodes() as file:
        header = ",".join(EPISODE_COLUMNS) + "\n"
        assert (run.path / "episodes.csv").read_text() == header
        file.write("8,1.0,8,1,0.010\n")
        assert (run.path / "episodes.csv").read_text() == header + "8,1.0,8,1,0.010\n"


def test_evaluations_come_back_as_they_were_saved(run: RunFolder):
    arrays = {
        "timesteps": np.array([100, 200]),
        "returns": np.array([[1.0, np.nan], [2.0, 3.0]]),
        "seeds": np.array([2**62, 5]),
    }
    run.save_evaluations({"timesteps": np.array([100])})
    run.save_evaluations(arrays)
    loaded = run.load_evaluations()
    assert set(loaded) == set(arrays)
    for key, array in arrays.items():
        np.testing.assert_array_equal(loaded[key], array)
        assert loaded[key].dtype == array.dtype


def _whole_npz(path: Path) -> bytes:
    np.savez(path, returns=np.arange(1000.0))
    return path.read_bytes()


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "flipped", "text", "objects"])
def test_damaged_evaluations_are_a_run_folder_problem(run: RunFolder, damage: str):
    path = run.path / "evaluations.npz"
    whole = _whole_npz(path)
    match damage:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "flipped":
            path.write_bytes(whole[:500] + bytes([whole[500] ^ 255]) + whole[501:])
        case "text":
            path.write_text("hello")
        case "objects":
            np.savez(path, returns=np.array([{"pickled": True}], dtype=object))
    with pytest.raises(RunFolderError) as caught:
        run.load_evaluations()
    gc.collect()  # a file that was left open is this test's fault, not a later one's
    assert caught.value.problems[0].where == str(path)


# --- what the operating system refuses ------------------------------------------------------------

WRITES: dict[str, Callable[[RunFolder], object]] = {
    "write_record": lambda run: run.write_record(RunRecord(status="running")),
    "save_best": lambda run: run.save_best(10, _saver("best")),
    "save_final": lambda run: run.save_final(_saver("last")),
    "open_episodes": lambda run: run.open_episodes().close(),
    "save_evaluations": lambda run: run.save_evaluations({"timesteps": np.array([1])}),
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
    def half_of_it(path: Path, text: str, **_: object) -> None:
        with path.open("w") as file:
            file.write(text[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run.write_record(RunRecord(status="running"))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", half_of_it)
        with pytest.raises(RunFolderError, match="No space left"):
            run.write_record(RunRecord(status="interrupted"))
    assert json.loads((run.path / "run.json").read_text())["status"] == "running"


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
    assert _files_below(tmp_path) == {str(Path("runs", "exp-0123abcd", "config.yaml"))}
    assert (experiment.path / "config.yaml").read_text(encoding="utf-8") == "name: exp\n"


# --- damaged agents -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["best", "halfway", "20"])
@pytest.mark.parametrize("damage", [b"", b"half of", None])
def test_a_damaged_agent_is_named_with_its_file_and_refused(
    run: RunFolder, name: str, damage: bytes | None
):
    run.save_best(20, _saver("the best so far"))
    run.save_halfway(10, _saver("halfway"))
    run.checkpoints.write("20", _saver("all that training needs"))
    place = run.checkpoint(name)
    file = place / "model.zip"
    if damage is None:
        (place / "checksums.json").unlink()
    else:
        file.write_bytes(damage)
    with pytest.raises(CheckpointError) as caught:
        run.checkpoint(name)
    (problem,) = caught.value.problems
    assert problem.where == str(place)
    assert ("checksums.json" if damage is None else "`model.zip`") in problem.what
    assert problem.cure
    assert "pickle" not in str(problem)
