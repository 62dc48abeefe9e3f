"""What `rl eval` is asked for: which policies, in which environments, over which episodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rl_runner.config import EnvConfig, ExperimentConfig, experiment_hash, load_config
from rl_runner.config.schema import EvalConfig
from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.evaluation.play.baselines import evaluate_baseline
from rl_runner.evaluation.play.external_agents import check_trust, evaluate_foreign
from rl_runner.evaluation.play.loaded_run import load_run
from rl_runner.evaluation.play.policy_evaluation import Evaluation, evaluate_run
from rl_runner.runs.find import find_runs
from rl_runner.runs.layout import RECORD, seed_number

YAML = {".yaml", ".yml"}


@dataclass(frozen=True)
class EvaluationRequest:
    """The options of an evaluation; what is None is taken from the run's config."""

    n_episodes: int | None = None
    checkpoint: str = "last"
    policy: str | None = None  # a baseline instead of the trained agent
    deterministic: bool | None = None
    env_id: str | None = None  # instead of a run's environment
    seed: int = 0  # of the held-out episodes where there is no run whose they are
    algo: str | None = None  # of a foreign zip
    trust: bool = False


@dataclass(frozen=True)
class EvaluatedGroup:
    """The evaluations that belong together: the runs of an experiment, or a baseline."""

    name: str
    path: str = ""  # of the experiment; empty for what is none
    digest: str = ""
    evaluations: list[Evaluation] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)  # the runs', empty for what was not trained


def evaluate_all(targets: Sequence[Path], request: EvaluationRequest) -> list[EvaluatedGroup]:
    """Evaluate what is named: runs, experiments, configs (for a baseline), foreign zips.

    Everything is found before anything is played.

    :raises RunnerError: if something does not exist, or the options contradict each other
    """
    _check_options(targets, request)
    foreign = [path for path in targets if path.suffix == ".zip"]
    configs = [path for path in targets if path.suffix in YAML and request.policy]
    rest = [path for path in targets if path not in foreign and path not in configs]
    runs = _runs_by_experiment(rest)
    for path in foreign:
        _check_foreign(path, request)
    loaded = [load_config(path) for path in configs]
    groups = [_experiment(path, found, request) for path, found in runs.items()]
    groups += [_config(config, request) for config in loaded]
    groups += [_foreign(path, request) for path in foreign]
    if request.env_id is not None and request.policy is not None:
        groups.append(_environment(EnvConfig(id=request.env_id), EvalConfig(), request))
    return groups


def _check_options(targets: Sequence[Path], request: EvaluationRequest) -> None:
    has_zip = any(path.suffix == ".zip" for path in targets)
    if request.env_id is not None and request.policy is None and not has_zip:
        what = "An environment alone does nothing: which policy is to play in it?"
        raise ConfigError(Problem(what, f"--env {request.env_id}", "Add e.g. `--policy random`."))
    if request.env_id is not None and any(path.suffix != ".zip" for path in targets):
        what = "Runs and configs have environments of their own."
        raise ConfigError(Problem(what, f"--env {request.env_id}", "Leave out either."))
    if request.policy is not None and request.checkpoint != "last":
        what = "A baseline has no checkpoints."
        cure = "Leave out either `--policy` or `--checkpoint`."
        raise ConfigError(Problem(what, f"--checkpoint {request.checkpoint}", cure))
    if request.policy is not None and has_zip:
        what = "With `--policy` a baseline plays, and not the agent in the zip."
        raise ConfigError(Problem(what, f"--policy {request.policy}", "Leave out either."))


def _runs_by_experiment(targets: Sequence[Path]) -> dict[Path, list[Path]]:
    by_experiment: dict[Path, list[Path]] = {}
    for path in (run for target in targets for run in find_runs(target)):
        listed = by_experiment.setdefault(path.parent, [])
        if path not in listed:
            listed.append(path)
    return by_experiment


def _experiment(path: Path, runs: list[Path], request: EvaluationRequest) -> EvaluatedGroup:
    config = load_config(path)
    evaluations = list(_evaluations(config, runs, request))
    digest = experiment_hash(config)
    return EvaluatedGroup(config.name, str(path), digest, evaluations, runs)


def _evaluations(
    config: ExperimentConfig, runs: list[Path], request: EvaluationRequest
) -> Iterator[Evaluation]:
    for path in runs:
        if request.policy is None:
            run = load_run(path, request.checkpoint)
            yield evaluate_run(run, request.n_episodes, deterministic=request.deterministic)
        else:
            yield _baseline(config, seed_number(path.name), request)


def _baseline(config: ExperimentConfig, seed: int, request: EvaluationRequest) -> Evaluation:
    return evaluate_baseline(
        config.env,
        request.policy or "",
        seed=seed,
        n_episodes=request.n_episodes or config.eval.final_episodes,
        n_envs=config.eval.n_envs,
        gamma=config.algo.discount,
    )


def _config(config: ExperimentConfig, request: EvaluationRequest) -> EvaluatedGroup:
    return EvaluatedGroup(config.env.id, evaluations=[_baseline(config, request.seed, request)])


def _environment(
    env: EnvConfig, evaluation: EvalConfig, request: EvaluationRequest
) -> EvaluatedGroup:
    n_episodes = request.n_episodes or evaluation.final_episodes
    found = evaluate_baseline(env, request.policy or "", seed=request.seed, n_episodes=n_episodes)
    return EvaluatedGroup(env.id, evaluations=[found])


def _check_foreign(path: Path, request: EvaluationRequest) -> None:
    if not path.is_file():
        raise RunFolderError(Problem("There is no such file.", str(path)))
    if (path.parent / RECORD).is_file():
        what = "This is the agent of one of our own runs."
        raise RunFolderError(Problem(what, str(path), f"Name its folder: {path.parent}"))
    check_trust(path, trusted=request.trust)
    if request.algo is None or request.env_id is None:
        what = "The zip tells neither its algorithm nor its environment."
        cure = "Name both, e.g. `--algo ppo --env CartPole-v1`."
        raise ConfigError(Problem(what, str(path), cure))


def _foreign(path: Path, request: EvaluationRequest) -> EvaluatedGroup:
    found = evaluate_foreign(
        path,
        request.algo or "",
        EnvConfig(id=request.env_id or ""),
        seed=request.seed,
        n_episodes=request.n_episodes or EvalConfig().final_episodes,
        deterministic=request.deterministic is not False,
    )
    return EvaluatedGroup(path.name, evaluations=[found])
