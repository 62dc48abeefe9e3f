import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from log_training import train_on_logs

from rl_runner.config import config_from_dict, experiment_hash, load_config
from rl_runner.envs.recommender.domain import N_STATES, RecommendationState
from rl_runner.envs.recommender.policies import random_policy
from rl_runner.errors import CheckpointError, ConfigError, DataError, RunFolderError
from rl_runner.evaluation.play.loaded_run import load_run
from rl_runner.offline.judging.run_evaluation import evaluate_on_logs
from rl_runner.offline.learning.log_q_learning import LogQLearning
from rl_runner.offline.learning.recommender import load_recommender
from rl_runner.offline.learning.trained_run import load_trained
from rl_runner.offline.logs.interactions import read_interactions
from rl_runner.offline.logs.log_files import LogReader, write_log
from rl_runner.offline.logs.simulation import LogPlan, simulate_log
from rl_runner.training.resolve import resolve
from rl_runner.training.task import RunResult

PERSON = RecommendationState(75, 60, 40, 80, 30, "music", "calm", "evening")

ALL_STATES = np.arange(N_STATES)


def experiment(log: Path, algo: str = "q_learning", **data):
    raw = {
        "env": {"id": "Recommender-v0"},
        "algo": {"name": algo},
        "data": {"path": str(log), **data},
    }
    return config_from_dict(raw)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def run(log_file: Path, runs: Path) -> RunResult:
    (done,) = train_on_logs(experiment(log_file), runs_dir=runs).runs
    assert done.record.status == "finished", done.record.traceback
    return done


def test_a_run_on_logs_is_a_run_like_any_other(run):
    assert {path.name for path in run.path.iterdir()} >= {
        "run.json",
        "log_table.npz",
        "estimates.png",
    }
    record = json.loads((run.path / "run.json").read_text())
    assert (record["status"], record["seed"], record["algo"]) == ("finished", 0, "q_learning")
    assert record["timesteps"] == record["results"]["log"]["interactions"]
    log = record["results"]["log"]
    assert log["in_window"] - log["interactions_dropped"] == log["interactions"]
    assert record["versions"]["numpy"]
    assert run.path.parent.name == (
        f"recommender-q_learning-{experiment_hash(load_config(run.path.parent))}"
    )


def test_its_config_is_complete_and_pinned_to_the_events(run, log):
    config = load_config(run.path.parent)
    assert config.algo.hyperparameters["shrinkage"] == 50.0
    assert config.data.until == log.last_time.isoformat()
    assert len(config.data.fingerprint) == 8
    again = train_on_logs(config, runs_dir=run.path.parent.parent)
    assert again.path == run.path.parent


def test_training_twice_is_training_once(log_file, run, runs):
    before = (run.path / "run.json").stat().st_mtime_ns
    (again,) = train_on_logs(experiment(log_file), runs_dir=runs).runs
    assert again.path == run.path
    assert (run.path / "run.json").stat().st_mtime_ns == before
    (fresh,) = train_on_logs(experiment(log_file), runs_dir=runs, fresh=True).runs
    assert (fresh.path / "run.json").stat().st_mtime_ns > before
    assert fresh.record.results == run.record.results


def test_the_same_events_elsewhere_are_the_same_experiment(frame, tmp_path, run, runs):
    write_log(frame[:1500], tmp_path / "x.jsonl")
    write_log(frame[1500:], tmp_path / "y.parquet")
    assert train_on_logs(experiment(tmp_path / "*"), runs_dir=runs).path == run.path.parent


def test_a_log_that_has_grown_is_another_experiment(frame, tmp_path, run, runs):
    write_log(frame.head(3900), tmp_path / "log.parquet")
    other = train_on_logs(experiment(tmp_path / "log.parquet"), runs_dir=runs)
    assert other.path != run.path.parent


