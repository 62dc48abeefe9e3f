"""A config to start from, with every hyperparameter at its default and explained."""

import textwrap
from typing import Any

import yaml

from rl_runner.agents.hyperparameters import Hyperparameter, hyperparameters_of
from rl_runner.agents.registry import find_algorithm
from rl_runner.config import config_from_dict
from rl_runner.config.schema import DEFAULT_SEEDS, default_name
from rl_runner.config.source import SourceMap
from rl_runner.envs import time_limit_of
from rl_runner.training.resolve import resolve

TOTAL_TIMESTEPS = 100_000
COMMENT_WIDTH = 96


def starter_config(algo: str, env_id: str) -> str:
    """Return YAML text for ``algo`` on ``env_id`` that `rl check` accepts.

    :raises RunnerError: if there is no such algorithm or environment, or they do not fit
    """
    algorithm = find_algorithm(algo, "ALGO")
    known = hyperparameters_of(algorithm)
    source = SourceMap("rl init", {("env",): "ENV", ("algo",): "ALGO"})
    raw: dict[str, Any] = {
        "env": {"id": env_id},
        "algo": {"name": algo},
        "train": {"total_timesteps": TOTAL_TIMESTEPS},
    }
    config = config_from_dict(raw, source)
    resolve(config)
    limit, ours = time_limit_of(config.env)
    lines = [
        f"# {algorithm.name} ({algorithm.reference}) on {env_id}.",
        "# Every value is the default; delete what you do not change.",
        f"# Check it with `rl check`, train it with `rl train`. `rl algos {algo}` has the details.",
        f"name: {default_name(env_id, algo)}",
        "",
        "env:",
        f"  id: {env_id}",
        "  n_envs: 1          # copies stepped together",
        f"  time_limit: {limit}  # {'ours: the environment has none' if ours else 'its own'}",
        "  normalize: false   # running normalisation of observations and rewards",
        "  # kwargs: {}       # passed to the environment's constructor",
        "  # wrappers: [gymnasium.wrappers.FlattenObservation]",
        "  # frame_stack: 4",
        "",
        "algo:",
        f"  name: {algo}",
        *(line for item in known.values() for line in _explained(item)),
        "",
        "train:",
        f"  total_timesteps: {TOTAL_TIMESTEPS:_}",
        f"  seeds: {DEFAULT_SEEDS}           # how many, or a list: [0, 3, 7]",
        "",
        "eval:",
        f"  every: {TOTAL_TIMESTEPS // 10:_}      # timesteps between evaluations",
        "  n_episodes: 20     # of each of them, on the same seeds every time",
        "  final_episodes: 100  # held out for the end",
    ]
    return "\n".join(lines) + "\n"


def _explained(item: Hyperparameter) -> list[str]:
    """Return the comment and the line of one hyperparameter."""
    text = item.description or item.type_name
    comment = textwrap.shorten(text.partition(". ")[0], COMMENT_WIDTH, placeholder=" …")
    value = yaml.safe_dump(item.default, default_flow_style=True).removesuffix("...\n").strip()
    return [f"  # {comment}", f"  {item.name}: {value}"]
