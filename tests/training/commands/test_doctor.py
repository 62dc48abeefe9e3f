from collections.abc import Callable

import pytest

from rl_runner.config import ExperimentConfig
from rl_runner.errors import RunnerError
from rl_runner.training.commands import check, doctor
from rl_runner.training.commands.doctor import prove_resume
from rl_runner.training.observers.callbacks import ProgressTicker

ConfigOf = Callable[..., ExperimentConfig]


@pytest.fixture(autouse=True)
def _a_short_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "PROBE_SECONDS", 0.1)
    monkeypatch.setattr(check, "MAX_PROBE_SECONDS", 1.0)
    monkeypatch.setattr(doctor, "SEGMENT_SECONDS", 0.02)


@pytest.mark.usefixtures("report_every_step")
def test_a_config_that_resumes_exactly_is_proven_to(config_of: ConfigOf):
    proof = prove_resume(config_of("cliff"))
    assert proof.differences == []
    assert proof.checkpoint_every < proof.broken_off_at < proof.total_timesteps


@pytest.mark.usefixtures("report_every_step")
def test_both_ways_of_stopping_are_proven(config_of: ConfigOf):
    proof = prove_resume(config_of("cliff", algo={"engine": "stock"}))
    assert proof.differences == []
    assert 0 < proof.stopped_at < proof.checkpoint_every < proof.broken_off_at


def test_it_proves_nothing_if_nothing_was_interrupted(
    config_of: ConfigOf, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ProgressTicker, "SECONDS", 1e9)  # it is never asked how far it is
    with pytest.raises(RunnerError, match="proves nothing") as caught:
        prove_resume(config_of("cliff"))
    (problem,) = caught.value.problems
    assert problem.where == "cliff"
    assert problem.cure
