"""A trial of an environment before it is trained in: some random steps, played three times.

Training, evaluation and resuming rest on one thing: the same seed and the same actions give the
same episode, in any copy, at any time. The first copy plays an episode twice and a second copy
plays it once; what differs between them says what is wrong.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

from rl_runner.config.environment import EnvConfig
from rl_runner.envs.build import build_copy
from rl_runner.envs.contract.step_statistics import StepStatistics
from rl_runner.envs.masking import draw_action
from rl_runner.errors import EnvError
from rl_runner.seeding import global_generators

SEED = 20_240_229
STEPS = 200
OTHER_SEEDS = (SEED + 1, SEED + 2)
SEED_STEPS = 20
SECONDS = 3.0  # of the first of the three games; slow environments play fewer steps

USE_NP_RANDOM = (
    "Its episodes do not follow from `reset(seed)`, so no result can be repeated and no run can "
    "resume exactly. Begin `reset` with `super().reset(seed=seed)` and draw every random number "
    "from `self.np_random`."
)
SHARES_GENERATOR = (
    "It draws from a global random generator (`np.random`, `random` or torch), or seeds it. All "
    "copies and the agent share that generator, so episodes depend on each other and on how many "
    "copies there are. Begin `reset` with `super().reset(seed=seed)` and draw every random number "
    "from `self.np_random`."
)
KEEPS_STATE = (
    "Evaluations build copies of their own, without this state, and no checkpoint holds it: what "
    "is evaluated is not what was trained. For running statistics use `env.normalize`."
)


IGNORES_SEED = (
    "Its episodes are the same on every seed, although it draws random numbers: `reset` seeds its "
    "generator with a constant. Evaluations then play one episode over and over. Pass the seed on: "
    "`super().reset(seed=seed)`."
)


@dataclass
class Game:
    """What was played from one reset: a digest of each result, and the actions."""

    results: list[bytes]
    actions: list[Any]

    def first_difference(self, other: "Game") -> str | None:
        """Say where two games on the same seed and actions differ; None if they do not."""
        for step, (mine, theirs) in enumerate(zip(self.results, other.results, strict=False)):
            if mine != theirs:
                return f"differ from step {step} on" if step else "begin differently"
        return None


@dataclass(frozen=True)
class Trial:
    """What a trial showed."""

    warnings: tuple[str, ...]  # a few sentences each
    steps_per_second: float  # of one copy alone, without an agent


def try_environment(config: EnvConfig, *, minus_infinity: bool = False) -> Trial:
    """Play some random steps, and say what is wrong or will make learning hard.

    :param minus_infinity: let rewards of −inf pass
    :raises EnvError: if the environment cannot be built, raises an exception, or returns what
        cannot be learned from
    """
    # The same actions twice in one copy, and once in another copy on the same seed.
    with closing(build_copy(config, 0, SEED, minus_infinity=minus_infinity)) as env:
        statistics = StepStatistics(env.observation_space, config.normalize)
        generators = global_generators()
        first = _play(env, statistics=statistics)
        is_globally_random = global_generators() != generators
        again = _play(env, first.actions)
        is_ignorant = _ignores_seed(env, first)
    with closing(build_copy(config, 1, SEED, minus_infinity=minus_infinity)) as env:
        elsewhere = _play(env, first.actions)
    # Only if the copies agree can one copy's second episode be blamed on its first.
    found = statistics.warnings()
    if (difference := first.first_difference(elsewhere)) is not None:
        found.append(f"Two copies reset on the same seed {difference}. {USE_NP_RANDOM}")
    elif (difference := first.first_difference(again)) is not None:
        found.append(
            f"Two episodes of one copy on the same seed {difference}: {_suspects(config)} carries "
            f"something from one episode into the next. {KEEPS_STATE}"
        )
    elif is_globally_random:  # seeded from `reset(seed)`: one copy alone repeats its episodes
        found.append(SHARES_GENERATOR)
    if is_ignorant:
        found.append(IGNORES_SEED)
    return Trial(tuple(found), statistics.steps_per_second)


def _ignores_seed(env: gym.Env[Any, Any], first: Game) -> bool:
    """Whether an environment draws random numbers, but the same ones on every seed.

    One that draws none may well play the same episode on every seed. With action masks this is not
    known: the actions of one seed may be invalid on another.
    """
    if env.has_wrapper_attr("action_masks"):
        return False
    used = set()
    for seed in OTHER_SEEDS:
        try:
            other = _play(env, first.actions[:SEED_STEPS], seed=seed)
        except EnvError:  # an action that was valid there is not valid here
            return False
        if other.results != first.results[: len(other.results)]:
            return False
        used.add(getattr(env.unwrapped, "_np_random_seed", None))
    # `reset` of Gymnasium notes the seed that it is given; has the generator been used since?
    constant = used.pop()
    if used or not isinstance(constant, int) or constant in OTHER_SEEDS:
        return False
    unused, _ = gym.utils.seeding.np_random(constant)
    return bool(env.unwrapped.np_random.bit_generator.state != unused.bit_generator.state)


def _play(
    env: gym.Env[Any, Any],
    actions: Sequence[Any] | None = None,
    statistics: StepStatistics | None = None,
    seed: int = SEED,
) -> Game:
    """Reset on a seed and step; new episodes begin where one ends.

    :param actions: to repeat; None draws them
    :param statistics: takes in every step
    """
    # Reset; actions are drawn from a seed as well.
    env.get_wrapper_attr("begin_episodes")([seed])
    env.action_space.seed(seed)
    obs, _ = env.reset()
    game = Game([_digest(obs)], [])
    began = time.monotonic()
    n_steps = STEPS if actions is None else len(actions)
    # Step, and keep a digest of everything that the environment returns.
    for step in range(n_steps):
        if statistics is not None and time.monotonic() - began > SECONDS:
            break
        action = draw_action(env) if actions is None else actions[step]
        if statistics is not None:
            statistics.before_step(obs)
        obs, reward, terminated, truncated, info = env.step(action)
        if statistics is not None:
            statistics.after_step(float(reward), info)
        game.actions.append(action)
        game.results.append(_digest(obs, float(reward), terminated, truncated))
        if terminated or truncated:
            obs, _ = env.reset()
            game.results[-1] += _digest(obs)
    return game


def _digest(*values: Any) -> bytes:
    """Return a short digest of what was returned, bit for bit."""
    hashed = hashlib.blake2b(digest_size=8)
    for value in values:
        if isinstance(value, Mapping):
            hashed.update(_digest(*(value[key] for key in sorted(value, key=str))))
        elif isinstance(value, tuple):
            hashed.update(_digest(*value))
        elif isinstance(value, str | bytes) or value is None:
            hashed.update(repr(value).encode("utf-8", "replace"))
        else:
            hashed.update(np.ascontiguousarray(value).tobytes())
    return hashed.digest()


def _suspects(config: EnvConfig) -> str:
    """Name what may carry state: the environment, and its wrappers if there are any."""
    if not config.wrappers:
        return f"`{config.id}`"
    names = ", ".join(f"`{wrapper.name}`" for wrapper in config.wrappers)
    return f"`{config.id}` or one of its wrappers ({names})"
