import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_experiments import change_record, write_experiment

from rl_runner.cli.display.console import show
from rl_runner.cli.display.tables import table
from rl_runner.evaluation.comparison.pairs import compare_pairs
from rl_runner.evaluation.statistics.sequential import Look

Rl = Callable[..., Any]

LAKE = {"id": "FrozenLake-v1", "time_limit": 100}
GOOD = [0.70, 0.72, 0.74, 0.71, 0.73]
BAD = [0.10, 0.12, 0.09, 0.13, 0.11]


def _lake(runs_dir: Path, name: str, scores: list[float], **options: Any) -> Path:
    return write_experiment(runs_dir, name, scores, env=LAKE, **options)


def test_two_experiments_are_shown_with_intervals_and_claims(rl: Rl, tmp_path: Path):
    outcome = rl("compare", _lake(tmp_path, "good", GOOD), _lake(tmp_path, "bad", BAD))
    assert outcome.exit_code == 0
    shown = " ".join(outcome.stdout.split())
    assert "FrozenLake-v1: mean held-out return of the last agent" in shown
    assert "good 5 of 5 0.720" in shown
    assert "reached 0.700" in shown
    assert "0 is the random policy, 0.014 (exact); 1 is the optimum, 0.744" in shown
    assert "good − …" in shown
    assert "bad 0.610" in shown
    assert "better" in shown
    assert "!" not in shown


def test_a_comparison_as_json(rl: Rl, tmp_path: Path):
    places = [_lake(tmp_path, "good", GOOD, exact=True), _lake(tmp_path, "bad", BAD, exact=True)]
    document = rl("compare", *places, "--json", "--threshold", "0.5").document
    assert document["measure"] == "exact"
    assert document["threshold"] == 0.5
    assert [row["label"] for row in document["experiments"]] == ["good", "bad"]
    assert document["experiments"][0]["reached"]["n"] == 5
    assert document["pairs"][0]["verdict"] == "better"
    assert document["caveats"] == []
    assert "until_decided" not in document


def test_files_go_where_out_says_and_are_named(rl: Rl, tmp_path: Path):
    outcome = rl("compare", _lake(tmp_path, "good", GOOD), "--out", "made/report", "--json")
    assert outcome.exit_code == 0
    made = {path.name for path in (tmp_path / "made" / "report").iterdir()}
    assert {"comparison.json", "comparison.tex", "intervals.png", "intervals.svg"} <= made
    for name in made:
        assert name in outcome.stderr


def test_many_pairs_are_shown_against_the_first_experiment(rl: Rl, tmp_path: Path):
    places = [_lake(tmp_path, f"e{i}", [x + i / 100 for x in GOOD]) for i in range(7)]
    shown = rl("compare", *places).stdout
    assert "from e0 (--json has all 21 pairs)" in shown
    assert "e0 − …" in shown
    assert "e2 " in shown


def test_what_is_missing_is_said_and_not_averaged_away(rl: Rl, tmp_path: Path):
    path = _lake(tmp_path, "holes", [0.7, 0.7, math.nan, 0.7])
    change_record(path / "seed-1", status="failed", error="the motor burned out")
    shown = " ".join(rl("compare", path).stdout.split())
    assert "holes 2 of 4 0.700" in shown
    assert "2 of 4 seeds have no result" in shown
    assert "the motor burned out" in shown
    assert "not finite numbers" in shown
    assert "2 seeds are too few" in shown


def test_brackets_in_names_and_messages_are_shown_as_they_are(rl: Rl, tmp_path: Path):
    path = _lake(tmp_path, "holes", [0.7, math.nan, 0.7])
    change_record(path / "seed-1", status="failed", error="no [/x] in [bold] :bug:")
    outcome = rl("compare", path)
    assert outcome.exit_code == 0
    assert "no [/x] in [bold] :bug:" in " ".join(outcome.stdout.split())


def test_a_long_name_is_shown_to_its_end(capsys: pytest.CaptureFixture[str]):
    names = ["n" * 70 + "-first", "n" * 70 + "-second"]
    show(table(("experiment", "claim"), [(name, "c" * 70) for name in names]))
    shown = "".join(
        line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()
    )
    assert "-first" in shown
    assert "-second" in shown


