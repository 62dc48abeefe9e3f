"""THE one place where an environment is built: for training, evaluation, recording and serving.

The layers of an environment, from the inside to the outside::

    gym.make → TimeLimit → env.wrappers → EpisodeSeeds
             → ContractGuard → NamedFailures → ExactMonitor          each copy
    PausableVecEnv | SubprocVecEnv                                    all copies, stepped one by one
    env.vec_wrappers → VecFrameStack → VecTransposeImage → VecNormalize     all copies

:func:`build_env` puts on the outer layers, :func:`build_copy` the inner ones. Where an environment
can step all its copies at once and gives the same numbers, one :class:`BatchedVecEnv` takes the
place of the first two lines.

stable_baselines3 is imported inside the functions: it loads torch, which takes over a second.
"""

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec, load_env_creator

from rl_runner.config.environment import EnvConfig
from rl_runner.config.schema import DEFAULT_GAMMA, AlgoConfig
from rl_runner.envs.catalog import describe_space
from rl_runner.envs.contract import ContractGuard
from rl_runner.envs.episode_layers import EpisodeSeeds, RewardRecorder
from rl_runner.envs.failures import NamedFailures
from rl_runner.envs.images import is_quantity, parts_of, with_channels_first
from rl_runner.envs.specs import (
    AnyEnv,
    explained,
    find_spec,
    time_limit_of,
    without_advice,
)
from rl_runner.envs.wrappers import (
    apply_vec_wrapper,
    apply_wrapper,
    fitted_arguments,
    refuse_running_statistics,
)
from rl_runner.errors import EnvError, Problem
from rl_runner.seeding import SeedTree

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

MOST_COPIES = 64  # stepped one by one in an evaluation
MOST_IN_A_BATCH = 256  # where one more copy costs next to nothing
EPISODES_PER_COPY = 15


def build_env(
    config: EnvConfig,
    seeds: Sequence[int],
    *,
    training: bool = True,
    gamma: float = DEFAULT_GAMMA,
    minus_infinity: bool = False,
    render_mode: str | None = None,
) -> "VecEnv":
    """Build one copy of the environment per seed, stepped together.

    :param seeds: copy ``i`` is reset with ``seeds[i]`` before its first episode
    :param training: False freezes normalisation statistics, leaves rewards unchanged and steps
        the copies in this process
    :param gamma: the discount factor with which reward normalisation estimates returns
    :param minus_infinity: let rewards of −inf pass; copies that are stepped as a batch never do
    :raises EnvError: if the environment or a wrapper cannot be found or built
    """
    # The copies: each is time-limited, wrapped, seeded and monitored.
    if reason_for_single_copies(config, training=training, render_mode=render_mode) is None:
        venv = _build_batch(config, seeds, training)
    else:
        build = functools.partial(
            build_copy, config, minus_infinity=minus_infinity, render_mode=render_mode
        )
        venv = _build_single_copies(config, seeds, training, build)
    _check_numeric(config, venv)

    return _with_outer_layers(config, venv, training=training, gamma=gamma)


def borrow_for_evaluation(config: EnvConfig, venv: "VecEnv") -> "VecEnv":
    """Return a view of a training environment's copies as an evaluation needs them.

    :param venv: from :func:`build_training_env`. The view steps its copies, and closes them too
    """
    return _with_outer_layers(config, venv.unwrapped, training=False)


def _with_outer_layers(
    config: EnvConfig, venv: "VecEnv", *, training: bool, gamma: float = DEFAULT_GAMMA
) -> "VecEnv":
    """Put on the layers that all copies share: the config's, stacked frames, normalisation.

    Images stay bytes: a network divides them by 255, and recognises them by that.
    """
    from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

    for wrapper in config.vec_wrappers:
        with explained(config, f"wrapped in `{wrapper.name}`"):
            venv = apply_vec_wrapper(venv, wrapper)
    with explained(config, "wrapped as `env.normalize` and `env.frame_stack` ask"):
        # Frames before normalisation: a replay buffer stores what VecNormalize receives, and that
        # has to be what the policy sees, not yet normalised.
        if config.frame_stack > 1:
            venv = VecFrameStack(venv, n_stack=config.frame_stack)
        if config.normalize.active:
            venv = with_channels_first(venv)
            space = venv.observation_space
            quantities = [key for key, part in parts_of(space) if is_quantity(part)]
            venv = VecNormalize(
                venv,
                training=training,
                norm_obs=config.normalize.observations and bool(quantities),
                norm_obs_keys=quantities if isinstance(space, gym.spaces.Dict) else None,
                norm_reward=config.normalize.rewards and training,
                clip_obs=config.normalize.clip_observations,
                clip_reward=config.normalize.clip_rewards,
                gamma=gamma,
            )
    return venv


