"""Layer 1: what is on disk. :mod:`rl_runner.runs.folder` alone knows the file names in a run."""
