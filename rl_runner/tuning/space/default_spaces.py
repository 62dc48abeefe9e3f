"""Default search spaces, one per algorithm, for configs without a ``search_space``.

Ranges cover the values in the algorithms' papers and the tuned settings of rl-baselines3-zoo.
Rollout and minibatch sizes are chosen so that all of their combinations are possible.
"""

from collections.abc import Callable, Mapping
from typing import Any

from rl_runner.config import ExperimentConfig
from rl_runner.config.tune import ParameterConfig

Space = dict[str, ParameterConfig]

MIN_ROLLOUT = 256  # timesteps of all environments together
MAX_ROLLOUT = 8192
MINIBATCHES = (32, 64, 128, 256)


def default_space(config: ExperimentConfig) -> Space:
    """Return the default search space for a resolved config.

    Where the config has a schedule, its initial value is searched and its shape is kept.

    :raises KeyError: if the algorithm has no default space
    """
    space = DEFAULT_SPACES[config.algo.name](config)
    hyperparameters = config.algo.hyperparameters
    scheduled = {
        name for name in space if isinstance(hyperparameters.get(name), Mapping) and "." not in name
    }
    return {
        f"{name}.initial" if name in scheduled else name: parameter
        for name, parameter in space.items()
    }


def _log(low: float, high: float) -> ParameterConfig:
    return ParameterConfig(type="float", low=low, high=high, log=True)


def _between(low: float, high: float) -> ParameterConfig:
    return ParameterConfig(type="float", low=low, high=high)


def _one_of(*choices: Any) -> ParameterConfig:
    return ParameterConfig(type="categorical", choices=choices)


