"""Layer 2: what learns.

:mod:`registry` has one row per algorithm, :mod:`protocol` says what an agent is, :mod:`build` makes
one from checked :mod:`hyperparameters`. :mod:`spaces` finds out which spaces an algorithm supports,
and :mod:`image_policies` which policy suits images. :mod:`saving` and :mod:`state` write and read
an agent's files. :mod:`algorithms` holds REINFORCE and Q-learning to be read; :mod:`fast` holds
compiled twins, which :mod:`build` chooses where they do the same.
"""