def test_a_pinned_config_refuses_other_events(frame, run, tmp_path):
    config = load_config(run.path.parent)
    other = tmp_path / "log.parquet"
    write_log(frame.filter(pl.col("event_id") != frame["event_id"][2000]), other)
    moved = config.data.model_copy(update={"path": (str(other),)})
    with pytest.raises(DataError, match="events are not those"):
        train_on_logs(config.model_copy(update={"data": moved}), runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_what_was_held_out_was_not_learned(run, log):
    until = run.record.results.log.learned_until
    learned = log.take((log.ts <= until) & (log.ts > until - 7 * 24 * 3600 * 10**6))
    learner = LogQLearning()
    kept = learned.take(np.bincount(learned.user)[learned.user] >= 5)
    learner.learn(kept)
    assert np.array_equal(
        load_trained(run.path).learner.q_values(ALL_STATES), learner.q_values(ALL_STATES)
    )
    assert run.record.results.judgement.interactions == (log.ts > until).sum()


def test_retraining_continues_from_an_earlier_table(frame, log, tmp_path):
    """Two weeks, one after the other, are both in one pass; the earlier table stays as it is."""
    middle = frame["ts"][2000]
    first_log, whole_log = tmp_path / "first.parquet", tmp_path / "whole.parquet"
    write_log(frame.filter(pl.col("ts") <= middle), first_log)
    write_log(frame, whole_log)
    plain = {"window": "30d", "holdout": None, "min_interactions_per_user": 1}
    first = train_on_logs(experiment(first_log, **plain), runs_dir=tmp_path / "runs").runs[0]
    table = (first.path / "log_table.npz").read_bytes()
    second_config = experiment(whole_log, **plain, continue_from=str(first.path))
    second = train_on_logs(second_config, runs_dir=tmp_path / "runs").runs[0]
    assert second.record.status == "finished", second.record.traceback
    assert second.record.timesteps == (frame["ts"] > middle).sum()
    assert (first.path / "log_table.npz").read_bytes() == table
    whole = LogQLearning()
    whole.learn(log)
    assert np.array_equal(
        load_trained(second.path).learner.q_values(ALL_STATES), whole.q_values(ALL_STATES)
    )
    with pytest.raises(DataError, match="has already learned until"):
        train_on_logs(
            experiment(first_log, **plain, continue_from=str(second.path)),
            runs_dir=tmp_path / "runs",
        )


def test_a_retrain_of_another_kind_is_refused(log_file, run, tmp_path):
    for other in (
        experiment(log_file, "reward_regression", continue_from=str(run.path)),
        experiment(log_file, continue_from=str(run.path), rewards={"like": 2.0}),
    ):
        with pytest.raises(ConfigError, match="the earlier run learned with"):
            train_on_logs(other, runs_dir=tmp_path / "runs")
    raw = {**experiment(log_file, continue_from=str(run.path)).to_dict()}
    raw["algo"] = {"name": "q_learning", "gamma": 0.0}
    with pytest.raises(ConfigError, match=r"`algo\.gamma` is 0\.0"):
        train_on_logs(config_from_dict(raw), runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"path": "nowhere.parquet"}, DataError, "There is no such log"),
        ({"until": "2031-01-01T00:00:00Z"}, DataError, "is empty"),
        ({"min_interactions_per_user": 100_000}, DataError, "None of"),
        ({"continue_from": "nowhere"}, RunFolderError, "no such folder"),
        ({"rewards": {"click": 1.0}}, ConfigError, "click is not a term of the reward"),
    ],
)
def test_bad_input_changes_nothing_on_disk(log_file, tmp_path, data, error, message):
    path = data.pop("path", log_file)
    with pytest.raises(error, match=message):
        train_on_logs(experiment(path, **data), runs_dir=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"window": "a week"}, "not a duration"),
        ({"until": "2025-01-01T00:00:00"}, "no time zone"),
        ({"until": "2025-01-01"}, "write 2025-01-01T00:00:00Z"),
        ({"timezone": "Mars/Olympus"}, "not a time zone"),
        ({"window_days": 7}, "Unknown key"),
        ({"min_interactions_per_user": 0}, "greater than or equal to 1"),
        ({"path": []}, "at least 1 item"),
    ],
)
def test_a_data_section_that_cannot_be_is_refused(data, message):
    with pytest.raises(ConfigError, match=message):
        experiment(Path("log.parquet"), **data)


