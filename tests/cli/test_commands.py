import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from small_experiments import EXPERIMENTS, fitting_env

import rl_runner
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.cli.app import COMMANDS, _with_error_boundary
from rl_runner.config import config_from_dict, experiment_hash, load_config
from rl_runner.runs.folder import ExperimentFolder
from rl_runner.runs.record import RunRecord
from rl_runner.seeding import SeedTree

Rl = Callable[..., Any]
WriteYaml = Callable[..., Path]

# A small slippery lake, on which a table of 300 steps succeeds sometimes: no result is trivial.
LAKE = """
    name: lake
    env:
      id: FrozenLake-v1
      kwargs: {desc: [SFF, FFH, FFG]}
    algo: {name: q_learning}
    train: {total_timesteps: 300, seeds: 2}
    eval: {every: 150, n_episodes: 10, final_episodes: 20}
"""
EXPERIMENT_KEYS = ["experiment", "name", "hash", "runs", "mean_reward", "ci95"]
MORE_KEYS = ["exact_mean_reward", "exact_ci95", "bounds", "remark", "agent"]
RUN_KEYS = [
    "seed",
    "path",
    "status",
    "timesteps",
    "mean_reward",
    "raw_mean_reward",
    "std_reward",
    "best_mean_reward",
    "selection_optimism",
    "exact_mean_reward",
    "regret",
]


@dataclass(frozen=True)
class Trained:
    """An experiment on disk and what the command that trained it said."""

    config: Path
    outcome: Any

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = self.outcome.document
        return document

    @property
    def path(self) -> Path:
        return Path(self.document["experiment"])


