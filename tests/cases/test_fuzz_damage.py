"""A sample of :mod:`fuzz_damage`, which anybody can run longer."""

from pathlib import Path

import fuzz_damage
import pytest

import rl_runner.training.commands.check as check_module


@pytest.fixture(autouse=True)
def _quick_checks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(check_module, "PROBE_SECONDS", 0.02)  # restored afterwards
    monkeypatch.setattr(check_module, "MAX_PROBE_SECONDS", 0.5)


@pytest.mark.slow
def test_a_damaged_config_is_checked_or_refused(tmp_path: Path):
    trials = list(fuzz_damage.fuzz_configs(60, 1, tmp_path))
    assert len(trials) == 60
    assert {"accepted", "refused"} <= {trial.outcome for trial in trials}
    assert [str(trial) for trial in trials if trial.wrong] == []


@pytest.mark.slow
def test_a_damaged_run_is_used_or_named_and_its_neighbour_is_not_affected(tmp_path: Path):
    trials = list(fuzz_damage.fuzz_folders(50, 1, tmp_path))
    assert len(trials) == 50
    assert {"accepted", "refused"} <= {trial.outcome for trial in trials}
    assert [str(trial) for trial in trials if trial.wrong] == []
