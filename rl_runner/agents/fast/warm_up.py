"""Importing this makes numba load its libraries, which it otherwise does at the first call.

Only the process that runs are forked from imports it; :mod:`rl_runner.startup` says why.
"""

import numpy as np

from rl_runner.agents.fast.kernels.optimizers import clip_norm

clip_norm(np.zeros(1, np.float32), 1.0)
