"""What tests of cases share; some files have a ``case`` of their own."""

from pathlib import Path

import pytest
from case_runs import Case

import rl_runner.training.commands.check as check_module

CASES = Path(__file__).parent


@pytest.fixture(autouse=True)
def _a_short_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``rl check`` try an environment for a moment only."""
    monkeypatch.setattr(check_module, "PROBE_SECONDS", 0.1)
    monkeypatch.setattr(check_module, "MAX_PROBE_SECONDS", 1.0)


@pytest.fixture
def case(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Case:
    """Make the modules of a case importable, in an empty working directory; return its config."""

    def enter(name: str) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.syspath_prepend(CASES / name)
        return next((CASES / name).glob("*.yaml"))

    return enter
