"""Copies of an environment, stepped together: what Stable-Baselines3 calls a ``VecEnv``.

====================== ============================================================================
``batched_versions``   which environments can step all their copies at once, and why others cannot
``batched``            such a Gymnasium ``VectorEnv`` as a ``VecEnv``
``cartpole``           many CartPoles at once; their compiled step is in ``cartpole_dynamics``
``pausable``           single copies in this process, for an evaluation
``subproc``            single copies in processes of their own, for training
====================== ============================================================================
"""
