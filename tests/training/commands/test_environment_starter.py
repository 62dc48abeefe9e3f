import subprocess
import sys
from pathlib import Path

import pytest

from rl_runner import load_config, train
from rl_runner.errors import RunnerError
from rl_runner.training.commands.environment_starter import write_environment


def test_the_environment_passes_its_tests_and_trains_at_once(tmp_path: Path) -> None:
    environment, tests, config = write_environment(tmp_path / "line_of_tests.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert "5 passed" in done.stdout, done.stdout
    short = ["train.total_timesteps=4_000", "train.seeds=1", "eval.n_episodes=5"]
    (run,) = train(load_config(config, short), runs_dir=tmp_path / "runs").runs
    assert run.status == "finished", run.record.traceback
    assert list(run.record.code) == ["line_of_tests"]
    assert "class LineOfTests" in environment.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("my_env.txt", "is not a Python file"),
        ("my-env.py", "cannot be the name of a module"),
        ("class.py", "cannot be the name of a module"),
        ("__.py", "cannot be the name of a module"),
        ("random.py", "There is a module `random` already"),
        ("gymnasium.py", "There is a module `gymnasium` already"),
    ],
)
def test_a_file_that_could_not_be_imported_is_refused(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=text):
        write_environment(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["mine_x.py", "test_mine_x.py", "mine_x.yaml"])
def test_nothing_is_written_over(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine", encoding="utf-8")
    with pytest.raises(RunnerError, match="exists already"):
        write_environment(tmp_path / "mine_x.py")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path: Path) -> None:
    link = tmp_path / "test_mine_x.py"
    link.symlink_to(tmp_path / "gone" / "away.py")
    with pytest.raises(RunnerError, match="exists already"):
        write_environment(tmp_path / "mine_x.py")
    assert list(tmp_path.iterdir()) == [link]


def test_nothing_is_left_if_the_second_file_cannot_be_written(tmp_path: Path) -> None:
    longest = 255 - len(".py")  # `test_….py` is too long for a file's name
    with pytest.raises(RunnerError, match="cannot be written"):
        write_environment(tmp_path / "new" / "folder" / f"{'x' * longest}.py")
    assert list(tmp_path.iterdir()) == []
