"""THE one place where an environment is built: for training, evaluation, recording, serving.

From the inside out::

    gym.make → TimeLimit → env.wrappers → EpisodeSeeds → Monitor      one copy
    DummyVecEnv | SubprocVecEnv → VecFrameStack → VecNormalize        all copies, in training
    PausableVecEnv              → VecFrameStack → VecNormalize        all copies, in evaluation

Where the environment can step all its copies at once, with the same numbers, :class:`BatchedVecEnv`
takes the place of both lines up to VecFrameStack. Frames are stacked first because SB3's replay
buffers keep what VecNormalize was given, and that has to be what the policy sees, unscaled.

stable_baselines3 is imported inside the functions: it loads torch, which takes over a second.
"""

import contextlib
import functools
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from rl_runner.config.schema import DEFAULT_GAMMA, AlgoConfig, EnvConfig, WrapperConfig
from rl_runner.envs.episode_seeds import EpisodeSeeds
from rl_runner.errors import EnvError, Problem, did_you_mean
from rl_runner.seeding import SeedTree

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv

DEFAULT_TIME_LIMIT = 1000  # for environments that would never truncate an episode themselves
MOST_COPIES = 64  # side by side in an evaluation
MOST_IN_A_BATCH = 256  # where one more costs next to nothing
EPISODES_PER_COPY = 15

AnyEnv = gym.Env[Any, Any]


def build_env(
    config: EnvConfig,
    seeds: Sequence[int],
    *,
    training: bool = True,
    gamma: float = DEFAULT_GAMMA,
    render_mode: str | None = None,
) -> "VecEnv":
    """Build one copy of the environment per seed, stepped together.

    :param seeds: copy ``i`` is reset with ``seeds[i]`` before its first episode
    :param training: False freezes normalisation statistics, leaves rewards as they are and steps
        the copies in this process
    :param gamma: the discount by which reward normalisation estimates returns
    :raises EnvError: if the environment or a wrapper cannot be found or built
    """
    from stable_baselines3.common.vec_env import VecFrameStack, VecNormalize

    venv = _build_copies(config, seeds, training, render_mode)
    _check_numeric(config, venv)
    with _explained(config, "wrapped as `env.normalize` and `env.frame_stack` ask"):
        if config.frame_stack > 1:
            venv = VecFrameStack(venv, n_stack=config.frame_stack)
        if config.normalize.active:
            venv = VecNormalize(
                venv,
                training=training,
                norm_obs=config.normalize.observations,
                norm_reward=config.normalize.rewards and training,
                clip_obs=config.normalize.clip_observations,
                clip_reward=config.normalize.clip_rewards,
                gamma=gamma,
            )
    return venv


def build_training_env(config: EnvConfig, algo: AlgoConfig, seeds: SeedTree) -> "VecEnv":
    """Build the environments a run trains in; raises EnvError as :func:`build_env` does."""
    return build_env(config, seeds.train_envs(config.n_envs), gamma=algo.discount)


