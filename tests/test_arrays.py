from pathlib import Path

import numpy as np
import pytest

from rl_runner.arrays import load_arrays, save_arrays


def test_arrays_come_back_as_they_were(tmp_path: Path):
    arrays = {"a": np.arange(3), "b/c": np.array([[0.5, np.nan]]), "empty": np.zeros((0, 2))}
    save_arrays(tmp_path / "file", arrays)
    loaded = load_arrays(tmp_path / "file")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(loaded[name], array, strict=True)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_half_a_file_is_damaged_and_nothing_is_said_of_pickles(tmp_path: Path, share: float):
    save_arrays(tmp_path / "file", {"a": np.arange(100)})
    contents = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(contents[: int(share * len(contents))])
    with pytest.raises(ValueError, match="not an npz file, or a damaged one") as caught:
        load_arrays(tmp_path / "file")
    assert "pickle" not in str(caught.value)


def test_objects_are_never_unpickled(tmp_path: Path):
    np.savez(tmp_path / "file.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        load_arrays(tmp_path / "file.npz")
