"""What compiled functions take: named tuples of arrays and numbers.

This module does not load numba, so whatever only prepares the data need not either.

To unpack a named tuple costs about 0.7 µs a call. That is nothing for an update, but noticeable for
a function called at every step: those in :mod:`rl_runner.agents.fast.kernels.acting` take arrays.
"""

from typing import NamedTuple

import numpy as np

Array = np.ndarray

ADAM, RMSPROP, RMSPROP_TF_LIKE = range(3)  # kinds of optimisers

# Columns of a layer table: inputs, outputs, offset of the weights, offset of the biases.
INPUTS, OUTPUTS, WEIGHTS, BIASES = range(4)


class FlatParameters(NamedTuple):
    """All parameters of an agent, one after another, and as many numbers about them, float32."""

    values: Array  # (n_parameters,), as the next three
    gradient: Array
    first_moment: Array  # Adam's running mean of the gradient; RMSprop does not use it
    second_moment: Array  # the running mean of the squared gradient


class OptimizerState(NamedTuple):
    """An optimiser's settings, and how many steps it has taken."""

    kind: int  # ADAM, RMSPROP or RMSPROP_TF_LIKE
    n_steps: int
    learning_rate: float
    beta1: float  # Adam's β₁; RMSprop does not use it
    beta2: float  # Adam's β₂, RMSprop's α
    eps: float


class ActorCritic(NamedTuple):
    """Where actor and critic lie in the flat parameters."""

    actor: Array  # (layers, 4) layer table
    critic: Array  # (layers, 4) layer table
    is_tanh: bool  # the hidden layers' activation; otherwise ReLU
    is_discrete: bool  # a categorical distribution; otherwise a diagonal Gaussian
    log_std_start: int  # offset of the Gaussian's log standard deviations
    n_std: int  # their number; 0 for discrete actions


class Rollout(NamedTuple):
    """N steps of experience, or a minibatch of them, float32."""

    observations: Array  # (N, n_features)
    actions: Array  # (N, n_action_dims); one column for discrete actions
    values: Array  # (N,) V(s) as it was when the step was taken
    log_probs: Array  # (N,) log π(a | s) as it was when the step was taken
    advantages: Array  # (N,)
    returns: Array  # (N,)


class LossSettings(NamedTuple):
    """How the losses of PPO, A2C and REINFORCE are put together."""

    clips_ratio: bool  # PPO's clipped objective; otherwise the plain policy gradient
    clip_range: float
    clips_value: bool
    clip_range_vf: float
    vf_coef: float
    ent_coef: float
    max_grad_norm: float  # inf: the gradient is not clipped
    normalizes_advantage: bool
    kl_limit: float  # the approximate KL divergence at which to stop; inf: never


class ActorCriticWorkspaces(NamedTuple):
    """Memory for one minibatch's pass forward and backward, float32."""

    actor: Array
    critic: Array
    deltas: Array


class ValueNetwork(NamedTuple):
    """Where a network of action values lies in its flat parameters; its target lies alike."""

    layers: Array  # (layers, 4) layer table
    is_tanh: bool
    n_quantiles: int  # per action; 0: the outputs are Q-values themselves


class Transitions(NamedTuple):
    """Transitions from a replay buffer: several minibatches, one after another."""

    observations: Array  # (N, n_features) float32
    next_observations: Array  # (N, n_features) float32
    actions: Array  # (N,) int64
    rewards: Array  # (N,) float32
    terminated: Array  # (N,) float32, 1 where the episode terminated; a truncation is 0


class ValueLossSettings(NamedTuple):
    """What DQN's and QR-DQN's gradient steps depend on."""

    gamma: np.float32
    max_grad_norm: float  # inf: the gradient is not clipped


class ValueWorkspaces(NamedTuple):
    """Memory for one minibatch's pass forward and backward, float32."""

    network: Array
    target: Array
    deltas: Array


class Dynamics(NamedTuple):
    """A finite Markov decision process; each state and action has at most k outcomes."""

    cumulated: Array  # (n_states, n_actions, k) probabilities, summed up; 2 where there is none
    next_states: Array  # (n_states, n_actions, k)
    rewards: Array  # (n_states, n_actions, k) rounded to float32, as SB3's environments return them
    terminated: Array  # (n_states, n_actions, k)
    starts: Array  # (n_states,) probabilities of beginning there, summed up
    time_limit: int


class QTable(NamedTuple):
    """What tabular Q-learning learns."""

    values: Array  # (n_states, n_actions) float64
    visits: Array  # (n_states, n_actions) int64


class QLearningSettings(NamedTuple):
    """What tabular Q-learning depends on, in each of the coming vector steps."""

    gamma: float
    learning_rates: Array  # (vector steps,) α before it falls with the visits
    learning_rate_power: float
    learning_rate_min: float
    uses_ucb: bool  # actions by an upper confidence bound; otherwise ε-greedy
    ucb_coef: float
    epsilons: Array  # (vector steps,)


class OpenEpisodes(NamedTuple):
    """The unfinished episode of each copy of the environment; all arrays are (copies,)."""

    states: Array  # int64
    lengths: Array  # int64
    returns: Array  # float64
