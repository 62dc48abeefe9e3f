import stat
import subprocess
import sys
from pathlib import Path

import pytest
from run_files import PowerCutError, files_below, saver

from rl_runner.errors import CheckpointError
from rl_runner.layout import LOCK
from rl_runner.runs.folder import RunFolder

DIE_WHILE_SAVING = """
import os, sys
from pathlib import Path
from rl_runner.runs.folder import RunFolder
def save(folder):
    (folder / "model.zip").write_text("half of a mod")
    os._exit(9)
agents = RunFolder(Path(sys.argv[1]), "model.zip").agents
getattr(agents, sys.argv[2])(*map(int, sys.argv[3:]), save)
"""


def test_a_crash_while_saving_the_final_agent_leaves_the_old_one_and_no_litter(run: RunFolder):
    run.agents.save_final(saver("old"))
    before = files_below(run.path)

    def crash(folder: Path) -> None:
        (folder / "model.zip").write_text("half")
        raise PowerCutError

    with pytest.raises(PowerCutError):
        run.agents.save_final(crash)
    assert run.agents.weights.read_text() == "old"
    assert files_below(run.path) == before


def test_a_crash_while_saving_the_best_agent_leaves_the_old_one(run: RunFolder):
    run.agents.save_best(10, saver("old"))

    def crash(folder: Path) -> None:
        (folder / "model.zip").write_text("half")
        raise PowerCutError

    with pytest.raises(PowerCutError):
        run.agents.save_best(20, crash)
    assert (run.agents.find("best") / "model.zip").read_text() == "old"


@pytest.mark.parametrize(
    ("method", "timesteps"), [("save_best", ["20"]), ("save_best", ["10"]), ("save_final", [])]
)
def test_a_process_that_dies_while_saving_leaves_the_old_agent(
    run: RunFolder, method: str, timesteps: list[str]
):
    run.agents.save_best(10, saver("old"))
    run.agents.save_final(saver("old"))
    command = [sys.executable, "-c", DIE_WHILE_SAVING, str(run.path), method, *timesteps]
    assert subprocess.run(command, check=False).returncode == 9
    assert (run.agents.find("best") / "model.zip").read_text() == "old"
    assert (run.agents.find("last") / "model.zip").read_text() == "old"


def test_the_litter_of_a_process_that_died_goes_with_the_next_checkpoint(run: RunFolder):
    command = [sys.executable, "-c", DIE_WHILE_SAVING, str(run.path), "save_best", "20"]
    subprocess.run(command, check=False)
    assert len(list((run.path / "checkpoints").iterdir())) == 1
    run.checkpoints.write("30", saver("whole"))
    run.checkpoints.keep_newest(1)
    assert files_below(run.path / "checkpoints") == {"30/model.zip", "30/checksums.json"}


def test_only_the_best_agent_and_its_pointer_are_kept(run: RunFolder):
    for timesteps in (10, 20, 5, 30):
        run.agents.save_best(timesteps, saver(f"agent at {timesteps}"))
        name = f"best-{timesteps}"
        assert run.agents.find("best") == run.path / "checkpoints" / name
        kept = {"best", f"{name}/model.zip", f"{name}/checksums.json"}
        assert files_below(run.path / "checkpoints") == kept
    assert (run.path / "checkpoints" / "best").read_text() == "best-30\n"
    assert (run.agents.find("best") / "model.zip").read_text() == "agent at 30"


def test_a_better_agent_at_the_same_timestep_replaces_the_older_one(run: RunFolder):
    run.agents.save_best(10, saver("first"))
    run.agents.save_best(10, saver("second"))
    assert (run.agents.find("best") / "model.zip").read_text() == "second"


def test_other_users_may_read_the_best_agent(run: RunFolder):
    run.agents.save_best(10, saver("best"))
    mode = stat.S_IMODE(run.agents.find("best").stat().st_mode)
    assert mode & 0o055 == 0o055


def test_every_file_of_the_final_agent_lands_in_the_run_folder(run: RunFolder):
    def save(folder: Path) -> None:
        assert folder.parent == run.path  # the same file system, or it could not be renamed
        (folder / "model.zip").write_text("weights")
        (folder / "normalization.npz").write_text("statistics")

    run.agents.save_final(save)
    assert run.agents.find("last") == run.path
    assert run.agents.weights.read_text() == "weights"
    assert (run.path / "normalization.npz").read_text() == "statistics"
    assert files_below(run.path) == {LOCK, "model.zip", "normalization.npz"}


@pytest.mark.parametrize("name", ["last", "best"])
def test_a_missing_agent_is_named_with_its_folder_and_cure(run: RunFolder, name: str):
    with pytest.raises(CheckpointError) as caught:
        run.agents.find(name)  # type: ignore[arg-type]
    (problem,) = caught.value.problems
    assert f"`{name}`" in problem.what
    assert problem.where == str(run.path)
    assert "rl train" in problem.cure


@pytest.mark.parametrize("pointer", ["best-10\n", "", "\n", "none", "../..", "best-99\n"])
def test_a_pointer_to_nothing_is_a_missing_agent(run: RunFolder, pointer: str):
    run.agents.save_best(10, saver("best"))
    (run.path / "checkpoints" / "best-10" / "model.zip").unlink()
    (run.path / "checkpoints" / "best").write_text(pointer)
    with pytest.raises(CheckpointError, match="`best`"):
        run.agents.find("best")


def test_an_agent_of_another_algorithm_is_a_missing_agent(run: RunFolder):
    run.agents.save_final(saver("weights"))
    with pytest.raises(CheckpointError):
        RunFolder(run.path, "q_table.npz").agents.find("last")


@pytest.mark.parametrize("name", ["best", "halfway", "20"])
@pytest.mark.parametrize("damage", [b"", b"half of", None])
def test_a_damaged_agent_is_named_with_its_file_and_refused(
    run: RunFolder, name: str, damage: bytes | None
):
    run.agents.save_best(20, saver("the best so far"))
    run.agents.save_halfway(10, saver("halfway"))
    run.checkpoints.write("20", saver("all that training needs"))
    place = run.agents.find(name)
    file = place / "model.zip"
    if damage is None:
        (place / "checksums.json").unlink()
    else:
        file.write_bytes(damage)
    with pytest.raises(CheckpointError) as caught:
        run.agents.find(name)
    (problem,) = caught.value.problems
    assert problem.where == str(place)
    assert ("checksums.json" if damage is None else "`model.zip`") in problem.what
    assert problem.cure
    assert "pickle" not in str(problem)
