"""Baselines where a run's agent is usually played: in videos and windows."""

from dataclasses import dataclass
from pathlib import Path

from stable_baselines3.common.vec_env import VecEnv

from rl_runner.config import EnvConfig, load_config
from rl_runner.config.schema import DEFAULT_GAMMA
from rl_runner.envs.code import use_code
from rl_runner.evaluation.play.baselines import BaselinePlayer, build_baseline
from rl_runner.layout import CONFIG
from rl_runner.seeding import SeedTree


@dataclass(frozen=True)
class BaselineRun:
    """A policy that needs no training, to be played in an environment."""

    name: str  # of the baseline
    env: EnvConfig  # without normalisation and stacked frames, which only an agent sees
    seed: int = 0
    gamma: float = DEFAULT_GAMMA
    note: str = ""

    def player(self, env: VecEnv) -> BaselinePlayer:
        """Return the policy for these copies of the environment.

        :raises ConfigError: if the environment has no such baseline
        """
        seed = SeedTree(self.seed).policy_sampling
        policy, _ = build_baseline(self.env, self.name, env, seed, self.gamma)
        return BaselinePlayer(policy, env.action_space)


def baseline_in(path: Path | None, env_id: str | None, name: str) -> BaselineRun:
    """Return a baseline in the environment of a config, an experiment or a run, or of an id.

    :param path: a YAML file, an experiment's folder or a run's; None if there is an id
    :raises RunnerError: if there is no such config or environment
    """
    if path is None:
        return BaselineRun(name, EnvConfig(id=env_id or ""))
    in_run = not (path / CONFIG).exists() and (path.parent / CONFIG).exists() and path.is_dir()
    config = load_config(path.parent if in_run else path)
    use_code(config)
    seed = config.train.seeds[0]
    return BaselineRun(name, config.env.as_it_is, seed, config.algo.discount)
