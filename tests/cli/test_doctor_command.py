from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rl_runner.training.commands import doctor, installation
from rl_runner.training.commands.doctor import ResumeProof
from rl_runner.training.commands.installation import Finding

GOOD = Finding("disk", "roomy")
BAD = Finding("disk", "full", "Free some space.")


@pytest.mark.parametrize(("finding", "code"), [(GOOD, 0), (BAD, 1)])
def test_the_installation_is_examined(
    rl: Any, monkeypatch: pytest.MonkeyPatch, finding: Finding, code: int
):
    def examine(runs_dir: Path) -> Iterator[Finding]:
        assert runs_dir == Path("elsewhere")
        yield finding

    monkeypatch.setattr(installation, "examine_installation", examine)
    outcome = rl("doctor", "--runs-dir", "elsewhere")
    assert outcome.exit_code == code
    assert finding.found in outcome.stdout
    assert finding.cure in outcome.stdout
    assert rl("doctor", "--runs-dir", "elsewhere", "--json").document == [
        {"what": "disk", "found": finding.found, "cure": finding.cure}
    ]


@pytest.mark.parametrize(("differences", "code"), [([], 0), (["model.zip"], 1)])
def test_resuming_is_proved_on_each_config(
    rl: Any, write_yaml: Any, monkeypatch: pytest.MonkeyPatch, differences: list[str], code: int
):
    proof = ResumeProof(300, 100, 50, 150, differences)
    monkeypatch.setattr(doctor, "prove_resume", lambda _: proof)
    config = write_yaml()
    outcome = rl("doctor", "--resume", config)
    assert outcome.exit_code == code
    assert ("model.zip" if differences else "resumes exactly") in outcome.stdout
    assert rl("doctor", "--resume", config, "--json").document["exact"] == (not differences)


@pytest.mark.parametrize("arguments", [["--resume"], ["x.yaml"], ["--set", "train.seeds=1"]])
def test_half_a_question_is_refused(rl: Any, arguments: list[str]):
    outcome = rl("doctor", *arguments)
    assert outcome.exit_code == 2
    assert "rl doctor --resume CONFIG" in outcome.stderr
