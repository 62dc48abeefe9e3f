import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_runner import train
from rl_runner.config import ExperimentConfig
from rl_runner.errors import ConfigError
from rl_runner.training.reporting import Progress, Reporter
from rl_runner.training.train import train_many

ConfigOf = Callable[..., ExperimentConfig]
SameNumbers = Callable[[Path, Path], None]
Witness = Any  # the reporter of conftest.py


@pytest.fixture
def cliff(config_of: ConfigOf) -> Callable[[int], ExperimentConfig]:
    return lambda timesteps: config_of("cliff", train={"total_timesteps": timesteps})


Cliff = Callable[[int], ExperimentConfig]


def record_of(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return record


def unfinish(run: Path) -> None:
    record = {**record_of(run), "status": "interrupted"}
    del record["results"]
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")


@pytest.mark.usefixtures("report_every_step")
def test_the_record_keeps_what_a_run_was_extended_from(tmp_path: Path, cliff: Cliff):
    class Impatient(Reporter):
        def run_progress(self, progress: Progress) -> None:
            if progress.timesteps >= 350:
                raise KeyboardInterrupt

    (short,) = train(cliff(200), runs_dir=tmp_path).runs
    with pytest.raises(KeyboardInterrupt):
        train(cliff(400), runs_dir=tmp_path, extend=True, reporter=Impatient())
    (stopped,) = set(tmp_path.glob("*/seed-0")) - {short.path}
    origin = {"path": str(short.path), "timesteps": 200}
    assert record_of(stopped)["status"] == "interrupted"
    assert record_of(stopped)["extended_from"] == origin
    (extended,) = train(cliff(400), runs_dir=tmp_path).runs
    assert extended.path == stopped
    assert extended.status == "finished"
    assert record_of(extended.path)["extended_from"] == origin
    assert "extended_from" not in record_of(short.path)


def test_a_run_that_is_trained_again_was_not_extended(tmp_path: Path, cliff: Cliff):
    train(cliff(200), runs_dir=tmp_path)
    train(cliff(400), runs_dir=tmp_path, extend=True)
    (fresh,) = train(cliff(400), runs_dir=tmp_path, fresh=True).runs
    assert fresh.record.extended_from is None


@pytest.mark.parametrize("what", ["interrupted", "damaged", "without checkpoints"])
def test_a_seed_that_has_no_end_is_trained_by_itself(
    tmp_path: Path, cliff: Cliff, witness: Witness, same_numbers: SameNumbers, what: str
):
    shorter = train(cliff(200), runs_dir=tmp_path, seeds=[0, 1])
    donor = shorter.runs[1].path
    if what == "interrupted":
        unfinish(donor)
    elif what == "damaged":
        (donor / "run.json").write_text("{")
    else:
        (donor / "checkpoints").rename(tmp_path / "elsewhere")
    runs = train(cliff(400), runs_dir=tmp_path, seeds=[0, 1], extend=True, reporter=witness).runs
    assert [run.status for run in runs] == ["finished"] * 2
    assert [run.record.extended_from is not None for run in runs] == [True, False]
    words = ("from timestep 0", "from the end")
    first, second = (n for n in witness.reports("note") if any(word in n for word in words))
    assert first == f"Seed 0: continues from the end of {shorter.runs[0].path}."
    assert second.startswith(f"Seed 1: is trained from timestep 0, because {donor} ")
    assert ("lost its checkpoints" if "checkpoints" in what else "is not finished") in second
    (alone,) = train(cliff(400), runs_dir=tmp_path / "alone", seeds=[1]).runs
    same_numbers(runs[1].path, alone.path)


def test_a_run_that_has_begun_resumes_its_own_training(
    tmp_path: Path, cliff: Cliff, witness: Witness
):
    train(cliff(200), runs_dir=tmp_path)
    (before,) = train(cliff(400), runs_dir=tmp_path).runs
    (after,) = train(cliff(400), runs_dir=tmp_path, extend=True, reporter=witness).runs
    assert after.record == before.record
    assert "Seed 0: resumes its own training, because it has begun." in witness.reports("note")


def test_the_longest_experiment_with_a_finished_run_is_taken(tmp_path: Path, cliff: Cliff):
    (shortest,) = train(cliff(100), runs_dir=tmp_path).runs
    (longer,) = train(cliff(200), runs_dir=tmp_path).runs
    unfinish(longer.path)
    (extended,) = train(cliff(400), runs_dir=tmp_path, extend=True).runs
    assert extended.record.extended_from.path == str(shortest.path)


def test_without_a_finished_run_there_is_nothing_to_extend(tmp_path: Path, cliff: Cliff):
    (run,) = train(cliff(200), runs_dir=tmp_path).runs
    unfinish(run.path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError) as refusal:
        train(cliff(400), runs_dir=tmp_path, extend=True)
    assert f"No seed of {run.path.parent} has finished" in str(refusal.value)
    assert "Finish it first" in str(refusal.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_fresh_together_with_extend_is_refused(tmp_path: Path, cliff: Cliff):
    with pytest.raises(ConfigError, match="Leave one of them out"):
        train(cliff(400), runs_dir=tmp_path / "runs", extend=True, fresh=True)
    assert not (tmp_path / "runs").exists()


def test_nothing_is_written_if_one_of_several_has_nothing_to_extend(
    tmp_path: Path, cliff: Cliff, config_of: ConfigOf
):
    train(cliff(200), runs_dir=tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="no `ppo` with fewer timesteps"):
        train_many(
            [cliff(400), config_of("ppo")],
            runs_dir=tmp_path,
            fresh=False,
            extend=True,
            jobs=None,
            reporter=Reporter(),
        )
    assert sorted(tmp_path.rglob("*")) == before
