import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rl_runner.config import config_from_dict, dump_config, experiment_hash, load_config
from rl_runner.config.yaml_text import parse_yaml

REPOSITORY = Path(__file__).parents[2]
SHIPPED = sorted(path.relative_to(REPOSITORY) for path in REPOSITORY.glob("configs/**/*.yaml"))

BASE = """
name: mine
description: a first try
env:
  id: CartPole-v1
  kwargs: {sutton_barto_reward: false}
  wrappers: [gymnasium.wrappers.FlattenObservation]
  time_limit: 500
  n_envs: 8
algo:
  name: ppo
  gamma: 0.98
  learning_rate: {schedule: linear, initial: 1e-3}
  policy_kwargs: {net_arch: [64, 64]}
train: {total_timesteps: 100_000, seeds: 5}
eval: {every: 10_000}
"""


def hash_with(path: str = "", value: object = None) -> str:
    raw = parse_yaml(BASE, "base.yaml")[0]
    node: Any = raw
    *parents, last = path.split(".")
    for key in parents:
        node = node.setdefault(key, {})
    if path:
        node[last] = value
    return experiment_hash(config_from_dict(raw))


def test_a_hash_is_eight_hex_digits():
    assert re.fullmatch("[0-9a-f]{8}", hash_with())


def test_the_hash_is_the_same_in_another_process(tmp_path: Path):
    path = tmp_path / "base.yaml"
    path.write_text(BASE, encoding="utf-8")
    code = (
        "import sys; from rl_runner.config import experiment_hash, load_config; "
        "print(experiment_hash(load_config(sys.argv[1])))"
    )
    for hash_seed in ("1", "2"):
        result = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout.strip() == hash_with()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "another"),
        ("description", ""),
        ("description", "a second try"),
        ("train.seeds", 1),
        ("train.seeds", [7, 3]),
        ("env.vec", "subproc"),
        ("train.keep", "best"),
        ("train.max_hours", 2.0),
        ("env.return_bounds", [0, 500]),
        ("env.max_copies", 20),
        ("checkpoint", {"keep_last": 3, "replay_buffer": False}),
        ("tune", {"trials": 30}),
    ],
)
def test_what_does_not_change_results_does_not_change_the_hash(path: str, value: object):
    assert hash_with(path, value) == hash_with()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("env.id", "CartPole-v0"),
        ("env.kwargs", {}),
        ("env.kwargs.sutton_barto_reward", True),
        ("env.wrappers", []),
        ("env.wrappers", ["gymnasium.wrappers.RescaleAction"]),
        ("env.time_limit", None),
        ("env.time_limit", 501),
        ("env.normalize", True),
        ("env.normalize", {"observations": True}),
        ("env.normalize", {"clip_rewards": 5.0}),
        ("env.frame_stack", 2),
        ("env.n_envs", 9),
        ("algo.name", "a2c"),
        ("algo.gamma", 0.98000000001),
        ("algo.gae_lambda", 0.95),
        ("algo.learning_rate", 1e-3),
        ("algo.learning_rate.initial", 2e-3),
        ("algo.learning_rate.final", 0.0),
        ("algo.policy_kwargs.net_arch", [64]),
        ("algo.policy_kwargs.net_arch", [64, 64, 64]),
        ("train.total_timesteps", 100_001),
        ("eval.every", None),
        ("eval.every", 10_001),
        ("eval.n_episodes", 21),
        ("eval.final_episodes", 101),
        ("eval.deterministic", False),
        ("eval.n_envs", 11),
    ],
)
def test_anything_else_changes_the_hash(path: str, value: object):
    assert hash_with(path, value) != hash_with()


def test_every_change_has_a_hash_of_its_own():
    gammas = [i / 200 for i in range(200)]
    assert len({hash_with("algo.gamma", gamma) for gamma in gammas}) == len(gammas)


def test_the_order_of_keys_does_not_matter():
    raw = parse_yaml(BASE, "base.yaml")[0]

    def backwards(node: object) -> object:
        if isinstance(node, dict):
            return {key: backwards(node[key]) for key in reversed(node)}
        return node

    turned: Any = backwards(raw)
    assert list(turned) == list(reversed(raw))
    assert experiment_hash(config_from_dict(turned)) == hash_with()


def test_the_order_of_wrappers_matters():
    one, two = "gymnasium.wrappers.ClipAction", "gymnasium.wrappers.RescaleAction"
    assert hash_with("env.wrappers", [one, two]) != hash_with("env.wrappers", [two, one])


@pytest.mark.parametrize(
    ("path", "short", "long"),
    [
        ("env.wrappers", ["a.B"], [{"name": "a.B", "kwargs": {}}]),
        ("env.normalize", True, {"observations": True, "rewards": True}),
        ("env.normalize", False, {}),
        ("eval", {}, {"n_episodes": 20, "final_episodes": 100, "deterministic": True}),
    ],
)
def test_the_short_way_of_writing_is_the_same_experiment(path: str, short: Any, long: Any):
    assert hash_with(path, short) == hash_with(path, long)


# What a log amounts to is known when it is read; tests/offline resolves those.
ONLINE = [path for path in SHIPPED if load_config(REPOSITORY / path).data is None]


@pytest.mark.filterwarnings("ignore")  # of SB3 and Gymnasium; they are none of the hash's business
@pytest.mark.parametrize("path", ONLINE, ids=str)
def test_a_resolved_config_is_the_same_experiment_when_loaded_again(path: Path, tmp_path: Path):
    from rl_runner.training.resolve import resolve

    resolved = resolve(load_config(REPOSITORY / path)).config
    written = tmp_path / "config.yaml"
    written.write_text(dump_config(resolved), encoding="utf-8")
    again = resolve(load_config(written)).config
    assert again == resolved
    assert experiment_hash(again) == experiment_hash(resolved)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("algo", ["a2c", "dqn", "ppo", "qrdqn", "sac", "td3", "tqc", "crossq"])
def test_building_the_agent_leaves_the_config_as_it_was(algo: str):
    from rl_runner.training.resolve import resolve

    discrete = algo in {"a2c", "dqn", "ppo", "qrdqn"}
    config = config_from_dict(
        {
            "env": {"id": "CartPole-v1" if discrete else "Pendulum-v1"},
            "algo": {"name": algo, "policy_kwargs": {}},
            "train": {"total_timesteps": 1000},
        }
    )
    resolved = resolve(config).config
    assert config.algo.hyperparameters == {"policy_kwargs": {}}
    assert resolved.algo.hyperparameters["policy_kwargs"] == {}
    assert resolve(resolved).config == resolved
