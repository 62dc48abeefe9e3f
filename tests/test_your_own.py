"""docs/your-own.md: every file that it shows is written down and trained."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from rl_runner import load_config, load_run, train
from rl_runner.errors import CodeError, ConfigError
from rl_runner.local_code import SWITCH
from rl_runner.training.resolve import resolve

TEXT = (Path(__file__).parent.parent / "docs/your-own.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", TEXT, flags=re.DOTALL))
CONFIGS = [name for name in FILES if name.endswith(".yaml")]
SHORT = ["train.total_timesteps=300", "eval.n_episodes=2", "eval.final_episodes=2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: a process imports a module from one place only."""
    path = tmp_path_factory.mktemp("your_own")
    for name, text in FILES.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


def test_there_is_a_config_for_each_part() -> None:
    shown = set(CONFIGS)
    assert {"corridor.yaml", "wrapped.yaml", "nets.yaml", "noise.yaml", "callbacks.yaml"} <= shown


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_trains_and_its_code_is_kept_beside_it(
    name: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # not the folder of the config
    (run,) = train(load_config(folder / name, SHORT), runs_dir=tmp_path).runs
    assert run.status == "finished", run.record.traceback
    kept = run.path.parent / "code"
    assert {path.name for path in kept.iterdir()} == {f"{module}.py" for module in run.record.code}
    for path in kept.iterdir():
        assert path.read_text(encoding="utf-8") == FILES[path.name]
    assert load_run(run.path).evaluate(n_episodes=2).returns.shape == (2,)


@pytest.mark.parametrize("name", CONFIGS)
def test_no_local_code_refuses_every_one(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCH, "0")
    with pytest.raises((CodeError, ConfigError), match="--no-local-code"):
        resolve(load_config(folder / name))


def test_a_lost_module_is_replaced_by_its_copy(tmp_path: Path, folder: Path) -> None:
    (run,) = train(load_config(folder / "corridor.yaml", SHORT), runs_dir=tmp_path).runs
    config = run.path.parent / "config.yaml"
    text = config.read_text(encoding="utf-8").replace(str(folder), str(tmp_path / "gone"))
    config.write_text(text, encoding="utf-8")
    code = f"from rl_runner import load_run; print(load_run({str(run.path)!r}).config.env.id)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout == "Corridor\n", done.stderr
