"""Copies of an environment, stepped together: what Stable-Baselines3 calls a ``VecEnv``."""