def test_what_does_not_learn_from_logs_is_refused(log_file, tmp_path):
    with pytest.raises(ConfigError, match="`ppo` does not learn from logs"):
        train_on_logs(experiment(log_file, "ppo"), runs_dir=tmp_path)
    raw = experiment(log_file).to_dict() | {"algo": {"name": "q_learning", "shrinkag": 3}}
    with pytest.raises(ConfigError, match="Did you mean `shrinkage`"):
        train_on_logs(config_from_dict(raw), runs_dir=tmp_path)
    raw = experiment(log_file).to_dict() | {"algo": {"name": "q_learning", "learning_rate": 2.0}}
    with pytest.raises(ConfigError, match="above 1"):
        train_on_logs(config_from_dict(raw), runs_dir=tmp_path)
    raw = experiment(log_file, "reward_regression").to_dict()
    raw["algo"] = {"name": "reward_regression", "ridge": 0}
    with pytest.raises(ConfigError, match="ridge is 0"):
        train_on_logs(config_from_dict(raw), runs_dir=tmp_path)
    raw = experiment(log_file).to_dict() | {"env": {"id": "CartPole-v1"}}
    with pytest.raises(ConfigError, match="not for CartPole-v1"):
        train_on_logs(config_from_dict(raw), runs_dir=tmp_path)


def test_training_in_environments_refuses_experiments_on_logs(log_file, run):
    with pytest.raises(ConfigError, match="learns from a log"):
        resolve(experiment(log_file))
    with pytest.raises(RunFolderError, match="learned from a log"):
        load_run(run.path)


def test_an_experiment_without_data_has_the_hash_it_always_had():
    config = load_config(Path(__file__).parents[3] / "configs/cartpole/ppo.yaml")
    assert "data" not in config.to_dict()


def test_a_budget_keeps_the_newest_interactions(log_file, tmp_path):
    raw = experiment(log_file).to_dict() | {"train": {"total_timesteps": 300}}
    (run,) = train_on_logs(config_from_dict(raw), runs_dir=tmp_path).runs
    assert run.record.timesteps == 300
    log = run.record.results.log
    assert log.interactions == 300
    assert log.beyond_budget + 300 == log.in_window - log.interactions_dropped


