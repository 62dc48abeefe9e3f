"""Importing this loads the compiler's libraries, which is otherwise left to the first call.

It is for the process from which runs are forked: a third of a second that each run need not spend.
"""

import numpy as np

from rl_runner.agents.fast.kernels.optimizers import clip_norm

clip_norm(np.zeros(1, np.float32), 1.0)
