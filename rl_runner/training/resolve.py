"""From the config as written to the experiment that will run: complete, and checked by building it.

:func:`resolve` takes five steps:

1. look up the algorithm and check the hyperparameters;
2. fix the time limit of an episode;
3. build the environment, choose the policy for its observations, and check that the algorithm takes
   its spaces;
4. write out the defaults that depend on the budget;
5. build the agent, choose its engine, and note which local code was used.

Environment and agent are built once and closed again. What the steps learn on the way is kept in
the :class:`Resolution`, so that no caller has to build anything again to find it out.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gymnasium.spaces import Box
from gymnasium.spaces.utils import flatten_space

from rl_runner.agents.build import build_agent, choose_engine, choose_policy, reason_against_fast
from rl_runner.agents.hyperparameters.combinations import (
    impossible_combinations,
    replays_hindsight,
)
from rl_runner.agents.hyperparameters.constructor import check_hyperparameters
from rl_runner.agents.image_policies import image_notes, image_problems
from rl_runner.agents.protocol import Agent, takes_action_masks
from rl_runner.agents.registry import Algorithm, find_algorithm
from rl_runner.agents.spaces import action_notes, fitting_algorithms, flat_actions, refusal
from rl_runner.config import EnvConfig, ExperimentConfig
from rl_runner.config.schema import AlgoConfig, Engine, TrainConfig
from rl_runner.config.section import validate_section
from rl_runner.config.yaml_text import SourceMap
from rl_runner.envs import build_env, time_limit_of
from rl_runner.envs.catalog import describe_space
from rl_runner.envs.code import use_code, with_code
from rl_runner.envs.contract.goals import check_goal_rewards
from rl_runner.envs.specs import newer_version
from rl_runner.errors import ConfigError, EnvError, Problem, RunnerError
from rl_runner.local_code import keeping_working_directory
from rl_runner.training.observers.own_callbacks import check_callbacks, reason_for_stock_loop

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv


MAX_CHECKPOINT_INTERVAL = 100_000  # timesteps; the most that an interrupted run has to repeat


@dataclass(frozen=True)
class Resolution:
    """A resolved config, and what its reader may not expect or would have to build it to learn."""

    config: ExperimentConfig  # every default is written out
    time_limit: int  # steps after which an episode is truncated
    time_limit_is_ours: bool  # neither the config nor the environment has one
    observation_space: str  # as `rl envs` shows it, e.g. Box(4,)
    action_space: str
    newer_version: str | None  # of the environment, if `env.id` is an old one
    space_notes: tuple[str, ...]  # how the spaces are used, if not in the usual way
    stock_reason: str | None  # why the compiled twin cannot run it; None if it can, or has no twin

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about choices that the user may not expect."""
        notes = []
        if self.time_limit_is_ours:
            env_id, limit = self.config.env.id, self.time_limit
            notes.append(f"{env_id} has no time limit; episodes are truncated after {limit} steps.")
        if self.newer_version is not None:
            notes.append(f"{self.config.env.id} is an old version; {self.newer_version} is newer.")
        notes += self.space_notes
        if self.stock_reason is not None:
            notes.append(f"Trained by the stock engine: {self.stock_reason}.")
        return tuple(notes)

    def with_seeds(self, seeds: Sequence[int]) -> "Resolution":
        """Return the same experiment with other seeds to train.

        :raises ConfigError: as :func:`with_seeds` does
        """
        return replace(self, config=with_seeds(self.config, seeds))


def with_seeds(config: ExperimentConfig, seeds: Sequence[int]) -> ExperimentConfig:
    """Return the same experiment with other seeds to train.

    :raises ConfigError: if there are none, or one is negative or listed twice
    """
    raw = {**config.to_dict()["train"], "seeds": list(seeds)}
    train_section = validate_section(TrainConfig, raw, SourceMap("seeds"))
    return config.model_copy(update={"train": train_section}).with_source(config.source)