def test_an_interruption_is_recorded(log_file, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(LogQLearning, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_on_logs(experiment(log_file), runs_dir=tmp_path)
    (record,) = tmp_path.glob("*/seed-0/run.json")
    assert json.loads(record.read_text())["status"] == "interrupted"
    assert not (record.parent / "log_table.npz").exists()


def test_the_regression_is_trained_the_same_way(log_file, tmp_path):
    (run,) = train_on_logs(experiment(log_file, "reward_regression"), runs_dir=tmp_path).runs
    assert run.record.status == "finished", run.record.traceback
    assert run.record.results.coverage.of_cells == 84 * 27
    assert load_trained(run.path).policy_table().shape == (262_500, 27)


def test_a_regression_may_leave_the_bounds_and_a_table_that_does_is_a_bug(
    log_file, tmp_path, monkeypatch
):
    """A linear form may say more than the rewards allow; an average of them cannot."""
    rewards = {"like": 0.0, "dislike": 0.0, "complete": 0.0, "skip": 5.0, "share": 0.0}
    rewards |= {"completion_rate": 0.0, "mood_improvement": 0.0}
    (run,) = train_on_logs(
        experiment(log_file, "reward_regression", rewards=rewards), runs_dir=tmp_path
    ).runs
    assert run.record.status == "finished", run.record.traceback
    assert run.record.results.coverage.values_outside > 0  # below 0: skips are not
    monkeypatch.setattr(LogQLearning, "outside", lambda *_: 3)
    (run,) = train_on_logs(experiment(log_file), runs_dir=tmp_path).runs
    assert run.record.status == "failed"
    assert "3 values lie outside what rewards can sum to" in run.record.error
    assert not (run.path / "log_table.npz").exists()


# --- judging a run --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def later(tmp_path_factory: pytest.TempPathFactory, log) -> Path:
    """Three weeks that go on after the log."""
    path = tmp_path_factory.mktemp("later") / "later.parquet"
    end = log.last_time.replace(hour=0, minute=0, second=0, microsecond=0)
    plan = LogPlan(16_000, seed=9, days=21, end=end.replace(year=2025, month=7, day=25))
    write_log(simulate_log(random_policy(), plan), path)
    return path


def test_a_run_is_judged_by_a_log_that_it_has_not_seen(run, later):
    verdict = evaluate_on_logs(run.path, [str(later)], "30d")
    assert verdict.judgement.refusal is None
    assert set(verdict.judgement.estimates) == {"IPS", "SNIPS", "DM", "DR", "SWITCH-DR"}
    written = json.loads((verdict.folder / "judgement.json").read_text())
    assert written["support"]["effective_sample"] >= 100
    assert (verdict.folder / "estimates.png").read_bytes()[:4] == b"\x89PNG"
    shorter = evaluate_on_logs(run.path, [str(later)], "3d")
    assert shorter.judgement.interactions < verdict.judgement.interactions
    assert shorter.folder != verdict.folder


def test_nothing_that_was_learned_is_judged_by(run, log_file, log):
    verdict = evaluate_on_logs(run.path, [str(log_file)])
    until = run.record.results.log.learned_until
    assert verdict.judgement.interactions == (log.ts > until).sum()
    assert verdict.window.start >= until


def test_too_little_is_refused_with_the_amount_needed(run, log_file):
    verdict = evaluate_on_logs(run.path, [str(log_file)], "12h")
    assert "logged like these would be enough" in verdict.judgement.refusal
    assert verdict.judgement.needed > verdict.judgement.interactions


def test_an_invalid_window_is_refused(run, log_file):
    with pytest.raises(ConfigError, match="not a duration"):
        evaluate_on_logs(run.path, [str(log_file)], "three days")


def test_a_damaged_table_is_noticed(run, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(run.path.parent, copy)
    table = copy / "seed-0" / "log_table.npz"
    table.write_bytes(table.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_trained(copy)


def test_only_finished_runs_on_logs_are_loaded(tmp_path, write_yaml):
    online = tmp_path / "online"
    (online / "seed-0").mkdir(parents=True)
    write_yaml().rename(online / "config.yaml")
    (online / "seed-0" / "run.json").write_text('{"status": "finished", "seed": 0}')
    with pytest.raises(RunFolderError, match="has not learned from a log"):
        load_trained(online)


# --- asking it ------------------------------------------------------------------------------------


def test_a_trained_run_recommends(run):
    recommender = load_recommender(run.path, seed=3)
    choices = [recommender.recommend(PERSON) for _ in range(400)]
    learner = load_trained(run.path).learner
    shares = learner.policy(np.array([PERSON.index]))[0]
    for choice in choices[:20]:
        assert choice.probability == pytest.approx(shares[choice.action.index])
        assert choice.q_values.shape == (27,)
        assert set(choice.action.to_recommendation_params()) >= {"min_energy", "genre_count"}
    best = choices[0].q_values.argmax()
    assert np.mean([c.action.index == best for c in choices]) == pytest.approx(
        shares[best], abs=0.08
    )
    assert choices[0].policy_id == run.path.parent.name


def test_without_exploration_it_takes_the_best(run):
    choice = load_recommender(run.path).recommend(PERSON, explore=False)
    assert choice.probability == 1.0
    assert choice.action.index == choice.q_values.argmax()


def test_what_a_run_would_log_can_be_judged(run, tmp_path):
    """The circle: train, recommend to simulated people, log with pscore, read it back."""
    policy = load_trained(run.path).policy_table()
    frame = simulate_log(policy, LogPlan(800, seed=2, policy_id="mine"))
    write_log(frame, tmp_path / "own.parquet")
    log = read_interactions([tmp_path / "own.parquet"], LogReader())
    assert np.allclose(log.pscore, policy[log.state, log.action])
