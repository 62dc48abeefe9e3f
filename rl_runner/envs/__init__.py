"""Layer 1: environments. :func:`build_env` is the one place where one is made."""

from rl_runner.envs.build import (
    build_env,
    build_evaluation_env,
    build_training_env,
    make_single_env,
    reason_for_single_copies,
    time_limit_of,
)
from rl_runner.envs.registration import register_environments

__all__ = [
    "build_env",
    "build_evaluation_env",
    "build_training_env",
    "make_single_env",
    "reason_for_single_copies",
    "register_environments",
    "time_limit_of",
]

register_environments()