def build_evaluation_env(config: EnvConfig, episode_seeds: Sequence[int], n_envs: int) -> "VecEnv":
    """Build the environments that play these episodes side by side.

    :param n_envs: how many copies; for very many episodes more than that, since a network answers
        64 questions at once nearly as fast as one
    :raises EnvError: as :func:`build_env` does
    """
    if reason_for_single_copies(config, training=False) is None:
        for_many = MOST_IN_A_BATCH
    else:
        for_many = min(MOST_COPIES, len(episode_seeds) // EPISODES_PER_COPY)
    n_envs = min(len(episode_seeds), max(n_envs, for_many))
    return build_env(config, episode_seeds[:n_envs], training=False)


def _check_numeric(config: EnvConfig, venv: "VecEnv") -> None:
    """Refuse to normalise or stack observations that are labels, not quantities."""
    asked = {"normalize": config.normalize.observations, "frame_stack": config.frame_stack > 1}
    space = venv.observation_space
    if isinstance(space, gym.spaces.Box | gym.spaces.Dict) or not any(asked.values()):
        return
    venv.close()
    vectors = "let `env.wrappers: [gymnasium.wrappers.FlattenObservation]` make them vectors."
    only_rewards = "Normalise only rewards (`normalize: {observations: false, rewards: true}`)"
    doing = {"normalize": ("normalised", only_rewards), "frame_stack": ("stacked", "Leave it out")}
    raise EnvError(
        *(
            Problem(
                f"The observations of `{config.id}`, {space}, cannot be {doing[key][0]}.",
                f"env.{key}",
                f"{doing[key][1]}, or {vectors}",
            )
            for key in asked
            if asked[key]
        )
    )


def _build_copies(
    config: EnvConfig, seeds: Sequence[int], training: bool, render_mode: str | None
) -> "VecEnv":
    """Build the copies as ``env.vec`` asks; an evaluation never starts processes."""
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rl_runner.envs.vectorized.batched import BatchedVecEnv
    from rl_runner.envs.vectorized.batched_versions import make_batched_env
    from rl_runner.envs.vectorized.pausable import PausableVecEnv
    from rl_runner.envs.vectorized.subproc import Float32SubprocVecEnv

    reason = reason_for_single_copies(config, training=training, render_mode=render_mode)
    if reason is None:
        with _explained(config, "built"):
            limit, _ = time_limit_of(config)
            batched = make_batched_env(config, find_spec(config), len(seeds), limit)
            return BatchedVecEnv(batched, seeds, every_info=not training)
    if config.vec == "batched" and training:
        what = f"`{config.id}` cannot be stepped as a batch: {reason}."
        raise EnvError(Problem(what, "env.vec", "Leave it to `env.vec: auto`."))
    makers: list[Callable[[], AnyEnv]] = [
        functools.partial(_make_monitored_env, config, seed, render_mode) for seed in seeds
    ]
    if not training:
        return PausableVecEnv(makers)
    if config.vec == "subproc" and len(seeds) > 1:
        return Float32SubprocVecEnv(makers)
    return DummyVecEnv(makers)


def reason_for_single_copies(
    config: EnvConfig, *, training: bool = True, render_mode: str | None = None
) -> str | None:
    """Return why :func:`build_env` steps the copies one by one; None if as a batch.

    :raises EnvError: if there is no such environment
    """
    from rl_runner.envs.vectorized.batched_versions import reason_against_batching

    if config.vec not in {"auto", "batched"}:
        return f"`env.vec: {config.vec}` asks for it"
    spec = find_spec(config)
    return reason_against_batching(config, spec, render_mode=render_mode, training=training)


def make_single_env(
    config: EnvConfig, *, render_mode: str | None = None, check: bool = False
) -> AnyEnv:
    """Build one copy, time-limited and with the config's wrappers, for looking at or stepping.

    :param check: let Gymnasium's passive checker watch the first reset and step
    :raises EnvError: with the nearest known id, or the package to install
    """
    limit, _ = time_limit_of(config)
    with _explained(config, "built"):
        env: AnyEnv = gym.make(
            config.id,
            max_episode_steps=limit,
            disable_env_checker=not check,
            **({} if render_mode is None else {"render_mode": render_mode}),
            **config.kwargs,
        )
        for wrapper in config.wrappers:
            env = _load_wrapper(wrapper)(env, **wrapper.kwargs)
    return env


def time_limit_of(config: EnvConfig) -> tuple[int, bool]:
    """Return the steps after which an episode is truncated, and whether we had to choose them.

    The config's ``time_limit`` comes first, then the environment's own; an environment that has
    none (CliffWalking) gets :data:`DEFAULT_TIME_LIMIT`, or a policy that walks in circles would
    never finish an evaluation.
    """
    if config.time_limit is not None:
        return config.time_limit, False
    own = find_spec(config).max_episode_steps
    return (own, False) if own is not None else (DEFAULT_TIME_LIMIT, True)


def find_spec(config: EnvConfig) -> gym.envs.registration.EnvSpec:
    """Return Gymnasium's entry for ``env.id``, importing the package before a colon first."""
    with _explained(config, "found"):
        # What gym.make does with "package:Env-v0"; gym.spec alone would not import the package.
        module, _, env_id = config.id.rpartition(":")
        if module:
            importlib.import_module(module)
        if env_id not in gym.registry and "-v" not in env_id:
            raise gym.error.NameNotFound(env_id)  # gym.spec's own error has no class of its own
        return gym.spec(env_id)


def _make_monitored_env(config: EnvConfig, seed: int, render_mode: str | None) -> AnyEnv:
    from stable_baselines3.common.monitor import Monitor

    env = make_single_env(config, render_mode=render_mode)
    return Monitor(EpisodeSeeds(env, [seed]))


def _load_wrapper(config: WrapperConfig) -> Callable[..., AnyEnv]:
    module_name, _, class_name = config.name.replace(":", ".").rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        problem = Problem(
            f"The wrapper `{config.name}` cannot be imported: {error}.", "env.wrappers"
        )
        raise EnvError(problem) from None
    found = getattr(module, class_name, None)
    if not (isinstance(found, type) and issubclass(found, gym.Wrapper)):
        what = f"`{config.name}` is not a Gymnasium wrapper."
        raise EnvError(Problem(what, "env.wrappers", did_you_mean(class_name, dir(module))))
    return found


@contextlib.contextmanager
def _explained(config: EnvConfig, verb: str) -> Iterator[None]:
    """Turn whatever building an environment raises into an error that carries its cure."""
    try:
        yield
    except EnvError:
        raise
    except ModuleNotFoundError as error:
        what = f"`{config.id}` needs the Python package `{error.name}`, which is not installed."
        cure = f"Install it (`pip install {(error.name or '').partition('.')[0]}`) or check the id."
        raise EnvError(Problem(what, "env.id", cure)) from None
    except gym.error.UnregisteredEnv:
        prefix = "".join(config.id.rpartition(":")[:2])
        cure = (
            did_you_mean(config.id, [prefix + known for known in gym.registry])
            or "`rl envs` lists what is installed."
        )
        what = f"There is no environment `{config.id}`."
        raise EnvError(Problem(what, "env.id", cure)) from None
    except gym.error.DependencyNotInstalled as error:
        what = f"`{config.id}` needs a package that is not installed."
        raise EnvError(Problem(what, "env.id", str(error))) from None
    except Exception as error:
        what = f"`{config.id}` could not be {verb}: {type(error).__name__}: {error}"
        cure = "Check `env.id`, `env.kwargs` and `env.wrappers`."
        raise EnvError(Problem(what, "env", cure)) from error
