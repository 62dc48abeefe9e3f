"""Cases of searches: studies created elsewhere, databases that cannot be used, steps, secrets."""

import shutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import optuna
import pytest

from rl_runner.tuning.optuna_log import optuna_silenced

CASES = Path(__file__).parent


def copy_of(case: str, file: str, tmp_path: Path) -> Path:
    """Return a copy of a case's config, in the folder where the test runs."""
    return Path(shutil.copy(CASES / case / file, tmp_path / file))


def create_study(url: str, name: str, directions: Sequence[str]) -> None:
    """Create an empty study, as `optuna create-study` does."""
    with optuna_silenced():
        optuna.create_study(storage=url, study_name=name, directions=directions)


@pytest.mark.parametrize(
    "directions", [["minimize"], ["maximize", "minimize"], ["minimize", "minimize"]]
)
def test_an_empty_study_with_other_directions_is_refused(rl, tmp_path: Path, directions):
    config = copy_of("logs-03-study-direction", "mine.yaml", tmp_path)
    create_study("sqlite:///d.db", "made", directions)
    outcome = rl("tune", config, "--storage", "sqlite:///d.db", "--study", "made", "--jobs", 1)
    assert outcome.exit_code == 2
    assert f"the directions `{' '.join(directions)}`" in outcome.message
    assert "need `maximize`" in outcome.message
    assert "--directions maximize" in outcome.message
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_logs_09_the_last_value_of_a_grid_is_its_end(rl, tmp_path: Path):
    config = copy_of("logs-09-grid-end-above-high", "mine.yaml", tmp_path)
    small = ["--set", "train.total_timesteps=128", "--set", "eval.every=64", "--confirm", 0]
    command = ["tune", config, *small, "-q", "--jobs", 1, "--storage", "sqlite:///g.db"]
    outcome = rl(*command, "--study", "g")
    assert outcome.exit_code == 0, outcome.message
    with optuna_silenced():
        trials = optuna.load_study(storage="sqlite:///g.db", study_name="g").trials
    assert sorted(trial.params["gamma"] for trial in trials) == [0.1, 0.2, 0.3]
    # Optuna accepts each of them again, as it has to when it queues an interrupted trial.
    for trial in trials:
        assert trial.distributions["gamma"]._contains(trial.params["gamma"])


def test_a_locked_database_is_explained_at_the_start(rl, tmp_path: Path):
    config = copy_of("logs-13-database-locked-at-the-start", "mine.yaml", tmp_path)
    create_study("sqlite:///l.db", "other", ["maximize"])
    other = sqlite3.connect("l.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        outcome = rl("tune", config, "--storage", "sqlite:///l.db?timeout=0.1", "--study", "s")
    finally:
        other.close()
    assert outcome.exit_code == 2
    assert "database is locked" in outcome.message
    assert "Another program is writing to the database" in outcome.message
    assert not (tmp_path / "runs").exists()


def test_a_read_only_database_is_explained_at_the_start(rl, tmp_path: Path):
    config = copy_of("logs-13-database-locked-at-the-start", "mine.yaml", tmp_path)
    create_study("sqlite:///l.db", "other", ["maximize"])
    outcome = rl(
        "tune", config, "--storage", "sqlite:///file:l.db?mode=ro&uri=true", "--study", "s"
    )
    assert outcome.exit_code == 2
    assert "Make the database writable" in outcome.message


def test_a_database_of_a_newer_optuna_is_explained(rl, tmp_path: Path):
    config = copy_of("logs-13-database-locked-at-the-start", "mine.yaml", tmp_path)
    create_study("sqlite:///l.db", "other", ["maximize"])
    database = sqlite3.connect("l.db", isolation_level=None)
    database.execute("UPDATE alembic_version SET version_num = 'v99.0.0.a'")
    database.close()
    outcome = rl("tune", config, "--storage", "sqlite:///l.db", "--study", "s")
    assert outcome.exit_code == 2
    assert "Another version of Optuna created its tables" in outcome.message


def test_a_file_that_is_not_a_database_is_explained(rl, tmp_path: Path):
    config = copy_of("logs-13-database-locked-at-the-start", "mine.yaml", tmp_path)
    (tmp_path / "l.db").write_text("These are my notes, not a database.\n" * 100)
    outcome = rl("tune", config, "--storage", "sqlite:///l.db", "--study", "s")
    assert outcome.exit_code == 2
    assert "It is not an SQLite database" in outcome.message


@pytest.mark.parametrize("line", ["5", "{}", '{"op_code": 99, "worker_id": "x"}'])
def test_a_journal_that_optuna_cannot_read_is_explained(rl, tmp_path: Path, line: str):
    config = copy_of("logs-13-database-locked-at-the-start", "mine.yaml", tmp_path)
    journal = tmp_path / "runs" / "s" / "study.journal"
    journal.parent.mkdir(parents=True)
    journal.write_text(f"{line}\n")
    outcome = rl("tune", config, "--study", "s")
    assert outcome.exit_code == 2
    assert "journal cannot be read" in outcome.message
    assert journal.read_text() == f"{line}\n"


def test_a_step_that_misses_the_end_is_refused_with_its_line(rl, tmp_path: Path):
    config = copy_of("logs-20-step-that-misses-high", "mine.yaml", tmp_path)
    for command in ("check", "tune"):
        outcome = rl(command, config)
        assert outcome.exit_code == 2
        assert "mine.yaml:" in outcome.message
        assert "do not reach `high` 6" in outcome.message
        assert "`high: 5`" in outcome.message
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "parameter",
    ["lr: {type: float, low: 1e-5, high: 1e-2}", "gamma: {type: float, low: 0.5, high: 1.5}"],
)
def test_check_refuses_the_space_that_tune_refuses(rl, tmp_path: Path, parameter: str):
    config = copy_of("logs-20-step-that-misses-high", "typo.yaml", tmp_path)
    text = config.read_text()
    config.write_text(
        text.replace("lr: {type: float, low: 1e-5, high: 1e-2, log: true}", parameter)
    )
    checked, tuned = (rl(command, config) for command in ("check", "tune"))
    assert checked.exit_code == tuned.exit_code == 2
    assert checked.message == tuned.message
    assert "typo.yaml:7" in checked.message