@keeping_working_directory()
def resolve(config: ExperimentConfig) -> Resolution:
    """Write out every default of a config and check the result by building env and agent once.

    Nothing is written to disk. Resolving a resolved config changes nothing.

    :raises ConfigError: if a hyperparameter is unknown or invalid, hyperparameters exclude each
        other, the algorithm does not take the environment's spaces, or the config learns from a log
    :raises EnvError: if the environment cannot be built
    """
    source = config.source
    _refuse_data(config)
    use_code(config)
    # 1. The algorithm and its hyperparameters.
    algorithm = find_algorithm(config.algo.name, source.locate(("algo", "name")))
    with _located(source):
        checked = check_hyperparameters(algorithm, config.algo.hyperparameters, source)
        # 2. The time limit.
        limit, limit_is_ours = time_limit_of(config.env)
        env_config = config.env.model_copy(update={"time_limit": limit})
        copies = range(env_config.n_envs)
        with contextlib.closing(build_env(env_config.in_this_process, copies)) as env:
            # 3. The policy, and the fit between algorithm and environment.
            observations = env.observation_space
            written = checked
            checked = choose_policy(algorithm, written, observations, source)
            _check_spaces(algorithm, env_config, env)
            if problems := tuple(image_problems(config, algorithm, written, observations)):
                raise ConfigError(*problems)
            # 4. The defaults that depend on the budget.
            complete = _with_defaults(config, env_config, algorithm, checked)
            if problems := tuple(impossible_combinations(complete, checked, observations)):
                raise ConfigError(*problems)
            if replays_hindsight(checked):
                check_goal_rewards(env, env_config.id, keeps_infos=_keeps_infos(checked))
            # 5. The agent and its engine.
            agent = _build_stock(algorithm, checked, env)
            check_callbacks(config)
            callback_reason = reason_for_stock_loop(config, algorithm)
            where = source.locate(("algo", "engine"))
            asked = _engine_with_callbacks(config.algo.engine, callback_reason, where)
            engine = choose_engine(algorithm, asked, agent, where)
            return Resolution(
                config=with_code(_with_engine(complete, engine)),
                time_limit=limit,
                time_limit_is_ours=limit_is_ours,
                observation_space=describe_space(env.observation_space),
                action_space=describe_space(env.action_space),
                stock_reason=_stock_reason(algorithm, engine, agent, callback_reason),
                newer_version=newer_version(env_config),
                space_notes=(
                    *image_notes(env_config, algorithm, written, checked, observations),
                    *action_notes(algorithm, env.action_space),
                ),
            )


def build_config_agent(config: ExperimentConfig, env: "VecEnv", seed: int) -> Agent:
    """Build the agent of a resolved config.

    :param seed: as :func:`rl_runner.agents.build.build_agent` takes it
    """
    algorithm = find_algorithm(config.algo.name)
    return build_agent(algorithm, config.algo.hyperparameters, env, seed, config.algo.engine)


def _refuse_data(config: ExperimentConfig) -> None:
    """Refuse a config that learns from a log: it has no environment to build."""
    if config.data is not None:
        what = "This experiment learns from a log and steps no environment."
        cure = "`rl train` trains it, `rl eval RUN --data LOG` evaluates the result."
        raise ConfigError(Problem(what, config.source.locate(("data",)), cure))


def _check_spaces(algorithm: Algorithm, env_config: EnvConfig, env: "VecEnv") -> None:
    """Refuse spaces that the algorithm does not take, and name the algorithms that take them."""
    # Observations and actions.
    reason = refusal(algorithm, env.observation_space, env.action_space)
    if reason is not None:
        fitting = fitting_algorithms(
            env.observation_space,
            env.action_space,
            has_action_masks=env.has_attr("action_masks"),
        )
        what = (
            f"{algorithm.name} cannot be trained on {env_config.id}: observations "
            f"{describe_space(env.observation_space)}, actions "
            f"{describe_space(env.action_space)}. ({reason})"
        )
        cure = f"These can: {', '.join(fitting) or 'none'}."
        others = _flattened(algorithm, env), _flat_actions(algorithm, env)
        raise ConfigError(Problem(what, "algo.name", " ".join(filter(None, (cure, *others)))))
    # Action masks, for algorithms that ask for them.
    if takes_action_masks(algorithm.load_class()) and not env.has_attr("action_masks"):
        what = f"{algorithm.name} asks the environment which actions are valid; "
        what += f"{env_config.id} has no `action_masks()` method."
        cure = (
            "Use `ppo`, or add a wrapper that has one: `env.wrappers: [{name: sb3_contrib.common."
            "wrappers.ActionMasker, kwargs: {action_mask_fn: module:function}}]`."
        )
        raise ConfigError(Problem(what, "algo.name", cure))


def _keeps_infos(checked: Mapping[str, Any]) -> bool:
    """Whether rewards of other goals are computed from the infos of the steps."""
    return bool((checked.get("replay_buffer_kwargs") or {}).get("copy_info_dict"))


