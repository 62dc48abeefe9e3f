import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# Runs the command as the `rl` script does, then tells which packages were loaded on the way.
SCRIPT = """
import json, sys
from rl_runner.cli.app import main
try:
    main()
finally:
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps(packages), file=sys.stderr)
"""
HEAVY = {"torch", "stable_baselines3", "sb3_contrib", "matplotlib", "tensorboard", "scipy"}


def packages_loaded_by(*arguments: str, cwd: Path) -> set[str]:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(json.loads(result.stderr.splitlines()[-1]))
    assert "rl_runner" in loaded
    assert result.stdout
    return loaded


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("--version",),
        ("check", "--help"),
        ("train", "--help"),
        ("runs",),
    ],
    ids=" ".join,
)
def test_a_light_command_loads_nothing_heavy(arguments: tuple[str, ...], tmp_path: Path):
    loaded = packages_loaded_by(*arguments, cwd=tmp_path)
    assert not loaded & (HEAVY | {"gymnasium", "numpy"})


def test_runs_that_are_there_are_listed_without_loading_anything_heavy(tmp_path: Path):
    run = tmp_path / "runs" / "mine-01234567" / "seed-0"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{"status": "running", "seed": 0}', encoding="utf-8")
    assert not packages_loaded_by("runs", cwd=tmp_path) & (HEAVY | {"gymnasium", "numpy"})


def test_listing_environments_does_not_load_torch(tmp_path: Path):
    loaded = packages_loaded_by("envs", "cartpole", cwd=tmp_path)
    assert "gymnasium" in loaded
    assert not loaded & HEAVY


def test_importing_the_package_loads_nothing_heavy(tmp_path: Path):
    code = "import sys, rl_runner; print(' '.join(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in result.stdout.split()}
    assert not loaded & (HEAVY | {"gymnasium", "numpy", "pydantic", "typer"})


def test_a_mistake_in_a_config_is_reported_without_loading_torch(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("env: {id: CartPole-v1}\nalgo: {name: ppo}\ntrian: {}\n")
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, "check", "bad.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "trian" in result.stderr
    assert not set(json.loads(result.stderr.splitlines()[-1])) & HEAVY


def test_checking_a_config_loads_no_compiler(tmp_path: Path):
    code = """
import sys
from rl_runner import config_from_dict
from rl_runner.training.resolve import resolve
raw = {"env": {"id": "CartPole-v1"}, "algo": {"name": "ppo"}, "train": {"total_timesteps": 9000}}
assert resolve(config_from_dict(raw)).config.algo.engine == "fast"
print(" ".join({"numba", "sympy", "torch._dynamo"} & set(sys.modules)))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []


def test_ctrl_c_while_the_command_is_imported_ends_it_without_a_traceback(tmp_path: Path):
    code = """
import builtins, os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where a shell ignores it
from rl_runner.__main__ import main

def interrupting_import(name, *arguments, plain=builtins.__import__):
    if name == "typer":
        os.kill(os.getpid(), signal.SIGINT)
    return plain(name, *arguments)

builtins.__import__ = interrupting_import
main()
"""
    result = subprocess.run(
        [sys.executable, "-c", code, "algos"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "Interrupted.\n")


# Stops where the command starts its fork server, and tells what this process has loaded by then.
UNTIL_FORK_SERVER = """
import json, sys
import rl_runner.startup
def stop(modules):
    packages = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps([packages, list(modules)]), file=sys.stderr)
    sys.exit()
rl_runner.startup.start_fork_server = stop
from rl_runner.cli.app import main
main()
"""
ON_LOGS = """
    name: on-logs
    env: {id: Recommender-v0}
    data: {path: log.parquet}
    algo: {name: q_learning}
    train: {seeds: 1}
"""


@pytest.mark.parametrize("command", ["train", "tune"])
def test_the_fork_server_starts_before_the_command_loads_torch(
    command: str, write_yaml: Any, tmp_path: Path
):
    """So that both load it at the same time."""
    loaded, modules = stopped_at_the_fork_server(command, write_yaml(), cwd=tmp_path)
    assert "pydantic" in loaded
    assert not loaded & (HEAVY | {"gymnasium", "numba"})
    assert "rl_runner.training.run" in modules


def test_the_fork_server_starts_before_the_command_loads_the_reader_of_logs(
    write_yaml: Any, tmp_path: Path
):
    loaded, modules = stopped_at_the_fork_server("train", write_yaml(ON_LOGS), cwd=tmp_path)
    assert not loaded & (HEAVY | {"gymnasium", "numba", "polars"})
    assert "numba" in modules


def stopped_at_the_fork_server(command: str, config: Path, cwd: Path) -> tuple[set[str], list[str]]:
    result = subprocess.run(
        [sys.executable, "-c", UNTIL_FORK_SERVER, command, str(config)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    packages, modules = json.loads(result.stderr.splitlines()[-1])
    return set(packages), modules