def test_a_table_shows_text_and_no_markup(capsys: pytest.CaptureFixture[str]):
    show("say [/a]", table(["[/b]", ">[/c]"], [["[/d]", "[/e]"]], "[/f]"))
    shown = capsys.readouterr().out
    for letter in "abcdef":
        assert f"[/{letter}]" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gone",), "There is no such folder"),
        (("empty",), "Neither a run nor an experiment"),
        (("{good}", "{good}"), "named twice"),
        (("{good}/seed-0",), "single run"),
        (("{good}", "{cart}"), "different environments cannot be compared"),
        (("{nothing}",), "No run here has a result yet"),
        (("{good}", "--threshold", "nan"), "finite mean return, not nan"),
        (("{good}", "--threshold", "inf"), "finite mean return, not inf"),
        (("{good}", "--until-decided"), "compares two experiments, not 1"),
        (("{good}", "{bad}", "--until-decided", "--error-rate", "2"), "lies between 0 and 1"),
    ],
)
def test_a_mistake_is_explained_and_nothing_is_written(
    rl: Rl, tmp_path: Path, arguments: tuple[str, ...], message: str
):
    runs = tmp_path / "runs"
    places = {
        "good": _lake(runs, "good", GOOD),
        "bad": _lake(runs, "bad", BAD),
        "cart": write_experiment(runs, "cart", [100.0] * 5),
        "nothing": _lake(runs, "nothing", [math.nan] * 2),
    }
    (tmp_path / "empty").mkdir()
    before = sorted(runs.rglob("*"))
    written = [argument.format(**places) for argument in arguments]
    outcome = rl("compare", *written, "--out", tmp_path / "out")
    assert outcome.exit_code == 2
    assert message in outcome.message
    assert not (tmp_path / "out").exists()
    assert [path for path in sorted(runs.rglob("*")) if path.name != ".scales.json"] == before


def test_a_file_in_the_place_of_out_is_refused_before_anything_is_read(rl: Rl, tmp_path: Path):
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    outcome = rl("compare", "gone", "--out", "taken")
    assert outcome.exit_code == 2
    assert "written to a folder" in outcome.message
    assert "--out DIR" in outcome.message
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"


LOGS = """
    env: {id: Recommender-v0}
    algo: {name: q_learning}
    data: {path: log.parquet, window: 11d}
"""


@pytest.mark.parametrize("command", ["compare", "reproduce"])
def test_what_learned_from_logs_is_refused(rl: Rl, tmp_path: Path, write_yaml, command: str):
    folder = write_yaml(LOGS, "runs/logged/config.yaml").parent
    (folder / "seed-0").mkdir()
    change_record(folder / "seed-0", status="finished", results={"last": {"mean_reward": 0.3}})
    outcome = rl(command, folder)
    assert outcome.exit_code == 2
    assert "learned from logs" in outcome.message
    assert "`rl eval RUN --data LOG`" in outcome.message
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]


@pytest.mark.slow
def test_seeds_are_added_until_it_is_decided(rl: Rl, tmp_path: Path, write_yaml):
    text = """
        name: {name}
        env: {{id: FrozenLake-v1, kwargs: {{is_slippery: false}}}}
        algo: {{name: q_learning, learning_rate: {rate}, exploration_final_eps: {eps}}}
        train: {{total_timesteps: 60, seeds: 1}}
        eval: {{every: 60, n_episodes: 1, final_episodes: 1}}
    """
    for name, rate, eps in (("one", 0.5, 0.1), ("other", 0.5, 0.2)):
        config = write_yaml(text.format(name=name, rate=rate, eps=eps), f"{name}.yaml")
        assert rl("train", config, "-q", "--jobs", "1").exit_code == 0
    places = sorted((tmp_path / "runs").glob("o*-*"))
    options = ("--until-decided", "--max-seeds", "5", "--jobs", "1", "-q")
    document = rl("compare", *places, *options, "--json").document
    assert document["until_decided"]["outcome"] == "undecided"
    assert [look["n"] for look in document["until_decided"]["looks"]] == [5]
    assert [len(row["seeds"]) for row in document["experiments"]] == [5, 5]
    shown = " ".join(rl("compare", *places, *options).stdout.split())
    assert "Not decided with 5 seeds per experiment at an error rate of 0.05" in shown
    assert "assume that the number of seeds was fixed in advance" in shown
    assert (document["pairs"][0]["verdict"], document["pairs"][0]["is_decided"]) == (
        "not shown",
        False,
    )


@pytest.mark.parametrize(
    ("is_decided", "difference", "verdict"),
    [(True, 9.0, "better"), (True, -9.0, "worse"), (False, 9.0, "not shown")],
)
def test_the_sequential_test_is_the_only_rule_where_seeds_were_added(
    is_decided: bool, difference: float, verdict: str
):
    high = np.arange(20.0) + 400
    (pair,) = compare_pairs([("one", high), ("other", high - 300)])
    assert pair.verdict == "better"
    look = Look(20, difference, None, 1.0, is_decided=is_decided)
    changed = pair.with_sequential_verdict(look, is_decided=is_decided)
    assert changed.verdict == verdict
    assert changed.is_decided == is_decided
    assert changed.seeds_needed is None


def test_the_list_of_runs_says_what_differs(rl: Rl, tmp_path: Path):
    for steps in (1000, 2000):
        path = write_experiment(tmp_path / "runs", "cart", [1.0], total_timesteps=steps)
        change_record(path / "seed-0", name="cart")
    lines = rl("runs").stdout.splitlines()
    assert lines[0].split()[-2:] == ["what", "differs"]
    assert {line.split()[-1] for line in lines[2:4]} == {
        "total_timesteps=1,000",
        "total_timesteps=2,000",
    }
