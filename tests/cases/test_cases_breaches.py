"""Generated environments that break their contract: never a traceback, never a hang."""

from pathlib import Path

import pytest
from breach_trial import try_breach

DOCUMENTED = {"ok", "failed", "refused", "skipped"}


@pytest.mark.parametrize("n", range(0, 300, 20))
def test_a_breach_is_a_panel_or_a_failed_run(n: int, tmp_path: Path) -> None:
    outcome = try_breach(n, tmp_path)
    endings = {outcome.check, outcome.train, outcome.evaluate, outcome.baseline}
    assert endings <= DOCUMENTED
    if outcome.train == "refused":  # before anything was written
        assert not [path for path in tmp_path.rglob("*") if path.name == "run.json"]
