"""What all tests share: repeatable Hypothesis, YAML files on disk, and the command in-process."""

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from typer.testing import CliRunner

from rl_runner import startup

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.load_profile("repeatable")

# What a run of any algorithm imports; a command's fork server loads only what its own runs need.
SHARED_BY_RUNS = (
    "rl_runner.training.run",
    "torch._dynamo",
    "rl_runner.agents.fast.warm_up",
    "rl_runner.agents.fast.on_policy",
    "rl_runner.agents.fast.off_policy",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
)
start_fork_server = startup.start_fork_server
# One fork server serves all tests of a worker, so the first of them decides what it has loaded.
startup.start_fork_server = lambda modules=(): start_fork_server([*modules, *SHARED_BY_RUNS])

WriteYaml = Callable[..., Path]
InvokeRl = Callable[..., "Outcome"]

TINY = """
    name: tiny
    env: {id: FrozenLake-v1}
    algo: {name: q_learning}
    train: {total_timesteps: 300, seeds: 2}
    eval: {every: 300, n_episodes: 2, final_episodes: 3}
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind: its exit code and what it said on either stream."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def message(self) -> str:
        """Standard error without the panel's frame and line breaks."""
        return " ".join(self.stderr.translate(str.maketrans("╭─╮│╰╯", "      ")).split())

    @property
    def document(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.stdout)


@pytest.fixture(scope="session")
def invoke_rl() -> InvokeRl:
    """Run ``rl`` in this process, wherever it is; an exception that escapes fails the test."""
    from rl_runner.cli.app import app

    def invoke(*arguments: object) -> Outcome:
        result = CliRunner().invoke(
            app, list(map(str, arguments)), prog_name="rl", catch_exceptions=False
        )
        return Outcome(result.exit_code, result.stdout, result.stderr)

    return invoke


@pytest.fixture
def rl(invoke_rl: InvokeRl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InvokeRl:
    """Run ``rl`` in an empty folder, ``tmp_path``."""
    monkeypatch.chdir(tmp_path)
    return invoke_rl


@pytest.fixture
def write_yaml(tmp_path: Path) -> WriteYaml:
    """Write a YAML file into ``tmp_path``; by default a tiny, valid experiment."""

    def write(text: str = TINY, name: str = "experiment.yaml") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write
