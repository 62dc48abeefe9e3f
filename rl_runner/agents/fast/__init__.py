"""Compiled twins of some algorithms: the same mathematics in fewer calls.

The networks of benchmark environments are so small that a torch call costs more than its
arithmetic. Here a whole update is one compiled call, on the memory of torch's own tensors.

A twin is a subclass of the stock class in :mod:`on_policy` (PPO, A2C), :mod:`off_policy` (DQN and
its variants), :mod:`reinforce` or :mod:`q_learning`. It hands its networks, which
:mod:`actor_critic_networks` and :mod:`value_networks` hold as flat arrays (:mod:`memory`), to the
compiled functions in :mod:`kernels`. :mod:`rl_runner.agents.build` decides when a twin takes an
algorithm's place; :mod:`reasons` says what the twins do not support.
"""
