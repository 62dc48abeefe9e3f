"""The lowest and the highest possible return of an episode, as environments declare them.

An environment declares ``return_bounds``, of an episode, or ``reward_range``, of a step; the latter
counts for as many steps as the time limit allows. Gymnasium's classic environments declare neither,
so :data:`CLASSIC` follows from their source. A bound never comes from a ``reward_threshold``, which
can be exceeded (CartPole: 475 of 500), nor from returns that were observed.

Tutor-v0 and Recommender-v0 declare none. Their sessions may earn the largest reward at every step,
so the possible returns (−244 to 256, −360 to 660) are so much wider than what any policy reaches
(up to 11.1 and 13.6) that an interval which allows for them would say nothing.
"""

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any, Final

import gymnasium as gym

from rl_runner.config.environment import EnvConfig
from rl_runner.envs.build import make_single_env
from rl_runner.envs.specs import time_limit_of
from rl_runner.envs.wrappers import load_wrapper
from rl_runner.local_code import keeping_working_directory

Ends = tuple[float, float]

PENDULUM_COST: Final = math.pi**2 + 0.1 * 8.0**2 + 0.001 * 2.0**2  # the largest of one step

# environment → its bounds, given `env.kwargs` and the time limit
CLASSIC: Final[Mapping[str, Callable[[Mapping[str, Any], int], Ends]]] = {
    "CartPole": lambda kwargs, limit: (
        (-1.0, 0.0) if kwargs.get("sutton_barto_reward") else (1.0, float(limit))
    ),
    "MountainCar": lambda _, limit: (-float(limit), -1.0),
    "MountainCarContinuous": lambda _, limit: (-0.1 * limit, 100.0),
    "Acrobot": lambda _, limit: (-float(limit), 0.0),
    "Pendulum": lambda _, limit: (-PENDULUM_COST * limit, 0.0),
    "BitFlipping": lambda _, limit: (-float(limit), 0.0),
    # A natural pays 1.5 only with `natural`, which `sab` overrides.
    "Blackjack": lambda kwargs, _: (
        -1.0,
        1.5 if kwargs.get("natural") and not kwargs.get("sab") else 1.0,
    ),
    "Taxi": lambda _, limit: (-10.0 * limit, 20.0),
}


@keeping_working_directory()
def declared_bounds(config: EnvConfig) -> Ends | None:
    """Return the bounds of an episode's return that the environment declares; None without any.

    With a wrapper that may change rewards there are none.

    :raises EnvError: if the environment cannot be built
    """
    if not all(_keeps_rewards(load_wrapper(wrapper)) for wrapper in config.wrappers):
        return None
    limit = time_limit_of(config)[0]
    name = config.id.rpartition(":")[2].rpartition("-v")[0]
    if name in CLASSIC and ":" not in config.id:
        return CLASSIC[name](config.kwargs, limit)
    with closing(make_single_env(config)) as env:
        of_episode = getattr(env.unwrapped, "return_bounds", None)
        of_step = getattr(env.unwrapped, "reward_range", None)
    if of_episode is not None:
        return _finite(of_episode)
    if of_step is None or (ends := _finite(of_step)) is None:
        return None
    # An episode has from 1 to `limit` steps.
    return min(ends[0], ends[0] * limit), max(ends[1], ends[1] * limit)


def _keeps_rewards(wrapper: object) -> bool:
    """Whether a wrapper only changes observations or actions, or says that it keeps rewards."""
    return getattr(wrapper, "keeps_rewards", False) or (
        isinstance(wrapper, type)
        and issubclass(wrapper, gym.ObservationWrapper | gym.ActionWrapper)
    )


def _finite(ends: Any) -> Ends | None:
    low, high = float(ends[0]), float(ends[1])
    return (low, high) if math.isfinite(low) and math.isfinite(high) and low < high else None
