import io
import itertools
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from stable_baselines3 import PPO
from stable_baselines3.common.logger import Logger, TensorBoardOutputFormat
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.util import tensor_util

from rl_runner import config_from_dict, load_config, train
from rl_runner.config import EnvConfig, ExperimentConfig, dump_config
from rl_runner.config.yaml_text import parse_yaml
from rl_runner.envs import build_env
from rl_runner.training.experiment import ExperimentResult
from rl_runner.training.observers.tensorboard import build_logger
from rl_runner.training.resolve import resolve

Trained = Callable[[str], ExperimentResult]
ConfigOf = Callable[..., ExperimentConfig]

OF_EVERY_ALGORITHM = {
    "rollout/ep_rew_mean",
    "rollout/ep_len_mean",
    "time/fps",
    "train/learning_rate",
    "eval/mean_reward",
    "eval/mean_ep_length",
    "final/last_mean_reward",
    "final/best_mean_reward",
}


def _read(path: Path) -> EventAccumulator:
    (_,) = path.glob("events.out.tfevents*")
    accumulator = EventAccumulator(str(path), size_guidance={"scalars": 0, "images": 0})
    accumulator.Reload()
    return accumulator


def _scalars(events: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in events.Scalars(tag)]


@pytest.fixture(scope="module")
def events(trained: Trained) -> Callable[[str], EventAccumulator]:
    return lambda name: _read(trained(name).runs[0].path)


Events = Callable[[str], EventAccumulator]