GAMMA = _one_of(0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
GAE_LAMBDA = _one_of(0.8, 0.9, 0.95, 0.98, 1.0)
ACTIVATION = _one_of("Tanh", "ReLU")
EITHER = (True, False)
NETWORK = _one_of([64, 64], [128, 128], [256, 256])


def _rollout_sizes(config: ExperimentConfig) -> tuple[int, ...]:
    """Return values of ``n_steps``: powers of two whose rollouts fit the budget."""
    n_envs = config.env.n_envs
    most = max(1, min(MAX_ROLLOUT, config.train.total_timesteps // 4))
    least = min(MIN_ROLLOUT, most)
    powers = [2**k for k in range(1, 14)]
    fitting = tuple(n for n in powers if least <= n * n_envs <= most)
    return fitting or (max(2, least // n_envs),)


def _minibatch_sizes(config: ExperimentConfig) -> tuple[int, ...]:
    """Return minibatch sizes that divide every rollout of :func:`_rollout_sizes`."""
    rollouts = [n * config.env.n_envs for n in _rollout_sizes(config)]
    fitting = tuple(size for size in MINIBATCHES if all(r % size == 0 for r in rollouts))
    return fitting or (min(rollouts),)


def _on_policy(config: ExperimentConfig) -> Space:
    return {
        "learning_rate": _log(3e-5, 1e-2),
        "gamma": GAMMA,
        "gae_lambda": GAE_LAMBDA,
        "n_steps": _one_of(*_rollout_sizes(config)),
        "policy_kwargs.activation_fn": ACTIVATION,
        "policy_kwargs.net_arch": NETWORK,
    }


def _ppo(config: ExperimentConfig) -> Space:
    return {
        **_on_policy(config),
        "batch_size": _one_of(*_minibatch_sizes(config)),
        "n_epochs": _one_of(3, 5, 10, 20),
        "clip_range": _one_of(0.1, 0.2, 0.3),
        "ent_coef": _log(1e-8, 0.1),
        "vf_coef": _between(0.2, 1.0),
        "max_grad_norm": _one_of(0.3, 0.5, 1.0, 2.0),
    }


def _recurrent_ppo(config: ExperimentConfig) -> Space:
    space = _ppo(config) | {"policy_kwargs.lstm_hidden_size": _one_of(32, 64, 128, 256)}
    del space["policy_kwargs.net_arch"]
    return space


def _a2c(config: ExperimentConfig) -> Space:
    return {
        **_on_policy(config),
        "n_steps": _one_of(5, 8, 16, 32, 64),
        "ent_coef": _log(1e-8, 0.1),
        "vf_coef": _between(0.2, 1.0),
        "max_grad_norm": _one_of(0.3, 0.5, 1.0, 2.0),
    }


def _trpo(config: ExperimentConfig) -> Space:
    return {
        **_on_policy(config),
        "batch_size": _one_of(*_minibatch_sizes(config)),
        "target_kl": _log(1e-3, 0.1),
        "cg_damping": _log(1e-3, 0.3),
        "n_critic_updates": _one_of(5, 10, 20),
    }


def _ars(config: ExperimentConfig) -> Space:
    fewest = config.algo.hyperparameters.get("n_top") or 1
    directions = tuple(n for n in (2, 4, 8, 16, 32) if n >= fewest) or (fewest,)
    return {
        "learning_rate": _log(1e-3, 0.1),
        "delta_std": _log(1e-2, 0.3),
        "n_delta": _one_of(*directions),
        "zero_policy": _one_of(*EITHER),
    }


def _off_policy(config: ExperimentConfig) -> Space:
    largest = config.algo.hyperparameters["buffer_size"]
    minibatches = tuple(n for n in (32, 64, 128, 256, 512) if n <= largest) or (largest,)
    return {
        "learning_rate": _log(3e-5, 1e-2),
        "gamma": GAMMA,
        "batch_size": _one_of(*minibatches),
        "train_freq": _one_of(1, 4, 16, 64),
        "gradient_steps": _one_of(-1, 1),  # as many as steps were collected, or one
        "policy_kwargs.net_arch": NETWORK,
    }


def _dqn(config: ExperimentConfig) -> Space:
    return {
        **_off_policy(config),
        "target_update_interval": _one_of(1, 10, 100, 1_000, 10_000),
        "exploration_fraction": _between(0.05, 0.5),
        "exploration_final_eps": _between(0.01, 0.2),
    }


def _geometric_dqn(config: ExperimentConfig) -> Space:
    """Search decays by which ε falls from 1 to .05 within these shares of the budget."""
    space = _dqn(config)
    del space["exploration_fraction"]
    budget = config.train.total_timesteps
    decays = (round(0.05 ** (1 / (share * budget)), 9) for share in (0.05, 0.1, 0.2, 0.5))
    return {**space, "exploration_decay": _one_of(*dict.fromkeys(decays))}


def _qrdqn(config: ExperimentConfig) -> Space:
    return {**_dqn(config), "policy_kwargs.n_quantiles": _one_of(10, 25, 50, 100, 200)}


def _actor_critic(config: ExperimentConfig) -> Space:
    return {**_off_policy(config), "tau": _log(1e-3, 0.1)}


def _td3(config: ExperimentConfig) -> Space:
    return {**_actor_critic(config), "policy_delay": _one_of(1, 2, 4)}


def _tqc(config: ExperimentConfig) -> Space:
    dropped = ParameterConfig(type="int", low=0, high=5)
    return {**_actor_critic(config), "top_quantiles_to_drop_per_net": dropped}


def _crossq(config: ExperimentConfig) -> Space:
    return {**_off_policy(config), "policy_delay": _one_of(1, 2, 3)}


def _q_learning(config: ExperimentConfig) -> Space:
    del config
    epsilon_greedy = {"exploration": "epsilon_greedy"}
    return {
        "learning_rate": _log(1e-2, 1.0),
        "learning_rate_power": _one_of(0.0, 0.6, 0.8),
        "gamma": _one_of(0.9, 0.95, 0.98, 0.99, 0.995, 0.999),
        "exploration": _one_of("epsilon_greedy", "ucb"),
        "exploration_final_eps": _between(0.01, 0.2).model_copy(update={"when": epsilon_greedy}),
        "exploration_fraction": _between(0.1, 1.0).model_copy(update={"when": epsilon_greedy}),
        "ucb_coef": _log(0.01, 2.0).model_copy(update={"when": {"exploration": "ucb"}}),
    }


def _reinforce(config: ExperimentConfig) -> Space:
    n_envs = config.env.n_envs
    return {
        "learning_rate": _log(1e-4, 3e-2),
        "gamma": GAMMA,
        "n_episodes": _one_of(*(n_envs * factor for factor in (1, 2, 4, 8))),
        "baseline": _one_of("mean", "value"),
        "normalize_advantage": _one_of(*EITHER),
        "ent_coef": _log(1e-8, 0.1),
        "net_arch": _one_of([32], [64, 64], [128, 128]),
    }


DEFAULT_SPACES: dict[str, Callable[[ExperimentConfig], Space]] = {
    "a2c": _a2c,
    "ars": _ars,
    "crossq": _crossq,
    "ddpg": _actor_critic,
    "dqn": _dqn,
    "geometric_dqn": _geometric_dqn,
    "maskable_ppo": _ppo,
    "ppo": _ppo,
    "q_learning": _q_learning,
    "qrdqn": _qrdqn,
    "recurrent_ppo": _recurrent_ppo,
    "reinforce": _reinforce,
    "sac": _actor_critic,
    "td3": _td3,
    "tqc": _tqc,
    "trpo": _trpo,
}
