"""Compiled twins of some algorithms: the same mathematics in fewer calls.

The networks of benchmark environments are so small that a torch call costs more than its
arithmetic. Here a whole update is one compiled call, over the very memory that torch's tensors
hold. :mod:`rl_runner.agents.engine` says when a twin takes an algorithm's place.
"""
