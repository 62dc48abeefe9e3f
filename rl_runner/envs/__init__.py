"""Environments: from ``env`` in a config to a vectorised environment that an agent can act in.

===================== =============================================================================
``build``             THE one place where an environment is built, layer by layer
``specs``             finds environments by name; errors that say what to do
``arguments``         which argument an exception blames
``wrappers``          finds wrappers by name, and their arguments that YAML cannot write
``catalog``           the environments that rl_runner adds, and all that are installed
``baselines``         policies that need no training, by environment and name
``normalization``     the statistics of VecNormalize: copied, saved and loaded
``episode_layers``    wrappers: episodes begin on chosen seeds; the environment's own rewards
``monitor``           a wrapper: SB3's Monitor with exact returns
``masking``           action masks: a wrapper that offers them, and valid random actions
``images``            which observations are images, and where their channels are
``film``              a wrapper: keeps the pictures of an episode
``vectorized``        many copies, stepped as a batch, one by one, or in processes
``tutor``             ``Tutor-v0``: teach one learner at a time
``recommender``       ``Recommender-v0``: recommend to simulated people, with exact values
===================== =============================================================================
"""

from rl_runner.envs.build import (
    borrow_for_evaluation,
    build_env,
    build_evaluation_env,
    build_training_env,
    make_single_env,
    reason_for_single_copies,
)
from rl_runner.envs.catalog import register_environments
from rl_runner.envs.specs import time_limit_of

__all__ = [
    "borrow_for_evaluation",
    "build_env",
    "build_evaluation_env",
    "build_training_env",
    "make_single_env",
    "reason_for_single_copies",
    "register_environments",
    "time_limit_of",
]

register_environments()
