from pathlib import Path

import pytest

from rl_runner.errors import CheckpointError, RunFolderError
from rl_runner.runs.checkpoints import CheckpointStore, verify


def store_with(path: Path, *timesteps: int) -> CheckpointStore:
    store = CheckpointStore(path / "checkpoints")
    for t in timesteps:
        store.write(str(t), lambda folder, t=t: (folder / "model.zip").write_text(f"at {t}"))
    return store


def test_the_newest_comes_first_by_number(tmp_path: Path):
    store = store_with(tmp_path, 900, 1000, 100)
    assert [place.name for place in store.whole_ones(pytest.fail)] == ["1000", "900", "100"]
    assert store.newest_timesteps() == 1000


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "no checksums", "bad checksums"])
def test_a_damaged_one_is_named_and_the_one_before_it_used(tmp_path: Path, damage: str):
    store = store_with(tmp_path, 100, 200)
    newest = store.path / "200"
    if damage == "flip":
        (newest / "model.zip").write_text("AT 200")
    elif damage == "cut":
        (newest / "model.zip").write_text("at")
    elif damage == "remove":
        (newest / "model.zip").unlink()
    elif damage == "no checksums":
        (newest / "checksums.json").unlink()
    else:
        (newest / "checksums.json").write_text("[1, 2]")
    warnings: list[str] = []
    assert next(store.whole_ones(warnings.append)).name == "100"
    assert len(warnings) == 1
    assert str(newest) in warnings[0]
    with pytest.raises(CheckpointError):
        verify(newest)


def test_a_crash_while_writing_leaves_the_old_ones_and_no_litter(tmp_path: Path):
    store = store_with(tmp_path, 100)

    def crash(folder: Path) -> None:
        (folder / "model.zip").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.write("200", crash)
    assert [entry.name for entry in store.path.iterdir()] == ["100"]


def test_a_full_disk_is_explained_and_the_old_one_kept(tmp_path: Path):
    store = store_with(tmp_path, 100)

    def full(folder: Path) -> None:
        raise OSError(28, "No space left on device", str(folder / "model.zip"))

    with pytest.raises(RunFolderError, match="No space left"):
        store.write("200", full)
    assert next(store.whole_ones(pytest.fail)).name == "100"


def test_only_the_newest_are_kept(tmp_path: Path):
    store = store_with(tmp_path, 1, 2, 3, 10)
    store.write("best-3", lambda folder: (folder / "model.zip").write_text("best"))
    (store.path / ".new-litter").mkdir()
    store.keep_newest(2)
    assert sorted(entry.name for entry in store.path.iterdir()) == ["10", "3", "best-3"]


def names(store: CheckpointStore) -> set[str]:
    return {entry.name for entry in store.path.iterdir()}


def write_exit(store: CheckpointStore, timesteps: int) -> None:
    store.write_exit(timesteps, lambda folder: (folder / "model.zip").write_text("open"))


def test_the_newest_exit_is_resumed_from_and_the_regular_one_before_it_kept(tmp_path: Path):
    store = store_with(tmp_path, 100, 200)
    write_exit(store, 230)
    write_exit(store, 1000)
    store.keep_newest(1)
    assert names(store) == {"200", "exit-1000"}
    assert [place.name for place in store.whole_ones(pytest.fail)] == ["exit-1000", "200"]
    assert store.newest_timesteps() == 1000
    store.remove(store.path / "exit-1000")
    assert [place.name for place in store.whole_ones(pytest.fail)] == ["200"]


def test_an_exit_goes_with_the_next_regular_one_and_a_damaged_one_is_passed_over(tmp_path: Path):
    store = store_with(tmp_path, 100)
    write_exit(store, 130)
    (store.path / "exit-130" / "model.zip").write_text("damaged")
    warnings: list[str] = []
    assert next(store.whole_ones(warnings.append)).name == "100"
    assert "exit-130" in warnings[0]
    store_with(tmp_path, 200).keep_newest(2)
    assert names(store) == {"100", "200"}


@pytest.mark.parametrize("timesteps", [130, 200])
def test_an_exit_is_removed_once_a_regular_one_is_as_far(tmp_path: Path, timesteps: int):
    store = store_with(tmp_path, 100)
    write_exit(store, timesteps)
    store_with(tmp_path, 200).keep_newest(2)
    assert sorted(place.name for place in store.path.iterdir()) == ["100", "200"]
