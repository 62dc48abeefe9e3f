"""What the tests of the tutor share: rows of imagined learners, and the kernel's branches."""

from collections import defaultdict

import numpy as np

from rl_runner.envs.tutor.options import Model, TutorOptions
from rl_runner.envs.tutor.simulator.branches import N_SLOTS, PROBABILITY, first_branch, next_branch
from rl_runner.envs.tutor.simulator.kernel import act, pass_time
from rl_runner.envs.tutor.simulator.state import ANSWER
from rl_runner.envs.tutor.vector import TutorVectorEnv

Row = tuple[int, ...]


def branches(row: np.ndarray, action: int, model: Model) -> dict[Row, float]:
    """Return the probability of every row a step can lead to; answers are not drawn in them."""
    draws, trace = np.empty(N_SLOTS), np.empty(2)
    found: dict[Row, float] = defaultdict(float)
    first_branch(draws, trace)
    while True:
        after = row.copy()
        act(after, action, model, draws, trace)
        pass_time(after, model, draws, trace)
        found[without_answer(after)] += float(trace[PROBABILITY])
        if not next_branch(draws, trace):
            return dict(found)


def without_answer(row: np.ndarray) -> Row:
    """Return a row as a key; the answer is drawn after the kernel's part of the step."""
    kept = row.copy()
    kept[ANSWER] = -1
    return tuple(map(int, kept))


def rows_on_the_way(options: TutorOptions, n: int, seed: int = 0) -> np.ndarray:
    """Return rows of learners that random actions have led to, whose episodes go on."""
    env = TutorVectorEnv(n, **vars(options))
    env.reset(seed=seed)
    actions = np.random.default_rng(seed)
    for _ in range(6):
        env.step(actions.integers(6, size=n))
    return env.full_states()
