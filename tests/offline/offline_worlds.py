import numpy as np

from rl_runner.offline.logs.interactions import Interactions


def same(one: Interactions, other: Interactions) -> bool:
    names = ("ts", "step", "state", "action", "pscore", "reward", "terminal", "outcomes")
    return all(np.allclose(getattr(one, name), getattr(other, name)) for name in names)