def test_no_file_of_a_study_holds_the_password_of_its_storage(
    rl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = copy_of("attack-02-storage-password", "config.yaml", tmp_path)
    url = "sqlite:///file:runs.db?uri=true&password=HUNTER2"
    small = ["--trials", 1, "--confirm", 0, "--set", "tune.seeds=1"]
    small += ["--set", "train.total_timesteps=200", "--set", "checkpoint.every=null"]
    words = ["tune", config, *small, "-q", "--storage", url, "--study", "s"]
    monkeypatch.setattr(sys, "argv", ["rl", *map(str, words)])
    outcome = rl(*words)
    assert outcome.exit_code == 0
    rl("report", "runs/s", "--out", "r.html", "--no-pictures")
    files = [path for path in (*Path("runs").rglob("*"), Path("r.html")) if path.is_file()]
    assert any(path.name == "run.json" for path in files)
    assert [path for path in files if b"HUNTER2" in path.read_bytes()] == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql//me:HUNTER2@h/db",
        "postgresql://me:HUNTER2@127.0.0.1:1/db",
        "postgresql://me:12:HUNTER2@h:x/db",
        "sqlite:////nowhere/at/all.db?password=HUNTER2",
    ],
)
def test_no_error_shows_the_password_of_a_storage(rl, tmp_path: Path, url: str):
    config = copy_of("attack-02-storage-password", "config.yaml", tmp_path)
    outcome = rl("tune", config, "--storage", url)
    assert outcome.exit_code == 2
    assert "--storage" in outcome.message
    assert "HUNTER2" not in outcome.stdout + outcome.stderr


def test_the_hparams_page_of_a_study_has_a_row_per_trial(tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    from rl_runner.config import load_config
    from rl_runner.tuning.report.tensorboard_log import log_trial
    from rl_runner.tuning.study_reporter import TrialReport

    tune = load_config(CASES / "logs-11-hparams-page" / "mine.yaml").tune
    assert tune is not None
    trials = [
        TrialReport(0, {"clip_range_vf": None, "policy_kwargs.net_arch": [64, 64]}, "pruned"),
        TrialReport(1, {"clip_range_vf": 0.2, "policy_kwargs.net_arch": [32]}, "complete", (9.5,)),
        TrialReport(2, {"clip_range_vf": 0.2}, "complete", (8.0,)),  # a condition did not hold
    ]
    pages = []
    for trial in trials:
        folder = tmp_path / f"trial-{trial.number}"
        folder.mkdir()
        log_trial(folder, trial, tune)
        events = EventAccumulator(str(folder)).Reload()
        contents = events.PluginTagToContent("hparams")
        pages.append({t: HParamsPluginData.FromString(c) for t, c in contents.items()})
        if trial.scores:
            assert events.Scalars("tune/final")[0].value == trial.scores[0]
    # Whichever trial TensorBoard finds first, it finds the same columns and scores.
    experiments = [page["_hparams_/experiment"].experiment for page in pages]
    assert experiments[0] == experiments[1] == experiments[2]
    names = {info.name for info in experiments[0].hparam_infos}
    assert names == {"outcome", "clip_range_vf", "policy_kwargs.net_arch"}
    assert [info.name.tag for info in experiments[0].metric_infos] == ["tune/final"]
    rows = [page["_hparams_/session_start_info"].session_start_info.hparams for page in pages]
    assert [row["clip_range_vf"].string_value for row in rows] == ["null", "0.2", "0.2"]
    assert rows[1]["policy_kwargs.net_arch"].string_value == "[32]"
    assert "policy_kwargs.net_arch" not in rows[2]


@pytest.mark.slow
def test_no_run_of_a_study_has_a_row_on_the_hparams_page(rl, tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = copy_of("attack-02-storage-password", "config.yaml", tmp_path)
    small = ["--trials", 1, "--set", "tune.seeds=1", "--set", "train.total_timesteps=200"]
    small += ["--set", "tune.confirm.seeds=2", "--set", "checkpoint.every=null"]
    assert rl("tune", config, *small, "-q", "--study", "s").exit_code == 0
    for run in (*Path("runs/s/trials").glob("*/seed-*"), *Path("runs/s/confirm").glob("*/seed-*")):
        events = EventAccumulator(str(run)).Reload()
        assert "final/last_mean_reward" in events.Tags()["scalars"]
        with pytest.raises(KeyError):
            events.PluginTagToContent("hparams")
    trial = EventAccumulator("runs/s/trials/trial-0000").Reload()
    assert "_hparams_/experiment" in trial.PluginTagToContent("hparams")
