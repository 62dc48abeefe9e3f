"""A plain SB3 script: train on CartPole-v1 with the zoo's hyperparameters, and save.

python benchmarks/stock_sb3.py ALGO TIMESTEPS SEED FILE
"""

import sys
from collections.abc import Callable
from typing import Any

import torch
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.env_util import make_vec_env


def linear(initial: float) -> Callable[[float], float]:
    """Return the schedule that falls to 0."""
    return lambda remaining: remaining * initial


ALGORITHMS: dict[str, tuple[Any, int, dict[str, Any]]] = {
    "ppo": (
        PPO,
        8,
        {
            "n_steps": 32,
            "batch_size": 256,
            "gae_lambda": 0.8,
            "gamma": 0.98,
            "n_epochs": 20,
            "ent_coef": 0.0,
            "learning_rate": linear(1e-3),
            "clip_range": linear(0.2),
        },
    ),
    "a2c": (A2C, 8, {"ent_coef": 0.0}),
    "dqn": (
        DQN,
        1,
        {
            "learning_rate": 2.3e-3,
            "batch_size": 64,
            "buffer_size": 100_000,
            "learning_starts": 1000,
            "gamma": 0.99,
            "target_update_interval": 10,
            "train_freq": 256,
            "gradient_steps": 128,
            "exploration_fraction": 0.16,
            "exploration_final_eps": 0.04,
            "policy_kwargs": {"net_arch": [256, 256]},
        },
    ),
}


def main() -> None:
    """Train and save."""
    algo, timesteps, seed, file = sys.argv[1:]
    torch.set_num_threads(1)
    algorithm, n_envs, hyperparameters = ALGORITHMS[algo]
    env = make_vec_env("CartPole-v1", n_envs, seed=int(seed))
    agent = algorithm("MlpPolicy", env, seed=int(seed), device="cpu", **hyperparameters)
    agent.learn(int(timesteps))
    agent.save(file)


if __name__ == "__main__":
    main()
