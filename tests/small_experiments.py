"""A small experiment for each algorithm, in an environment that fits it.

Every test over the registry takes its environment from here. CONTRIBUTING.md lists what else a new
algorithm needs.
"""

from typing import Any

CARTPOLE: dict[str, Any] = {"id": "CartPole-v1", "n_envs": 2}
PENDULUM: dict[str, Any] = {"id": "Pendulum-v1", "time_limit": 40}
SMALL_NET: dict[str, Any] = {"policy_kwargs": {"net_arch": [8]}}
ROLLOUT: dict[str, Any] = {"n_steps": 30, "batch_size": 20, **SMALL_NET}
REPLAY: dict[str, Any] = {
    "learning_starts": 30,
    "batch_size": 16,
    "buffer_size": 1000,
    **SMALL_NET,
}
CRITICS: dict[str, Any] = {**REPLAY, "train_freq": 2}
GREEDY: dict[str, Any] = {**REPLAY, "target_update_interval": 20, "exploration_final_eps": 0.3}

# What to train for how many timesteps: short, but past several updates of every network.
EXPERIMENTS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "a2c": (CARTPOLE, SMALL_NET, 100),
    "ars": ({**CARTPOLE, "time_limit": 20}, {"n_delta": 2, "zero_policy": False, **SMALL_NET}, 200),
    "crossq": (PENDULUM, CRITICS, 120),
    "ddpg": (PENDULUM, {**CRITICS, "action_noise": {"noise": "normal", "sigma": 0.1}}, 120),
    "dqn": (CARTPOLE, GREEDY, 150),
    "geometric_dqn": (CARTPOLE, GREEDY, 150),
    "maskable_ppo": ({"id": "tiny_envs:Masked-v0", "n_envs": 2}, {**ROLLOUT, "n_epochs": 2}, 120),
    "ppo": (CARTPOLE, {**ROLLOUT, "n_epochs": 2}, 120),
    "q_learning": ({"id": "CliffWalking-v1", "time_limit": 30, "n_envs": 2}, {}, 300),
    "qrdqn": (CARTPOLE, GREEDY, 150),
    "recurrent_ppo": (
        CARTPOLE,
        {**ROLLOUT, "n_epochs": 2, "policy_kwargs": {"net_arch": [8], "lstm_hidden_size": 8}},
        120,
    ),
    "reinforce": (CARTPOLE, {"n_episodes": 2, "net_arch": [8]}, 120),
    "sac": (PENDULUM, CRITICS, 120),
    "td3": (PENDULUM, CRITICS, 120),
    "tqc": (PENDULUM, CRITICS, 120),
    "trpo": (CARTPOLE, {**ROLLOUT, "n_critic_updates": 2}, 120),
}

# Algorithms whose rollouts are several episodes: a run that is interrupted needs more timesteps.
LONG_ROLLOUTS = {"ars", "reinforce"}

TAXI = {"id": "Taxi-v4", "wrappers": ["rl_runner.envs.masking.ActionMaskFromInfo"]}


def fitting_env(name: str) -> dict[str, Any]:
    """Return the id and the wrappers of an environment that fits, for the `env` section."""
    env_id = EXPERIMENTS[name][0]["id"]
    # An environment of tests/agents/tiny_envs.py can be imported by the tests beside it only.
    return TAXI if env_id == "tiny_envs:Masked-v0" else {"id": env_id}
