"""Learning a policy from a log."""

# What a process can load before runs are forked from it. (Not polars: it starts threads, which a
# fork loses.) It is here so that a command need not load the rest in order to know it.
MODULES = ("numba", "rl_runner.envs")
