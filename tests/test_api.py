import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import rl_runner

CONFIGS = Path(rl_runner.__file__).parents[1] / "configs"
HEAVY = ("torch", "gymnasium", "stable_baselines3", "numpy", "scipy", "matplotlib", "pydantic")


def _in_a_new_process(script: str) -> Any:
    """Run a script that prints JSON, in an interpreter that has imported nothing yet."""
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_importing_the_package_imports_nothing_heavy():
    script = "import json, sys, rl_runner; print(json.dumps(sorted(sys.modules)))"
    modules = _in_a_new_process(script)
    assert "rl_runner" in modules
    assert [name for name in HEAVY if name in modules] == []
    assert [name for name in modules if name.startswith("rl_runner.")] == []


def test_reading_a_config_imports_neither_torch_nor_gymnasium():
    script = f"""
import json, sys
from rl_runner import load_config
config = load_config({str(CONFIGS / "cartpole" / "ppo.yaml")!r})
heavy = ("torch", "gymnasium", "stable_baselines3")
print(json.dumps([config.name, [name for name in heavy if name in sys.modules]]))
"""
    assert _in_a_new_process(script) == ["cartpole-ppo", []]


def test_run_folders_are_read_without_anything_heavy():
    script = """
import json, sys
import rl_runner.runs.find, rl_runner.runs.provenance
print(json.dumps([name for name in ("torch", "gymnasium", "numpy") if name in sys.modules]))
"""
    assert _in_a_new_process(script) == []


def test_gymnasium_finds_our_environments_by_the_package_name():
    script = """
import json
import gymnasium
env = gymnasium.make("rl_runner:BitFlipping-v0")
print(json.dumps(env.spec.id))
"""
    assert _in_a_new_process(script) == "BitFlipping-v0"


@pytest.mark.parametrize("name", rl_runner.__all__)
def test_every_public_name_is_there(name: str):
    value = getattr(rl_runner, name)
    if name != "__version__":
        assert value.__name__ == name
        assert value.__module__.startswith("rl_runner.")
        assert value.__doc__


def test_dir_lists_the_public_names():
    assert set(rl_runner.__all__) <= set(dir(rl_runner))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'rl_runner' has no attribute 'trian'"):
        _ = rl_runner.trian
    assert not hasattr(rl_runner, "trian")


def test_a_star_import_gives_the_public_names():
    script = """
import json
before = set(globals())
from rl_runner import *
print(json.dumps(sorted(set(globals()) - before - {"before"})))
"""
    names = [name for name in sorted(rl_runner.__all__) if not name.startswith("__")]
    found = _in_a_new_process(script)
    assert [name for name in found if not name.startswith("__")] == names


def test_the_example_of_the_package_docstring_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from rl_runner import evaluate, load_config, load_run, train

    example = [line.strip() for line in (rl_runner.__doc__ or "").splitlines()]
    assert 'result = train(load_config("configs/cartpole/ppo.yaml", ["train.seeds=2"]))' in example
    assert "run = load_run(result.runs[0].path)" in example
    assert "print(evaluate(run, n_episodes=200).mean_reward)" in example

    monkeypatch.chdir(tmp_path)
    small = ["train.total_timesteps=512", "eval.n_episodes=2", "eval.final_episodes=3"]
    config = load_config(CONFIGS / "cartpole" / "ppo.yaml", ["train.seeds=2", *small])
    result = train(config)
    assert [run.status for run in result.runs] == ["finished", "finished"]
    assert result.path.parent == Path("runs")
    assert (tmp_path / result.path / "seed-1" / "run.json").is_file()
    summary = result.summary
    assert summary is not None
    assert summary.n == 2
    assert summary.ci95 is not None
    assert summary.ci95[0] <= summary.mean <= summary.ci95[1]

    run = load_run(result.runs[0].path)
    episodes = evaluate(run, n_episodes=7)
    assert len(episodes.returns) == 7
    assert episodes.returns[:3].mean() == result.runs[0].mean_reward
    assert evaluate(str(result.runs[0].path), 7).mean_reward == episodes.mean_reward


def test_the_version_is_that_of_the_installed_package():
    import importlib.metadata

    assert importlib.metadata.version("rl-runner") == rl_runner.__version__