@pytest.fixture(scope="module")
def table_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train long enough for the hundred episodes between two logs of Q-learning."""
    config = config_from_dict(
        {
            "env": {"id": "FrozenLake-v1", "kwargs": {"is_slippery": False}},
            "algo": {"name": "q_learning"},
            "train": {"total_timesteps": 2000, "seeds": [0]},
            "eval": {"every": 1000, "n_episodes": 1, "final_episodes": 1},
        }
    )
    (run,) = train(config, runs_dir=tmp_path_factory.mktemp("table")).runs
    assert run.status == "finished", run.record.traceback
    return run.path


# --- the clock ---------------------------------------------------------------------------------


def test_a_clock_that_was_set_back_is_reported_once(
    tmp_path: Path, trained: Trained, witness: Any, monkeypatch: pytest.MonkeyPatch
):
    copy = shutil.copytree(trained("cliff").path, tmp_path / trained("cliff").path.name)
    (copy / "seed-0" / "q_table.npz").unlink()  # so that it is opened once more
    ticks = itertools.count(0.0, 0.3)
    clock = SimpleNamespace(time=lambda: 5.0, monotonic=lambda: next(ticks), sleep=lambda _: None)
    monkeypatch.setattr("rl_runner.training.observers.tensorboard.time", clock)
    (run,) = train(load_config(copy), runs_dir=tmp_path, reporter=witness).runs
    assert run.path == copy / "seed-0"
    assert run.status == "finished"
    (note,) = (note for note in witness.reports("note") if "clock" in note)
    assert f"The clock was set back since {run.path} was last trained" in note


def test_a_clock_that_runs_on_is_no_news(tmp_path: Path):
    file = tmp_path / f"events.out.tfevents.{int(time.time())}.host.1.0"  # in this very second
    file.touch()
    build_logger(tmp_path, None, pytest.fail).close()
    others = [other for other in tmp_path.iterdir() if other != file]
    assert [other.name > file.name for other in others] == [True]


# --- what is in the file --------------------------------------------------------------------------


def test_what_was_dumped_is_in_the_file_after_a_flush(tmp_path: Path):
    logger = build_logger(tmp_path, None, pytest.fail)
    for step in range(3):  # in less than the second after which it would be flushed anyway
        logger.record("train/loss", 0.5)
        logger.dump(step)
    logger.flush()
    assert [step for step, _ in _scalars(_read(tmp_path), "train/loss")] == [0, 1, 2]
    logger.close()


# --- tags -----------------------------------------------------------------------------------------


def test_ppo_has_every_tag_that_stock_sb3_writes(events: Events, tmp_path: Path):
    env = build_env(EnvConfig(id="CartPole-v1"), [0])
    stock = PPO("MlpPolicy", env, n_steps=64, n_epochs=1, tensorboard_log=str(tmp_path))
    stock.learn(128)
    stock.logger.close()
    env.close()
    (folder,) = tmp_path.iterdir()
    tags = set(_read(folder).Tags()["scalars"])
    assert {"train/loss", "train/approx_kl", "rollout/ep_rew_mean", "time/fps"} <= tags
    ours = set(events("ppo").Tags()["scalars"])
    assert ours >= tags | OF_EVERY_ALGORITHM


def test_reinforce_has_sb3s_tags_and_its_own(events: Events):
    tags = set(events("reinforce").Tags()["scalars"])
    own = {"train/policy_entropy", "train/grad_norm", "train/loss", "train/value_loss"}
    own |= {"train/policy_gradient_loss", "train/entropy_loss", "train/explained_variance"}
    assert tags >= OF_EVERY_ALGORITHM | own


def test_q_learning_has_sb3s_tags_and_its_own(table_run: Path):
    events = _read(table_run)
    own = {"rollout/exploration_rate", "train/table_coverage", "train/mean_abs_td_error"}
    assert set(events.Tags()["scalars"]) >= OF_EVERY_ALGORITHM | own
    rates = [rate for _, rate in _scalars(events, "rollout/exploration_rate")]
    assert rates == sorted(rates, reverse=True)
    assert all(0.05 <= rate < 1 for rate in rates)
    coverage = [share for _, share in _scalars(events, "train/table_coverage")]
    assert coverage == sorted(coverage)
    assert 0 < coverage[-1] <= 11 / 16  # of 16 states, 4 are holes and one is the goal


def test_a_short_run_of_q_learning_is_logged_too(events: Events):
    assert "rollout/ep_rew_mean" in events("q_learning").Tags()["scalars"]


def test_every_scalar_is_a_finite_number(events: Events, table_run: Path):
    for accumulator in (events("ppo"), events("reinforce"), _read(table_run)):
        for tag in accumulator.Tags()["scalars"]:
            assert np.isfinite([value for _, value in _scalars(accumulator, tag)]).all(), tag


# --- values ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["q_learning", "ppo", "reinforce", "normalized"])
def test_evaluations_are_those_on_disk(trained: Trained, events: Events, name: str):
    with np.load(trained(name).runs[0].path / "evaluations.npz") as file:
        timesteps = file["timesteps"].tolist()
        rewards, lengths = file["returns"].mean(axis=1), file["lengths"].mean(axis=1)
    logged = dict(_scalars(events(name), "eval/mean_reward"))
    assert list(logged) == timesteps
    np.testing.assert_allclose(list(logged.values()), rewards, rtol=1e-6)
    logged = dict(_scalars(events(name), "eval/mean_ep_length"))
    np.testing.assert_allclose(list(logged.values()), lengths, rtol=1e-6)


def test_exact_returns_and_regret_stand_beside_the_sampled_ones(table_run: Path, events: Events):
    found = _read(table_run)  # on the lake that is not slippery one episode tells all
    sampled = _scalars(found, "eval/mean_reward")
    assert _scalars(found, "eval/exact_mean_reward") == sampled
    assert _scalars(found, "eval/regret") == [(step, 1.0 - value) for step, value in sampled]
    tags = events("ppo").Tags()["scalars"]
    assert not {"eval/exact_mean_reward", "eval/regret"} & set(tags)


@pytest.mark.parametrize("name", ["ppo", "reinforce"])
def test_rollout_means_are_those_of_the_recorded_episodes(
    trained: Trained, events: Events, name: str
):
    rows = (trained(name).runs[0].path / "episodes.csv").read_text().splitlines()[1:]
    episodes = [tuple(map(float, row.split(","))) for row in rows]
    for step, mean in _scalars(events(name), "rollout/ep_rew_mean"):
        finished = [episode[1] for episode in episodes if episode[0] <= step]
        assert mean == pytest.approx(np.mean(finished[-100:]), rel=1e-6)


def test_steps_are_environment_timesteps(events: Events):
    assert [step for step, _ in _scalars(events("ppo"), "time/fps")] == [64, 128, 192, 256]


@pytest.mark.parametrize("name", ["q_learning", "ppo"])
def test_the_held_out_results_stand_at_the_end(trained: Trained, events: Events, name: str):
    record = trained(name).runs[0].record
    for agent in ("last", "best"):
        ((step, value),) = _scalars(events(name), f"final/{agent}_mean_reward")
        assert step == record.timesteps
        assert value == pytest.approx(getattr(record, agent).mean_reward, rel=1e-6)


# --- text, hparams, pictures ----------------------------------------------------------------------


def test_our_event_file_shows_what_sb3s_own_does(tmp_path: Path):
    values: dict[str, Any] = {
        "rollout/ep_rew_mean": 21.5,
        "train/n_updates": 3,
        "train/value_loss": np.float32(0.25),
        "time/seconds": 1.0,
        "train/weights": np.arange(3.0),
        "config": "    name: ppo",
    }
    logs = {
        "ours": build_logger(tmp_path / "ours", None, print),
        "sb3s": Logger(None, [TensorBoardOutputFormat(str(tmp_path / "sb3s"))]),
    }
    for logger in logs.values():
        for step in (8, 16):
            for key, value in values.items():
                logger.record(key, value, "tensorboard" if key == "time/seconds" else None)
            logger.dump(step)
        logger.close()
    ours, sb3s = (_read(tmp_path / name) for name in logs)
    assert ours.Tags() == sb3s.Tags()
    assert "time/seconds" not in ours.Tags()["scalars"]
    assert len(ours.Tags()["scalars"]) == 3
    for tag in ours.Tags()["scalars"]:
        assert _scalars(ours, tag) == _scalars(sb3s, tag) == [(8, values[tag]), (16, values[tag])]


@pytest.mark.parametrize("name", ["q_learning", "ppo"])
def test_the_resolved_config_is_shown_as_text(events: Events, config_of: ConfigOf, name: str):
    ((tag),) = (tag for tag in events(name).Tags()["tensors"] if tag.startswith("config"))
    (event,) = events(name).Tensors(tag)
    text = tensor_util.make_ndarray(event.tensor_proto).item().decode()
    lines = text.rstrip("\n").split("\n")
    assert all(line.startswith("    ") for line in lines)  # a code block in Markdown
    shown = "\n".join(line.removeprefix("    ") for line in lines) + "\n"
    assert shown == dump_config(resolve(config_of(name)).config)
    assert parse_yaml(shown, "")[0] == resolve(config_of(name)).config.to_dict()


def _hparams(events: EventAccumulator) -> dict[str, HParamsPluginData]:
    contents = events.PluginTagToContent("hparams")
    return {tag: HParamsPluginData.FromString(content) for tag, content in contents.items()}


def test_hyperparameters_and_final_metrics_are_on_the_hparams_page(
    trained: Trained, events: Events
):
    data = _hparams(events("ppo"))
    metrics = {info.name.tag for info in data["_hparams_/experiment"].experiment.metric_infos}
    assert metrics == {"final/last_mean_reward", "final/best_mean_reward"}
    assert metrics <= set(events("ppo").Tags()["scalars"])
    hparams = data["_hparams_/session_start_info"].session_start_info.hparams
    shown: dict[str, Any] = {
        name: getattr(value, value.WhichOneof("kind")) for name, value in hparams.items()
    }
    config = load_config(trained("ppo").path)
    assert set(shown) == {
        *("seed", "env", "algo", "engine", "n_envs", "total_timesteps"),
        *(key for key, value in config.algo.hyperparameters.items() if value is not None),
    }
    assert shown["env"] == "CartPole-v1"
    assert shown["algo"] == "ppo"
    assert (shown["seed"], shown["n_envs"], shown["total_timesteps"]) == (0, 2, 256)
    assert (shown["n_steps"], shown["gamma"]) == (32, 0.99)
    assert shown["normalize_advantage"] == 1.0  # torch writes booleans as numbers
    assert "net_arch" in shown["policy_kwargs"]


@pytest.mark.parametrize("name", ["q_learning", "reinforce", "normalized"])
def test_our_own_algorithms_have_hparams_too(events: Events, name: str):
    data = _hparams(events(name))
    assert {"_hparams_/experiment", "_hparams_/session_start_info"} <= set(data)


def test_the_policy_of_a_table_is_drawn_at_each_evaluation(events: Events):
    images = events("q_learning").Images("q_table/policy")
    assert [image.step for image in images] == [100, 200, 300]
    pixels = imread(io.BytesIO(images[-1].encoded_image_string), format="png")
    assert pixels.shape[:2] == (images[-1].height, images[-1].width)
    assert pixels[..., :3].std() > 0.05


@pytest.mark.parametrize("name", ["ppo", "reinforce"])
def test_an_agent_without_a_table_has_no_picture_of_it(events: Events, name: str):
    assert events(name).Tags()["images"] == []
