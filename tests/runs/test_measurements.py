import gc
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from run_files import PowerCutError

from rl_runner.errors import RunFolderError
from rl_runner.layout import EPISODE_COLUMNS
from rl_runner.runs.folder import RunFolder


def test_a_crash_while_saving_evaluations_leaves_the_old_ones(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
):
    old = {"timesteps": np.array([10]), "returns": np.array([[1.0, 2.0]])}
    run.measurements.save_evaluations(old)

    def half(file: IO[bytes], **_: object) -> None:
        file.write(b"PK\x03\x04")
        raise PowerCutError

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", half)
        with pytest.raises(PowerCutError):
            run.measurements.save_evaluations({"timesteps": np.array([10, 20])})
    loaded = run.measurements.load_evaluations()
    assert set(loaded) == set(old)
    np.testing.assert_array_equal(loaded["returns"], old["returns"])


def test_episodes_begin_with_the_columns_and_reach_the_disk_line_by_line(run: RunFolder):
    with run.measurements.open_episodes() as file:
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
    run.measurements.save_evaluations({"timesteps": np.array([100])})
    run.measurements.save_evaluations(arrays)
    loaded = run.measurements.load_evaluations()
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
        run.measurements.load_evaluations()
    gc.collect()  # a file that was left open is this test's fault, not a later one's
    assert caught.value.problems[0].where == str(path)
