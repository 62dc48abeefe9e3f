"""From what a person wrote to what will be run: complete, checked against the real thing."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rl_runner.agents.build import build_agent
from rl_runner.agents.combinations import impossible_combinations
from rl_runner.agents.engine import choose_engine, reason_against_fast
from rl_runner.agents.hyperparameters import check_hyperparameters, check_policy_name
from rl_runner.agents.protocol import Agent, takes_action_masks
from rl_runner.agents.registry import Algorithm, find_algorithm
from rl_runner.agents.spaces import fitting_algorithms, policy_for, refusal
from rl_runner.config import EnvConfig, ExperimentConfig
from rl_runner.config.schema import AlgoConfig
from rl_runner.config.source import SourceMap
from rl_runner.envs import build_env, time_limit_of
from rl_runner.envs.catalog import describe_space
from rl_runner.errors import ConfigError, EnvError, Problem, RunnerError

if TYPE_CHECKING:
    from stable_baselines3.common.vec_env import VecEnv


MOST_BETWEEN_CHECKPOINTS = 100_000  # timesteps; what a run that is stopped may have to repeat


def resolve(config: ExperimentConfig) -> ExperimentConfig:
    """Return the config with every default written out, after building env and agent once.

    Nothing is written. Resolving a resolved config changes nothing.

    :raises ConfigError: on a hyperparameter the algorithm does not have or cannot take, or spaces
        that it does not fit
    :raises EnvError: if the environment cannot be built
    """
    source = config.source
    if config.data is not None:
        cure = "`rl train` learns from it, `rl eval RUN --data LOG` judges it."
        what = "This experiment learns from a log; it steps no environment."
        raise ConfigError(Problem(what, source.locate(("data",)), cure))
    algorithm = find_algorithm(config.algo.name, source.locate(("algo", "name")))
    checked = check_hyperparameters(algorithm, config.algo.hyperparameters, source)
    with _located(source):
        time_limit, _ = time_limit_of(config.env)
        env_config = config.env.model_copy(update={"time_limit": time_limit})
        copies = range(env_config.n_envs)
        with contextlib.closing(build_env(env_config.in_this_process, copies)) as env:
            if checked.get("policy") == "auto":
                checked["policy"] = policy_for(algorithm, env.observation_space)
            elif "policy" in checked:
                where = source.locate(("algo", "policy"))
                check_policy_name(algorithm, checked["policy"], where)
            _check_spaces(algorithm, env_config, env)
            a_tenth = max(1, config.train.total_timesteps // 10)
            often = min(a_tenth, MOST_BETWEEN_CHECKPOINTS)
            two_episodes = 2 * time_limit * env_config.n_envs  # since checkpoints cut episodes off
            resolved = config.model_copy(
                update={
                    "env": env_config,
                    "algo": AlgoConfig.model_validate({"name": algorithm.name, **checked}),
                    "eval": config.eval.model_copy(update={"every": config.eval.every or a_tenth}),
                    "checkpoint": config.checkpoint.model_copy(
                        update={"every": config.checkpoint.every or max(often, two_episodes)}
                    ),
                }
            ).with_source(source)
            if problems := tuple(impossible_combinations(resolved, checked, env.observation_space)):
                raise ConfigError(*problems)
            agent = _build_stock(algorithm, checked, env)
            where = source.locate(("algo", "engine"))
            engine = choose_engine(algorithm, config.algo.engine, agent, where)
    algo = resolved.algo.model_copy(update={"engine": engine})
    return resolved.model_copy(update={"algo": algo}).with_source(source)


def reason_for_stock(config: ExperimentConfig) -> str | None:
    """Return why the stock engine runs a resolved config though its algorithm has a compiled twin.

    None if the twin runs it, could run it, or does not exist.
    """
    algorithm = find_algorithm(config.algo.name)
    if config.algo.engine != "stock" or not algorithm.fast_path:
        return None
    checked, copies = config.algo.hyperparameters, range(config.env.n_envs)
    with contextlib.closing(build_env(config.env.in_this_process, copies)) as env:
        return reason_against_fast(algorithm, _build_stock(algorithm, checked, env))


def _build_stock(algorithm: Algorithm, checked: Mapping[str, Any], env: "VecEnv") -> Agent:
    """Build the agent that the compiled twin would have to equal.

    Where it may choose (``device: auto``), on the CPU, as the twin itself: that there is a GPU is
    no reason against the twin.
    """
    on_cpu = {"device": "cpu"} if checked.get("device") == "auto" else {}
    return build_agent(algorithm, {**checked, **on_cpu}, env, seed=0)


def build_config_agent(config: ExperimentConfig, env: "VecEnv", seed: int) -> Agent:
    """Build the agent of a resolved config."""
    algorithm = find_algorithm(config.algo.name)
    return build_agent(algorithm, config.algo.hyperparameters, env, seed, config.algo.engine)


def _check_spaces(algorithm: Algorithm, env_config: EnvConfig, env: "VecEnv") -> None:
    """Refuse spaces the algorithm does not take, and name those that take them."""
    reason = refusal(algorithm, env.observation_space, env.action_space)
    if reason is not None:
        fitting = fitting_algorithms(
            env.observation_space,
            env.action_space,
            has_action_masks=env.has_attr("action_masks"),
        )
        what = (
            f"{algorithm.name} cannot drive {env_config.id}: observations "
            f"{describe_space(env.observation_space)}, actions "
            f"{describe_space(env.action_space)}. ({reason})"
        )
        raise ConfigError(Problem(what, "algo.name", f"These can: {', '.join(fitting) or 'none'}."))
    if takes_action_masks(algorithm.load_class()) and not env.has_attr("action_masks"):
        what = f"{algorithm.name} asks the environment which actions are valid; "
        what += f"{env_config.id} has no `action_masks()` method."
        cure = "Use `ppo`, or add a wrapper that has one (sb3_contrib: ActionMasker)."
        raise ConfigError(Problem(what, "algo.name", cure))


@contextlib.contextmanager
def _located(source: SourceMap) -> Iterator[None]:
    """Give problems that name a bare key (``env.id``) the file and line of that key."""
    try:
        yield
    except (ConfigError, EnvError) as error:
        raise _with_places(error, source) from error.__cause__


def _with_places(error: RunnerError, source: SourceMap) -> RunnerError:
    keys = ("env", "algo")
    problems = (
        Problem(problem.what, source.locate(tuple(problem.where.split("."))), problem.cure)
        if problem.where.partition(".")[0] in keys
        else problem
        for problem in error.problems
    )
    return type(error)(*problems)
