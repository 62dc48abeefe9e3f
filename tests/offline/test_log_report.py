"""`rl report` on experiments that learned from logs."""

import re
import shutil
from pathlib import Path

import pytest
from synthetic_experiments import change_record, write_experiment

CONFIG = """
    name: from-logs
    description: What people did.
    env: {id: Recommender-v0}
    algo: {name: q_learning}
    train: {seeds: 2}
    data: {path: log.parquet, window: 7d, holdout: 3d}
"""


def text_of(page: str) -> str:
    """Return what a page says, without its tags and pictures."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.partition("</style>")[2]).split())


@pytest.fixture
def learned(rl, write_yaml) -> Path:
    config = write_yaml(CONFIG)
    rl("simulate", config, "--interactions", 20_000, "--out", "log.parquet")
    return Path(rl("train", config, "--json").document["experiment"])


def test_a_report_shows_what_logs_say_of_a_policy(rl, learned: Path, tmp_path: Path):
    beside = write_experiment(tmp_path / "runs", "cart", [100.0, 120.0])
    outcome = rl("report", learned, beside, "--out", "r.html", "--no-pictures")
    assert outcome.exit_code == 0, outcome.message
    assert "2 experiments, 4 runs → r.html" in outcome.message
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    text = text_of(page)
    for part in (
        "from-logs, learned from logs",
        "What people did.",
        "estimated reward (doubly robust)",
        "SWITCH-DR",
        "DM *",
        "at least 1000 interactions yes",
        "Complete config of from-logs",
        "cart",
    ):
        assert part in text
    assert page.count('alt="estimates from the log"') == 2  # one per seed
    assert page.count('max-width: 640px)" srcset=') >= 2


def test_a_run_that_failed_says_why(rl, learned: Path, tmp_path: Path):
    change_record(learned / "seed-1", status="failed", error="the disk <b>melted</b>", results=None)
    outcome = rl("report", learned, "--out", "r.html")
    assert "2 runs, 1 without a result" in outcome.message
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "the disk &lt;b&gt;melted&lt;/b&gt;" in page
    assert "Seed 0" in text_of(page)


def test_an_experiment_on_logs_without_runs_is_refused(rl, learned: Path, tmp_path: Path):
    for run in learned.glob("seed-*"):
        shutil.rmtree(run)
    outcome = rl("report", learned, "--out", "r.html")
    assert outcome.exit_code == 2
    assert "no runs yet" in outcome.message
    assert not (tmp_path / "r.html").exists()
