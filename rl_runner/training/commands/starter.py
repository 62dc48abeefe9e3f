"""Write a config to start from: every hyperparameter at its default value, with a comment."""

import textwrap
from pathlib import Path
from typing import Any

import yaml

from rl_runner.agents.hyperparameters.constructor import Hyperparameter, hyperparameters_of
from rl_runner.agents.registry import find_algorithm
from rl_runner.config import config_from_dict
from rl_runner.config.schema import DEFAULT_SEEDS, default_name
from rl_runner.config.yaml_text import SourceMap
from rl_runner.training.resolve import resolve

TOTAL_TIMESTEPS = 100_000
COMMENT_WIDTH = 96


def starter_config(algo: str, env_id: str) -> str:
    """Return the YAML text of a config for ``algo`` on ``env_id`` that `rl check` accepts.

    :raises RunnerError: if there is no such algorithm or environment, or they do not fit together
    """
    # Check that the algorithm and the environment fit together.
    algorithm = find_algorithm(algo, "ALGO")
    known = hyperparameters_of(algorithm)
    here = str(Path.cwd())  # where the config will probably be
    source = SourceMap("rl init", {("env",): "ENV", ("algo",): "ALGO"}, (here,))
    raw: dict[str, Any] = {
        "env": {"id": env_id},
        "algo": {"name": algo},
        "train": {"total_timesteps": TOTAL_TIMESTEPS},
    }
    config = config_from_dict(raw, source)
    resolution = resolve(config)
    # Write every section, with what its values mean.
    own = "the environment has none" if resolution.time_limit_is_ours else "the environment's own"
    lines = [
        f"# {algorithm.name} ({algorithm.reference}) on {env_id}.",
        "# Every value is the default. Delete the lines that you do not change.",
        f"# Check it with `rl check`, train it with `rl train`. See `rl algos {algo}` for details.",
        f"name: {default_name(env_id, algo)}",
        "",
        "env:",
        f"  id: {env_id}",
        "  n_envs: 1          # copies stepped together",
        f"  time_limit: {resolution.time_limit:<7}# steps per episode; {own}",
        "  normalize: false   # running normalisation of observations and rewards",
        "  # kwargs: {}       # arguments of the environment's constructor",
        "  # wrappers: [gymnasium.wrappers.FlattenObservation]",
        "  # frame_stack: 4",
        "",
        "algo:",
        f"  name: {algo}",
        *(line for item in known.values() for line in _explained(item)),
        "",
        "train:",
        f"  total_timesteps: {TOTAL_TIMESTEPS:_}",
        f"  seeds: {DEFAULT_SEEDS}           # a number of seeds, or a list: [0, 3, 7]",
        "",
        "eval:",
        f"  every: {TOTAL_TIMESTEPS // 10:_}      # timesteps between evaluations",
        "  n_episodes: 20     # per evaluation, on the same seeds every time",
        "  final_episodes: 100  # of the final evaluation, on held-out seeds",
    ]
    return "\n".join(lines) + "\n"


def _explained(item: Hyperparameter) -> list[str]:
    """Return the lines of a hyperparameter: a comment, and its default value."""
    text = item.description or item.type_name
    comment = textwrap.wrap(text, COMMENT_WIDTH, break_long_words=False, break_on_hyphens=False)
    value = yaml.safe_dump(item.default, default_flow_style=True).removesuffix("...\n").strip()
    return [*(f"  # {line}" for line in comment), f"  {item.name}: {value}"]
