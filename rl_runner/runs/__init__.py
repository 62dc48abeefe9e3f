"""Layer 1: what is on disk. :mod:`rl_runner.layout` says every file name inside a run."""
