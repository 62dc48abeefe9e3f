"""Compiled functions over NumPy arrays; they know neither torch nor SB3.

:mod:`structures` names what the functions take, :mod:`multilayer_perceptron` has the passes forward
and backward, :mod:`optimizers` the steps. On them build :mod:`acting` and :mod:`actor_critic` (PPO,
A2C, REINFORCE) and :mod:`value_learning` (DQN, QR-DQN). :mod:`tabular` stands alone.
"""