def build_copy(
    config: EnvConfig,
    number: int,
    seed: int,
    *,
    minus_infinity: bool = False,
    render_mode: str | None = None,
) -> AnyEnv:
    """Build one copy of a vectorised environment, in the process that steps it.

    :param number: which of the copies it is, for messages
    :param seed: on which its first episode begins
    :param minus_infinity: let rewards of −inf pass
    :raises EnvError: as :func:`make_single_env` does; so do its methods, if the environment raises
        an exception or returns what breaks its contract
    """
    from rl_runner.envs.monitor import ExactMonitor

    # The environment, its time limit and the config's wrappers. What it pays is recorded below the
    # wrappers, which may change it.
    env = _make(config, render_mode)
    recorder = RewardRecorder(env) if config.wrappers else None
    env = _wrapped(env if recorder is None else recorder, config)
    # The first episode begins on the copy's seed, whatever seed SB3 passes.
    env = EpisodeSeeds(env, [seed])
    # Nothing is computed from a result that breaks the contract.
    env = ContractGuard(env, config.id, number, minus_infinity=minus_infinity)
    # What the environment raises becomes an error that names it.
    env = NamedFailures(env, config.id)
    # Outermost, so that episode returns are those of the wrapped environment.
    return ExactMonitor(env, recorder)


def make_single_env(
    config: EnvConfig, *, render_mode: str | None = None, check: bool = False
) -> AnyEnv:
    """Build one time-limited copy with the config's wrappers, to inspect or to step by hand.

    :param check: let Gymnasium's passive checker watch the first reset and step
    :raises EnvError: with the nearest known id, or the package to install; so do its methods, if
        the environment raises an exception
    """
    made = _wrapped(_make(config, render_mode, check=check), config)
    return NamedFailures(made, config.id)


def _make(config: EnvConfig, render_mode: str | None, *, check: bool = False) -> AnyEnv:
    """Build the environment with its time limit, without the config's wrappers.

    :raises EnvError: if it cannot be built, or one of its layers keeps running statistics
    """
    limit, _ = time_limit_of(config)
    spec = find_spec(config)  # imports its module, with better errors than Gymnasium's
    with explained(config, "built"), without_advice():
        env: AnyEnv = gym.make(
            spec,
            max_episode_steps=limit,
            disable_env_checker=not check,
            **({} if render_mode is None else {"render_mode": render_mode}),
            **_kwargs_of(config, spec),
        )
        refuse_running_statistics(env, config.id, "env.id")
    return env


def _kwargs_of(config: EnvConfig, spec: EnvSpec) -> dict[str, Any]:
    """Return ``env.kwargs`` as the constructor asks for them: lists become tuples or arrays."""
    if not any(isinstance(value, list) for value in config.kwargs.values()):
        return config.kwargs
    found: Any = spec.entry_point
    creator = load_env_creator(found) if isinstance(found, str) else found
    return config.kwargs if creator is None else fitted_arguments(creator, config.kwargs)


def _wrapped(env: AnyEnv, config: EnvConfig) -> AnyEnv:
    """Put the config's wrappers on, in its order: the last one listed is the outermost."""
    for wrapper in config.wrappers:
        with explained(config, f"wrapped in `{wrapper.name}`"):
            env = apply_wrapper(env, wrapper)
            refuse_running_statistics(env, wrapper.name, "env.wrappers")
    return env


def build_training_env(
    config: EnvConfig, algo: AlgoConfig, seeds: SeedTree, *, minus_infinity: bool = False
) -> "VecEnv":
    """Build the environments that a run trains in.

    :param minus_infinity: whether the algorithm can learn from rewards of −inf
    :raises EnvError: as :func:`build_env` does
    """
    env_seeds = seeds.train_envs(config.n_envs)
    return build_env(config, env_seeds, gamma=algo.discount, minus_infinity=minus_infinity)