def _flattened(algorithm: Algorithm, env: "VecEnv") -> str:
    """Return the wrapper that makes vectors of the observations, if the algorithm takes those."""
    flat = flatten_space(env.observation_space)
    if not isinstance(flat, Box) or refusal(algorithm, flat, env.action_space) is not None:
        return ""
    wrapper = "`env.wrappers: [gymnasium.wrappers.FlattenObservation]`"
    return f"Or flatten the observations: {wrapper}."


def _flat_actions(algorithm: Algorithm, env: "VecEnv") -> str:
    """Say how to give actions one dimension, if the algorithm then takes them."""
    flat = flat_actions(env.action_space)
    if flat is None or refusal(algorithm, env.observation_space, flat) is not None:
        return ""
    return (
        "Or give the environment the actions `MultiDiscrete(nvec.ravel())`, of shape "
        f"{flat.shape}, and reshape them to {env.action_space.shape} in `step`. A wrapper can do "
        "it: `{name: gymnasium.wrappers.TransformAction, kwargs: {func: module:function, "
        "action_space: module:SPACE}}`."
    )


def _with_defaults(
    config: ExperimentConfig, env: EnvConfig, algorithm: Algorithm, checked: Mapping[str, Any]
) -> ExperimentConfig:
    """Return the config with these sections, and with its intervals written out.

    :param env: with its time limit
    :param checked: complete hyperparameters
    """
    tenth = max(1, config.train.total_timesteps // 10)
    # A checkpoint cuts off the episodes under way, so at least two fit between two checkpoints.
    two_episodes = 2 * (env.time_limit or 0) * env.n_envs
    checkpoint_every = max(min(tenth, MAX_CHECKPOINT_INTERVAL), two_episodes)
    return config.model_copy(
        update={
            "env": env,
            "algo": AlgoConfig.model_validate({"name": algorithm.name, **checked}),
            "eval": config.eval.model_copy(update={"every": config.eval.every or tenth}),
            "checkpoint": config.checkpoint.model_copy(
                update={"every": config.checkpoint.every or checkpoint_every}
            ),
        }
    ).with_source(config.source)


def _build_stock(algorithm: Algorithm, checked: Mapping[str, Any], env: "VecEnv") -> Agent:
    """Build the stock agent, which the compiled twin has to equal.

    ``device: auto`` means the CPU here, as it does for the twin: a GPU in the machine is no reason
    against the twin.
    """
    on_cpu = {"device": "cpu"} if checked.get("device") == "auto" else {}
    return build_agent(algorithm, {**checked, **on_cpu}, env, seed=0)


def _engine_with_callbacks(asked: Engine, reason: str | None, where: str) -> Engine:
    """Return the engine to ask for, given why the callbacks need the stock engine.

    :raises ConfigError: if the fast engine is asked for
    """
    if reason is None:
        return asked
    if asked == "fast":
        cure = "Set `engine: auto`, which takes the stock engine, or leave the callback out."
        raise ConfigError(Problem(f"`engine: fast` is not available: {reason}.", where, cure))
    return "stock"


def _stock_reason(
    algorithm: Algorithm, engine: Engine, agent: Agent, callback_reason: str | None
) -> str | None:
    """Return why the twin cannot run what the stock engine runs; None if it can, or has no twin.

    :param callback_reason: why the callbacks need the stock engine; None if they do not
    """
    if engine != "stock" or not algorithm.fast_path:
        return None
    return callback_reason or reason_against_fast(algorithm, agent)


def _with_engine(config: ExperimentConfig, engine: Engine) -> ExperimentConfig:
    algo = config.algo.model_copy(update={"engine": engine})
    return config.model_copy(update={"algo": algo}).with_source(config.source)


@contextlib.contextmanager
def _located(source: SourceMap) -> Iterator[None]:
    """Add the file and line to problems that name only a key (``env.id``)."""
    try:
        yield
    except (ConfigError, EnvError) as error:
        raise _with_places(error, source) from error.__cause__


def _with_places(error: RunnerError, source: SourceMap) -> RunnerError:
    keys = ("env", "algo")  # `callbacks` are located already
    problems = (
        Problem(problem.what, source.locate(tuple(problem.where.split("."))), problem.cure)
        if problem.where.partition(".")[0] in keys
        else problem
        for problem in error.problems
    )
    return type(error)(*problems)
