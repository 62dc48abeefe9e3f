"""Layer 0: reads and validates YAML configs; returns a frozen :class:`ExperimentConfig`."""

from rl_runner.config.environment import EnvConfig
from rl_runner.config.identity import experiment_hash
from rl_runner.config.load import config_from_dict, dump_config, load_config
from rl_runner.config.schema import EvalConfig, ExperimentConfig

__all__ = [
    "EnvConfig",
    "EvalConfig",
    "ExperimentConfig",
    "config_from_dict",
    "dump_config",
    "experiment_hash",
    "load_config",
]