def build_evaluation_env(config: EnvConfig, episode_seeds: Sequence[int], n_envs: int) -> "VecEnv":
    """Build the environments that play these episodes, several at a time.

    :param n_envs: the least number of copies, if there are as many episodes. With many episodes
        there are more copies: a network answers 64 observations nearly as fast as one.
    :raises EnvError: as :func:`build_env` does
    """
    if reason_for_single_copies(config, training=False) is None:
        for_many = MOST_IN_A_BATCH
    else:
        for_many = min(MOST_COPIES, len(episode_seeds) // EPISODES_PER_COPY)
    n_envs = min(len(episode_seeds), max(n_envs, for_many))
    if config.max_copies is not None:  # training has its own open
        n_envs = min(n_envs, config.max_copies - config.n_envs or config.max_copies)
    return build_env(config, episode_seeds[:n_envs], training=False)


def reason_for_single_copies(
    config: EnvConfig, *, training: bool = True, render_mode: str | None = None
) -> str | None:
    """Return why :func:`build_env` steps the copies one by one; None if it steps them as a batch.

    :raises EnvError: if there is no such environment
    """
    from rl_runner.envs.vectorized.batched_versions import reason_against_batching

    if config.vec not in {"auto", "batched"}:
        return f"`env.vec: {config.vec}` asks for it"
    if config.max_copies is not None:
        return "`env.max_copies` counts single copies"
    spec = find_spec(config)
    return reason_against_batching(config, spec, render_mode=render_mode, training=training)


def _build_batch(config: EnvConfig, seeds: Sequence[int], training: bool) -> "VecEnv":
    """Build the environment's own batched version, with one copy per seed."""
    from rl_runner.envs.vectorized.batched import BatchedVecEnv
    from rl_runner.envs.vectorized.batched_versions import make_batched_env

    with explained(config, "built"):
        limit, _ = time_limit_of(config)
        batched = make_batched_env(config, find_spec(config), len(seeds), limit)
        refuse_running_statistics(batched, config.id, "env.id")
        return BatchedVecEnv(batched, seeds, name=config.id, every_info=not training)


def _build_single_copies(
    config: EnvConfig, seeds: Sequence[int], training: bool, build: Callable[[int, int], AnyEnv]
) -> "VecEnv":
    """Build copies that are stepped one by one; only training puts them into processes.

    :param build: builds a copy from its number and its seed
    :raises EnvError: if ``env.vec`` asks for a batch
    """
    from rl_runner.envs.vectorized.pausable import PausableVecEnv
    from rl_runner.envs.vectorized.subproc import Float32SubprocVecEnv

    if config.vec == "batched" and training:
        reason = reason_for_single_copies(config)
        what = f"`{config.id}` cannot be stepped as a batch: {reason}."
        raise EnvError(Problem(what, "env.vec", "Leave it to `env.vec: auto`."))
    # SB3's vectorised environments take functions, since a copy may be built in another process.
    makers: list[Callable[[], AnyEnv]] = [
        functools.partial(build, number, seed) for number, seed in enumerate(seeds)
    ]
    if config.vec == "subproc" and len(seeds) > 1 and training:
        return Float32SubprocVecEnv(makers)
    # An evaluation's copies stay in this process, where each can be paused when it is done.
    return PausableVecEnv(makers)


def _check_numeric(config: EnvConfig, venv: "VecEnv") -> None:
    """Refuse to normalise or stack observations that are labels, not quantities."""
    space = venv.observation_space
    parts = list(parts_of(space))
    labels = [(key, part) for key, part in parts if not isinstance(part, gym.spaces.Box)]
    is_tuple = isinstance(space, gym.spaces.Tuple)
    problems = []
    # Of a Dict, the quantities are normalised; labels are left as they are.
    if config.normalize.observations and (is_tuple or len(labels) == len(parts)):
        cure = "Normalise only rewards (`normalize: {observations: false, rewards: true}`)"
        problems.append(_not_possible(config, space, "normalize", "normalised", cure))
    # Frames are stacked along an axis, and all parts are stacked.
    others = labels + [(key, part) for key, part in parts if part.shape == ()]
    if config.frame_stack > 1 and (is_tuple or others):
        key, part = others[0] if others else ("", space)
        done = f"stacked: `{key}` is {describe_space(part)}" if key else "stacked"
        problems.append(_not_possible(config, space, "frame_stack", done, "Leave it out"))
    if problems:
        venv.close()
        raise EnvError(*problems)


def _not_possible(
    config: EnvConfig, space: gym.Space[Any], key: str, done: str, cure: str
) -> Problem:
    vectors = "let `env.wrappers: [gymnasium.wrappers.FlattenObservation]` make them vectors."
    what = f"The observations of `{config.id}`, {space}, cannot be {done}."
    return Problem(what, f"env.{key}", f"{cure}, or {vectors}")
