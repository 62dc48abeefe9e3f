import base64
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import DummyVecEnv
from tiny_envs import Aim, Masked

from rl_runner.agents.build import build_agent
from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.registry import ALGORITHMS
from rl_runner.agents.saving import load_parameters
from rl_runner.config.yaml_text import SourceMap
from rl_runner.errors import CheckpointError


def agent_of(name: str, seed: int = 0, **written: Any) -> Any:
    algorithm = ALGORITHMS[name]
    small = {"policy": "MlpPolicy", "policy_kwargs": {"net_arch": [4]}}
    checked = check_hyperparameters(algorithm, {**small, **written}, SourceMap())
    return build_agent(algorithm, checked, DummyVecEnv([Aim if name == "sac" else Masked]), seed)


class _Planted:
    """Leaves a mark on the disk when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.mark,)


def rewritten(path: Path, name: str, content: bytes) -> None:
    """Replace one member of a zip file."""
    with zipfile.ZipFile(path) as file:
        members = {member: file.read(member) for member in file.namelist()}
    assert name in members
    with zipfile.ZipFile(path, "w") as file:
        for member, old in members.items():
            file.writestr(member, content if member == name else old)


def test_a_loaded_agent_predicts_like_the_saved_one(tmp_path: Path) -> None:
    saved, loaded = agent_of("ppo", seed=1), agent_of("ppo", seed=2)
    saved.save(str(tmp_path / "model.zip"))
    observations = np.random.default_rng(0).random((200, 4), dtype=np.float32)
    expected, _ = saved.predict(observations, deterministic=True)
    assert not np.array_equal(loaded.predict(observations, deterministic=True)[0], expected)
    load_parameters(loaded, str(tmp_path / "model.zip"))
    np.testing.assert_array_equal(loaded.predict(observations, deterministic=True)[0], expected)


def test_a_learned_entropy_coefficient_is_loaded_and_learned_further(tmp_path: Path) -> None:
    saved, loaded = (agent_of("sac", buffer_size=10, ent_coef=f"auto_{x}") for x in (0.5, 1.0))
    saved.save(str(tmp_path / "model.zip"))
    load_parameters(loaded, str(tmp_path / "model.zip"))
    assert loaded.log_ent_coef.exp().item() == pytest.approx(0.5)
    (optimized,) = loaded.ent_coef_optimizer.param_groups[0]["params"]
    assert optimized is loaded.log_ent_coef


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated"])
def test_a_damaged_file_is_a_checkpoint_error(tmp_path: Path, damage: str) -> None:
    path, agent = tmp_path / "model.zip", agent_of("ppo")
    if damage != "missing":
        agent.save(str(path))
        content = path.read_bytes()
        damaged = {"empty": b"", "text": b"no zip", "truncated": content[: len(content) // 2]}
        path.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match="cannot be loaded") as caught:
        load_parameters(agent, str(path))
    assert caught.value.problems[0].where == str(path)


@pytest.mark.parametrize("content", [b"", b"no tensors"])
def test_damaged_weights_inside_are_a_checkpoint_error(tmp_path: Path, content: bytes) -> None:
    path, agent = tmp_path / "model.zip", agent_of("ppo")
    agent.save(str(path))
    rewritten(path, "policy.pth", content)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_parameters(agent, str(path))


@pytest.mark.parametrize(
    ("name", "written"),
    [("ppo", {"policy_kwargs": {"net_arch": [8]}}), ("dqn", {"buffer_size": 10})],
)
def test_weights_of_another_agent_are_a_checkpoint_error(
    tmp_path: Path, name: str, written: dict[str, Any]
) -> None:
    agent_of(name, **written).save(str(tmp_path / "model.zip"))
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_parameters(agent_of("ppo"), str(tmp_path / "model.zip"))


def test_what_stock_sb3_would_unpickle_is_not_read(tmp_path: Path) -> None:
    path, mark, agent = tmp_path / "model.zip", tmp_path / "mark", agent_of("ppo")
    agent.save(str(path))
    planted = base64.b64encode(pickle.dumps(_Planted(mark))).decode()
    data = {"policy_class": {":type:": "x", ":serialized:": planted}}
    rewritten(path, "data", json.dumps(data).encode())
    load_parameters(agent, str(path))
    assert not mark.exists()


def test_objects_among_the_weights_are_refused_without_being_made(tmp_path: Path) -> None:
    path, mark, agent = tmp_path / "model.zip", tmp_path / "mark", agent_of("ppo")
    agent.save(str(path))
    torch.save({"x": _Planted(mark)}, tmp_path / "planted.pth")
    rewritten(path, "policy.pth", (tmp_path / "planted.pth").read_bytes())
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_parameters(agent, str(path))
    assert not mark.exists()