@pytest.fixture(scope="module")
def trained(invoke_rl: Rl, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    config = folder / "lake.yaml"
    config.write_text(LAKE, encoding="utf-8")
    outcome = invoke_rl("train", config, "--runs-dir", folder / "runs", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    return Trained(config, outcome)


@pytest.fixture
def lake(trained: Trained, write_yaml: WriteYaml, tmp_path: Path) -> Path:
    """A copy of the trained experiment's config and runs, to change at will."""
    shutil.copytree(trained.path.parent, tmp_path / "runs")
    write_yaml(LAKE, "lake.yaml")
    return tmp_path / "runs" / trained.path.name


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def record_of(run: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return record


def when_written(run: Path) -> int:
    return (run / "run.json").stat().st_mtime_ns


# --- rl train ------------------------------------------------------------------------------------


def test_train_prints_one_json_document(trained: Trained):
    document = trained.document
    assert list(document) == [*EXPERIMENT_KEYS, *MORE_KEYS]
    assert [list(run) for run in document["runs"]] == [RUN_KEYS, RUN_KEYS]
    assert document["name"] == "lake"
    assert re.fullmatch("[0-9a-f]{8}", document["hash"])
    assert trained.path.name == f"lake-{document['hash']}"
    for seed, run in enumerate(document["runs"]):
        assert run["seed"] == seed
        assert run["status"] == "finished"
        assert run["timesteps"] == 300
        assert Path(run["path"]) == trained.path / f"seed-{seed}"


def test_the_printed_numbers_are_those_of_the_record(trained: Trained):
    for run in trained.document["runs"]:
        results = record_of(Path(run["path"]))["results"]
        assert run["mean_reward"] == results["last"]["mean_reward"]
        assert run["std_reward"] == results["last"]["std_reward"]
        assert run["best_mean_reward"] == results["best"]["mean_reward"]


def test_the_mean_reward_of_an_experiment_is_that_of_its_runs(trained: Trained):
    document = trained.document
    means = [run["mean_reward"] for run in document["runs"]]
    assert document["mean_reward"] == pytest.approx(sum(means) / 2)
    low, high = document["ci95"]
    assert low <= document["mean_reward"] <= high


def test_the_lake_is_no_trivial_example(trained: Trained):
    assert any(run["std_reward"] > 0 for run in trained.document["runs"])


def test_train_tells_its_progress_on_standard_error(trained: Trained):
    message = trained.outcome.message
    assert "q_learning on FrozenLake-v1, 300 timesteps, seeds 0, 1" in message
    assert "seed 0:" in message
    assert "seed 1:" in message
    assert "held-out episodes" in message
    assert "lready finished" not in message


def test_the_hash_is_that_of_the_written_config(trained: Trained):
    assert experiment_hash(load_config(trained.path)) == trained.document["hash"]


def test_training_again_changes_nothing(rl: Rl, lake: Path, trained: Trained):
    before = contents(lake)
    outcome = rl("train", "lake.yaml", "--json")
    assert outcome.exit_code == 0
    assert contents(lake) == before
    assert [run["mean_reward"] for run in outcome.document["runs"]] == [
        run["mean_reward"] for run in trained.document["runs"]
    ]
    assert "seed 0: already finished: " in outcome.message
    assert "Already finished: nothing was trained." in outcome.message


def test_training_the_experiment_itself_changes_nothing(rl: Rl, lake: Path):
    before = contents(lake)
    assert rl("train", lake, "--runs-dir", lake.parent).exit_code == 0
    assert contents(lake.parent) == {f"{lake.name}/{name}": b for name, b in before.items()}


def test_another_description_or_list_of_seeds_is_the_same_experiment(rl: Rl, lake: Path):
    before = contents(lake / "seed-0")
    outcome = rl(
        *("train", "lake.yaml", "--set", "description=again", "--set", "train.seeds=[0]", "--json")
    )
    assert Path(outcome.document["experiment"]).name == lake.name
    assert contents(lake / "seed-0") == before


def test_a_changed_config_gets_a_folder_of_its_own(rl: Rl, lake: Path):
    before = contents(lake)
    outcome = rl("train", "lake.yaml", "--set", "algo.gamma=0.5", "--seeds", "1", "--json")
    assert Path(outcome.document["experiment"]).name != lake.name
    assert contents(lake) == before
    assert len(list(lake.parent.iterdir())) == 2


def test_listed_seeds_join_the_experiment(rl: Rl, lake: Path):
    before = contents(lake / "seed-0"), contents(lake / "seed-1")
    document = rl("train", "lake.yaml", "--seeds", "0,3", "--json").document
    assert [run["seed"] for run in document["runs"]] == [0, 3]
    assert Path(document["experiment"]).name == lake.name
    assert (contents(lake / "seed-0"), contents(lake / "seed-1")) == before
    assert record_of(lake / "seed-3")["status"] == "finished"
    assert not (lake / "seed-2").exists()


@pytest.mark.parametrize(("option", "seeds"), [("1", [0]), ("1,", [1]), (" 1 , 0 ", [1, 0])])
def test_seeds_are_a_count_or_a_list(rl: Rl, lake: Path, option: str, seeds: list[int]):
    document = rl("train", "lake.yaml", "--seeds", option, "--json").document
    assert [run["seed"] for run in document["runs"]] == seeds
    assert lake.is_dir()


def test_one_seed_has_no_interval(rl: Rl, lake: Path):
    outcome = rl("train", "lake.yaml", "--seeds", "1", "--json")
    assert outcome.document["ci95"] is None
    assert "single seed" in rl("train", "lake.yaml", "--seeds", "1").stdout
    assert lake.is_dir()


def test_fresh_trains_finished_seeds_again_to_the_same_numbers(rl: Rl, lake: Path):
    (lake / "seed-0" / "left behind.txt").write_text("old", encoding="utf-8")
    kept = contents(lake / "seed-1")
    record, written = record_of(lake / "seed-0"), when_written(lake / "seed-0")
    assert rl("train", "lake.yaml", "--seeds", "1", "--fresh").exit_code == 0
    assert not (lake / "seed-0" / "left behind.txt").exists()
    assert when_written(lake / "seed-0") > written
    assert record_of(lake / "seed-0")["results"] == record["results"]
    assert contents(lake / "seed-1") == kept


def test_a_missing_run_is_trained_again(rl: Rl, lake: Path):
    before = record_of(lake / "seed-1")
    shutil.rmtree(lake / "seed-1")
    assert rl("train", "lake.yaml").exit_code == 0
    assert record_of(lake / "seed-1")["results"] == before["results"]


def test_experiments_of_one_name_are_told_apart_in_their_titles(rl: Rl, write_yaml: WriteYaml):
    text = """
        name: lake
        env: {{id: FrozenLake-v1}}
        algo: {{name: q_learning, gamma: {gamma}}}
        train: {{total_timesteps: 50, seeds: 1}}
        eval: {{every: 50, n_episodes: 1, final_episodes: 1}}
    """
    files = [write_yaml(text.format(gamma=g), f"{g}.yaml") for g in (0.9, 0.99)]
    outcome = rl("train", *files, "-q")
    assert outcome.exit_code == 0, outcome.message
    titles = [line for line in outcome.stdout.splitlines() if line.startswith("lake")]
    assert titles == ["lake, gamma=0.9", "lake, gamma=0.99"]


@pytest.mark.usefixtures("trained")
def test_train_shows_a_table_to_people(rl: Rl, lake: Path):
    outcome = rl("train", "lake.yaml", "-q")
    assert outcome.stderr == ""
    for word in ("lake", "seed", "finished", "mean reward", "300", "95 % confidence interval"):
        assert word in outcome.stdout
    exact = [record_of(lake / f"seed-{i}")["results"]["last"]["exact_mean_reward"] for i in (0, 1)]
    (mean,) = re.findall(
        r"Exact mean reward of the last agents ([\d.]+) over 2 seeds", outcome.stdout
    )
    assert float(mean) == pytest.approx(sum(exact) / 2, abs=0.0001)


@pytest.mark.usefixtures("lake")
def test_a_return_outside_the_declared_bounds_fails_the_run_at_its_first_evaluation(rl: Rl):
    changes = ("--set", "env.return_bounds=[0.5, 1]", "--set", "algo.gamma=0.77", "--seeds", "1")
    outcome = rl("train", "lake.yaml", *changes, "-q")
    assert outcome.exit_code == 1
    assert "A return of 0 was observed, but the config says" in outcome.stderr
    (record,) = [
        json.loads(path.read_text(encoding="utf-8"))
        for path in Path("runs").glob("*/seed-0/run.json")
        if "return of 0" in path.read_text(encoding="utf-8")
    ]
    assert record["status"] == "failed"
    assert "timesteps" not in record


@pytest.mark.usefixtures("trained", "lake")
def test_where_the_best_agents_are_kept_both_means_are_named(rl: Rl):
    shown = " ".join(rl("train", "lake.yaml", "-q", "--set", "train.keep=best").stdout.split())
    for agents in ("last", "best"):
        assert re.search(
            rf"Exact mean reward of the {agents} agents [\d.]+ over 2 seeds, 95 %", shown
        )


@pytest.mark.slow
def test_verbose_shows_every_metric_on_standard_error(lake: Path):
    options = ["--seeds", "1", "--fresh", "--verbose", "--json"]
    command = [sys.executable, "-m", "rl_runner", "train", "lake.yaml", *options]
    folder = lake.parent.parent
    outcome = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    assert "mean_reward" in outcome.stderr
    assert "total_timesteps" in outcome.stderr
    assert json.loads(outcome.stdout)["runs"][0]["status"] == "finished"


def test_several_configs_are_a_list_of_documents(rl: Rl, lake: Path, write_yaml: WriteYaml):
    write_yaml(LAKE.replace("seeds: 2", "seeds: 1"), "again.yaml")
    documents = rl("train", "lake.yaml", "again.yaml", "--json").document
    assert [len(document["runs"]) for document in documents] == [2, 1]
    assert {Path(document["experiment"]).name for document in documents} == {lake.name}


def with_accident(kind: str, run_seed: int) -> str:
    (env_seed,) = SeedTree(run_seed).train_envs(1)
    return f"""
        name: accident
        env:
          id: FrozenLake-v1
          wrappers:
            - name: cli_worlds.Accident
              kwargs: {{seed: {env_seed}, kind: {kind}}}
        algo: {{name: q_learning}}
        train: {{total_timesteps: 100, seeds: 3}}
        eval: {{every: 100, n_episodes: 1, final_episodes: 3}}
        checkpoint: {{every: 100}}
    """


def test_a_run_that_fails_is_recorded_and_the_others_continue(rl: Rl, write_yaml: WriteYaml):
    outcome = rl("train", write_yaml(with_accident("error", run_seed=1)), "--json")
    assert outcome.exit_code == 1
    document = outcome.document
    assert [run["status"] for run in document["runs"]] == ["finished", "failed", "finished"]
    assert [run["mean_reward"] is None for run in document["runs"]] == [False, True, False]
    assert document["ci95"] is None  # two seeds, and nothing known of the possible range
    record = record_of(Path(document["runs"][1]["path"]))
    assert record["status"] == "failed"
    assert "RuntimeError: the motor burned out" in record["error"]
    assert record["traceback"].startswith("Traceback (most recent call last)")
    assert "cli_worlds.py" in record["traceback"]
    assert record["finished"] >= record["started"]
    assert "results" not in record
    assert "seed 1: failed: " in outcome.message
    assert "RuntimeError: the motor burned out" in outcome.message


def test_a_failed_run_is_tried_again_and_only_it(rl: Rl, write_yaml: WriteYaml):
    config = write_yaml(with_accident("error", run_seed=0))
    first = rl("train", config, "--seeds", "2", "--json").document
    failed, finished = (Path(run["path"]) for run in first["runs"])
    written, kept = when_written(failed), contents(finished)
    assert rl("train", config, "--seeds", "2").exit_code == 1
    assert record_of(failed)["status"] == "failed"
    assert when_written(failed) > written
    assert contents(finished) == kept


def test_a_table_of_failures_says_so(rl: Rl, write_yaml: WriteYaml):
    outcome = rl("train", write_yaml(with_accident("error", run_seed=0)), "--seeds", "1")
    assert outcome.exit_code == 1
    assert "failed" in outcome.stdout
    assert "No run has finished." in outcome.stdout


# --- rl eval -------------------------------------------------------------------------------------


def test_eval_of_an_experiment_reproduces_training(rl: Rl, trained: Trained):
    outcome = rl("eval", trained.path, "--json")
    assert outcome.exit_code == 0
    document = outcome.document
    assert list(document) == [*EXPERIMENT_KEYS, *MORE_KEYS, "interval_over"]
    for run, was in zip(document["runs"], trained.document["runs"], strict=True):
        assert set(run) >= {*RUN_KEYS, "n_episodes", "mean_ep_length", "optimal_mean_reward"}
        assert run["exact_mean_reward"] == was["exact_mean_reward"]
        assert run["seed"] == was["seed"]
        assert run["mean_reward"] == was["mean_reward"]
        assert run["std_reward"] == was["std_reward"]
        assert run["n_episodes"] == 20
    assert document["mean_reward"] == trained.document["mean_reward"]
    assert document["ci95"] == trained.document["ci95"]
    assert document["hash"] == trained.document["hash"]


def test_eval_names_the_experiment_as_training_did(rl: Rl, lake: Path):
    path = lake.relative_to(lake.parent.parent)
    assert rl("train", "lake.yaml", "--json").document["experiment"] == str(path)
    assert rl("eval", path, "--json").document["experiment"] == str(path)


def test_eval_of_one_run(rl: Rl, trained: Trained):
    document = rl("eval", trained.path / "seed-1", "--json").document
    (run,) = document["runs"]
    assert run["seed"] == 1
    assert run["mean_reward"] == trained.document["runs"][1]["mean_reward"]
    assert document["mean_reward"] == run["mean_reward"]
    assert document["ci95"] is None


def test_eval_of_the_best_checkpoint_reproduces_training(rl: Rl, trained: Trained):
    document = rl("eval", trained.path, "--checkpoint", "best", "--json").document
    for run, was in zip(document["runs"], trained.document["runs"], strict=True):
        assert run["mean_reward"] == was["best_mean_reward"]
        assert run["n_episodes"] == 20


def test_eval_plays_as_many_episodes_as_asked_for(rl: Rl, trained: Trained):
    document = rl("eval", trained.path, "--episodes", "7", "--json").document
    assert [run["n_episodes"] for run in document["runs"]] == [7, 7]


def test_eval_changes_nothing_on_disk(rl: Rl, lake: Path):
    before = contents(lake)
    assert rl("eval", lake, "--stochastic").exit_code == 0
    assert contents(lake) == before


def test_eval_counts_a_run_once(rl: Rl, trained: Trained):
    paths = trained.path, trained.path / "seed-1", trained.path / "seed-0"
    document = rl("eval", *paths, "--json").document
    assert [run["seed"] for run in document["runs"]] == [0, 1]


def test_eval_shows_a_table_to_people(rl: Rl, trained: Trained):
    outcome = rl("eval", trained.path)
    assert "mean reward" in outcome.stdout
    assert "over 2 seeds" in outcome.stdout


# --- rl runs -------------------------------------------------------------------------------------


def test_runs_lists_every_run(rl: Rl, lake: Path):
    outcome = rl("runs")
    assert outcome.exit_code == 0
    assert outcome.stdout.count(lake.name) == 2
    assert outcome.stdout.count("finished") == 2


def test_runs_as_json(rl: Rl, lake: Path, trained: Trained):
    documents = rl("runs", "--json").document
    assert [list(run) for run in documents] == [["experiment", "env", "algo", *RUN_KEYS]] * 2
    for run, was in zip(documents, trained.document["runs"], strict=True):
        assert run["experiment"] == lake.name
        assert (run["env"], run["algo"]) == ("FrozenLake-v1", "q_learning")
        assert {key: run[key] for key in RUN_KEYS if key != "path"} == {
            key: was[key] for key in RUN_KEYS if key != "path"
        }


def test_runs_are_in_the_order_of_their_seeds(rl: Rl, lake: Path):
    for seed in (10, 2):
        shutil.copytree(lake / "seed-0", lake / f"seed-{seed}")
        record = record_of(lake / "seed-0") | {"seed": seed}
        (lake / f"seed-{seed}" / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert [run["seed"] for run in rl("runs", "--json").document] == [0, 1, 2, 10]


def test_runs_shows_a_damaged_record(rl: Rl, lake: Path):
    (lake / "seed-1" / "run.json").write_text("{", encoding="utf-8")
    outcome = rl("runs")
    assert outcome.exit_code == 0
    assert "unreadable" in outcome.stdout
    assert [run["status"] for run in rl("runs", "--json").document] == ["finished", "unreadable"]


DAMAGED_RECORDS = [
    '{"status":"finished"}',
    '{"status":"finished","seed":0,"results":5}',
    '{"status":"done"}',
    "[]",
]


@pytest.mark.parametrize("damage", DAMAGED_RECORDS)
def test_an_edited_record_is_listed_and_not_evaluated(rl: Rl, lake: Path, damage: str):
    (lake / "seed-1" / "run.json").write_text(damage, encoding="utf-8")
    listed = rl("runs")
    assert listed.exit_code == 0
    assert [word in listed.stdout for word in ("finished", "unreadable")] == [True, True]
    assert [run["status"] for run in rl("runs", "--json").document] == ["finished", "unreadable"]
    before = contents(lake)
    refused = rl("eval", lake / "seed-1")
    assert refused.exit_code == 2
    assert "run.json" in refused.message
    assert "--fresh" in refused.message
    assert contents(lake) == before


def test_a_seed_with_an_edited_record_does_not_stop_the_others(rl: Rl, lake: Path):
    (lake / "seed-0" / "run.json").write_text(DAMAGED_RECORDS[1], encoding="utf-8")
    shutil.rmtree(lake / "seed-1")
    outcome = rl("train", "lake.yaml", "--json")
    assert outcome.exit_code == 1
    assert [run["status"] for run in outcome.document["runs"]] == ["failed", "finished"]
    assert f"Failed: {Path('runs') / lake.name / 'seed-0'}" in outcome.message
    assert "--fresh" in outcome.message
    assert (lake / "seed-0" / "run.json").read_text(encoding="utf-8") == DAMAGED_RECORDS[1]
    assert record_of(lake / "seed-1")["status"] == "finished"


def test_runs_that_have_not_begun_are_listed(rl: Rl, lake: Path):
    ExperimentFolder(lake, "q_table.npz").run(2).announce(RunRecord(seed=2))
    (pending,) = rl("runs", "--status", "pending", "--json").document
    assert (pending["seed"], pending["status"]) == (2, "pending")
    assert "pending" in rl("runs", "--status", "pending").stdout


@pytest.mark.parametrize("there_is_a_folder", [True, False])
def test_runs_of_nothing_says_how_to_begin(rl: Rl, tmp_path: Path, there_is_a_folder: bool):
    if there_is_a_folder:
        (tmp_path / "runs").mkdir()
    outcome = rl("runs")
    assert outcome.exit_code == 0
    assert "No runs in runs/ yet" in outcome.stdout
    assert "rl train" in outcome.stdout
    assert rl("runs", "--json").document == []
    assert (tmp_path / "runs").exists() is there_is_a_folder


# --- rl algos, rl envs ---------------------------------------------------------------------------


def test_algos_lists_every_algorithm(rl: Rl):
    outcome = rl("algos")
    assert outcome.exit_code == 0
    for name in ALGORITHMS:
        assert re.search(rf"^ *{name} ", outcome.stdout, re.MULTILINE), name


def test_algos_as_json(rl: Rl):
    rows = {row["name"]: row for row in rl("algos", "--json").document}
    assert list(rows) == list(ALGORITHMS)
    keys = ["name", "class", "reference", "observation_spaces", "action_spaces"]
    assert all(list(row) == keys for row in rows.values())
    assert rows["sac"]["action_spaces"] == ["Box"]
    assert rows["dqn"]["action_spaces"] == ["Discrete"]
    assert "Box" not in rows["q_learning"]["observation_spaces"]
    assert set(rows["ppo"]["action_spaces"]) > {"Box", "Discrete"}


def test_algos_shows_one_algorithm(rl: Rl):
    outcome = rl("algos", "ppo")
    assert "Schulman" in outcome.stdout
    assert re.search(r"n_steps +int +2048", outcome.stdout)
    assert re.search(r"learning_rate +float \| schedule +0.0003", outcome.stdout)
    assert re.search(r"target_kl +float \| null +null", outcome.stdout)
    assert "tensorboard_log" not in outcome.stdout


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algos_describes_every_algorithm_as_json(rl: Rl, name: str):
    document = rl("algos", name, "--json").document
    assert list(document) == ["name", "class", "hyperparameters"]
    assert document["name"] == name
    assert document["class"] == ALGORITHMS[name].import_path
    listed = {item["name"]: item for item in document["hyperparameters"]}
    assert listed
    assert EXPERIMENTS[name][1].keys() <= listed.keys()
    assert all(item["type"] for item in listed.values())
    assert not {"env", "seed", "verbose"} & set(listed)


def test_envs_lists_what_contains_the_text(rl: Rl):
    outcome = rl("envs", "frozen")
    assert outcome.exit_code == 0
    assert "FrozenLake-v1" in outcome.stdout
    assert "FrozenLake8x8-v1" in outcome.stdout
    assert "CartPole" not in outcome.stdout


def test_envs_as_json(rl: Rl):
    (entry,) = rl("envs", "cartpole", "--json").document
    assert entry == {
        "id": "CartPole-v1",
        "observation_space": "Box(4,)",
        "action_space": "Discrete(2)",
        "time_limit": 500,
        "reward_threshold": 475.0,
    }


def test_envs_lists_our_own(rl: Rl):
    assert [entry["id"] for entry in rl("envs", "bitflip", "--json").document] == ["BitFlipping-v0"]


def test_envs_that_are_not_there(rl: Rl):
    outcome = rl("envs", "nosuchthing")
    assert outcome.exit_code == 0
    assert "No installed environment contains 'nosuchthing'" in outcome.stdout
    assert rl("envs", "nosuchthing", "--json").document == []


# --- rl check, rl init ---------------------------------------------------------------------------


def test_check_tells_the_cost_and_writes_nothing(rl: Rl, write_yaml: WriteYaml, tmp_path: Path):
    path = write_yaml()
    before = contents(tmp_path)
    outcome = rl("check", path, "--json")
    assert outcome.exit_code == 0
    assert contents(tmp_path) == before
    assert list(tmp_path.iterdir()) == [path]
    report = outcome.document
    assert report["experiment"].startswith("tiny-")
    assert (report["env"], report["algo"]) == ("FrozenLake-v1", "q_learning")
    assert (report["observation_space"], report["action_space"]) == ("Discrete(16)", "Discrete(4)")
    assert (report["time_limit"], report["time_limit_is_ours"]) == (100, False)
    assert (report["total_timesteps"], report["n_runs"]) == (300, 2)
    assert report["steps_per_second"] > 0
    assert report["seconds_per_run"] == pytest.approx(300 / report["steps_per_second"])
    assert report["megabytes"] > 0


def test_check_and_train_agree_on_the_experiment(rl: Rl, trained: Trained):
    assert rl("check", trained.config, "--json").document["experiment"] == trained.path.name


def test_check_shows_a_table_to_people(rl: Rl, write_yaml: WriteYaml):
    tiny = write_yaml()
    text = tiny.read_text(encoding="utf-8").replace("FrozenLake", "CliffWalking")
    cliff = write_yaml(text.replace("tiny", "cliff"), "cliff.yaml")
    outcome = rl("check", tiny, cliff)
    assert outcome.exit_code == 0
    assert "Valid." in outcome.stdout
    assert re.search(r"tiny-\w{8} .* 100 ", outcome.stdout)
    assert re.search(r"cliff-\w{8} .* 1000 \(default\) ", outcome.stdout)
    assert "Training tiny for a few seconds" in outcome.message


def test_check_takes_overrides_and_seeds(rl: Rl, write_yaml: WriteYaml):
    document = rl(
        *("check", write_yaml(), "--set", "env.time_limit=7", "--seeds", "4,5,6", "--json")
    ).document
    assert document["time_limit"] == 7
    assert document["n_runs"] == 3


# `rl init` takes an id and no wrapper, so it needs an environment that has masks itself.
FITTING = {
    **{name: fitting_env(name)["id"] for name in ALGORITHMS},
    "maskable_ppo": "cli_worlds:TwoDoors-v0",
}


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_init_prints_a_config_that_is_accepted(rl: Rl, algo: str, tmp_path: Path):
    from rl_runner.training.resolve import resolve

    outcome = rl("init", algo, FITTING[algo])
    assert outcome.exit_code == 0
    assert outcome.stderr == ""
    path = tmp_path / "started.yaml"
    path.write_text(outcome.stdout, encoding="utf-8")
    config = load_config(path)
    assert config.algo.name == algo
    assert config.env.id == FITTING[algo]
    resolved = resolve(config).config
    bare = {
        "env": {"id": FITTING[algo]},
        "algo": {"name": algo},
        "train": {"total_timesteps": config.train.total_timesteps},
    }
    assert experiment_hash(resolved) == experiment_hash(resolve(config_from_dict(bare)).config)


@pytest.mark.parametrize("algo", ALGORITHMS)
def test_init_explains_every_hyperparameter(rl: Rl, algo: str):
    text = rl("init", algo, FITTING[algo]).stdout
    listed = rl("algos", algo, "--json").document["hyperparameters"]
    section = text.partition("\nalgo:\n")[2].partition("\n\n")[0]
    values = yaml.safe_load(section)
    assert list(values) == ["name", *(item["name"] for item in listed)]
    comments = [line for line in section.splitlines() if line.lstrip().startswith("#")]
    assert len(comments) >= len(listed)
    assert all(len(line) <= 100 for line in text.splitlines())


@pytest.mark.parametrize("algo", ["q_learning", "dqn", "a2c", "td3"])
def test_what_init_prints_passes_check(
    rl: Rl, algo: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("rl_runner.training.commands.check.PROBE_SECONDS", 0.05)
    path = tmp_path / "started.yaml"
    path.write_text(rl("init", algo, FITTING[algo]).stdout, encoding="utf-8")
    outcome = rl("check", path, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.document["algo"] == algo
    assert outcome.document["n_runs"] == 5


# --- the command itself --------------------------------------------------------------------------


def test_version(rl: Rl):
    outcome = rl("--version")
    assert outcome.exit_code == 0
    assert outcome.stdout == f"rl_runner {rl_runner.__version__}\n"


def test_python_dash_m_is_the_same_command(tmp_path: Path):
    result = subprocess.run(
        [sys.executable, "-m", "rl_runner", "--version"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"rl_runner {rl_runner.__version__}\n"
    assert result.stderr == ""


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_shows_an_example(rl: Rl, command: str):
    outcome = rl(command, "--help")
    assert outcome.exit_code == 0
    assert f"Example: rl {command} " in " ".join(outcome.stdout.split()) + " "


def test_help_lists_every_command(rl: Rl):
    for outcome in (rl("--help"), rl()):
        for command in COMMANDS:
            assert re.search(rf"\b{command} +[A-Z]", outcome.stdout), command


# --- Ctrl-C ---------------------------------------------------------------------------------------


def test_ctrl_c_ends_any_command_as_shells_have_it():
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        _with_error_boundary(interrupted)()
    assert ended.value.exit_code == 130
