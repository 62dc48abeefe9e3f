"""A disk that is really full: nothing is lost, and no run is left as running."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filling_envs
import pytest

from rl_runner import config_from_dict, train
from rl_runner.config import ExperimentConfig
from rl_runner.evaluation.reproduction import differences
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import read_record
from rl_runner.training.experiment import ExperimentResult

# SB3 leaves its half-written file to the garbage collector, TensorBoard writes in a thread.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

EXPERIMENTS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "q_learning": ({"id": "FrozenLake-v1"}, {}, "q_table.npz"),
    "reinforce": ({"id": "CartPole-v1"}, {"n_episodes": 2}, "policy.pt"),
    "ppo": (
        {"id": "CartPole-v1", "n_envs": 2, "normalize": True},
        {"n_steps": 64, "batch_size": 64, "n_epochs": 1},
        "model.zip",
    ),
}


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Mount a file system of 6 MB."""
    folder = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here; that needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S607


@pytest.fixture
def disk(small_disk: Path) -> Iterator[Path]:
    """Give the small file system, empty before and after."""
    yield small_disk
    for entry in small_disk.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def config_of(name: str) -> ExperimentConfig:
    env, algo, _ = EXPERIMENTS[name]
    return config_from_dict(
        {
            "name": name,
            "env": {**env, "wrappers": ["filling_envs.FillsTheDisk"]},
            "algo": {"name": name, **algo},
            "train": {"total_timesteps": 800, "seeds": [0]},
            "eval": {"every": 400, "n_episodes": 2, "final_episodes": 3},
            "checkpoint": {"every": 200},
        }
    )


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], RunFolder]:
    """Train each algorithm once on a disk with enough space."""
    done: dict[str, RunFolder] = {}

    def train_once(name: str) -> RunFolder:
        if name not in done:
            filling_envs.prepare(0, Path())
            (run,) = train(config_of(name), runs_dir=tmp_path_factory.mktemp("whole")).runs
            done[name] = RunFolder(run.path, EXPERIMENTS[name][2])
        return done[name]

    return train_once


# In the first segment, before a checkpoint, before an evaluation, and in the final evaluation.
@pytest.mark.slow
@pytest.mark.parametrize("at", [5, 190, 395, 790, 840])
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_run_whose_disk_fills_up_says_so_and_resumes_exactly(
    name: str, at: int, disk: Path, undisturbed: Callable[[str], RunFolder]
):
    whole = undisturbed(name)

    def train_again() -> ExperimentResult:
        return train(config_of(name), runs_dir=disk / "runs")

    filling_envs.prepare(at, disk / "filler")
    (run,) = train_again().runs
    assert (disk / "filler").exists()
    on_disk = read_record(run.path)
    assert on_disk is not None
    assert on_disk.status == run.status
    if run.status != "finished":  # the last evaluation may leave nothing more to write
        assert run.status == "failed"
        assert on_disk.disk_full
        assert "No space left on device" in (on_disk.error or "")

    (disk / "filler").unlink()
    filling_envs.prepare(0, Path())
    (run,) = train_again().runs
    assert run.status == "finished"
    assert differences(whole, RunFolder(run.path, whole.weights_file)) == []
    assert not (run.path / ".spare").exists()


def test_a_full_disk_at_the_start_is_a_panel(rl: Any, write_yaml: Any, disk: Path):
    filling_envs.fill(disk / "filler")
    outcome = rl("train", write_yaml(), "--runs-dir", disk / "runs")
    assert outcome.exit_code == 2
    assert "No space left on device. Free some space" in outcome.message


SIMULATED = Path(__file__).parents[2] / "configs" / "recommender" / "q_learning.yaml"
SIMULATE = ("simulate", SIMULATED, "--interactions", 300)
EVALUATE = ("eval", "--env", "FrozenLake-v1", "--policy", "random", "--episodes", 2)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (SIMULATE, "log.parquet"),
        (SIMULATE, "log.jsonl"),
        (EVALUATE, "episodes.csv"),
        (EVALUATE, "episodes.json"),
    ],
)
def test_a_file_that_does_not_fit_is_not_left_in_part(
    rl: Any, disk: Path, command: tuple[object, ...], file: str
):
    filling_envs.fill(disk / "filler")
    outcome = rl(*command, "--out", disk / file)
    assert outcome.exit_code == 2
    assert f"{file} Cannot write: No space left on device." in outcome.message
    assert [entry.name for entry in disk.iterdir()] == ["filler"]
    (disk / "filler").unlink()
    assert rl(*command, "--out", disk / file).exit_code == 0
    assert (disk / file).stat().st_size > 0
