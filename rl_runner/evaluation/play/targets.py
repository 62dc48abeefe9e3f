"""What `rl eval` evaluates: runs, experiments, configs with a baseline, external agents."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rl_runner.config import EnvConfig, ExperimentConfig, experiment_hash, load_config
from rl_runner.config.schema import EvalConfig
from rl_runner.envs.code import code_note, use_code
from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.evaluation.play.baselines import evaluate_baseline
from rl_runner.evaluation.play.external_agents import check_trust, evaluate_external_agent
from rl_runner.evaluation.play.loaded_run import load_run
from rl_runner.evaluation.play.policy_evaluation import Evaluation, evaluate_run
from rl_runner.layout import RECORD, seed_number
from rl_runner.local_code import add_code_folders
from rl_runner.runs.find import find_runs

YAML = {".yaml", ".yml"}


@dataclass(frozen=True)
class EvaluationOptions:
    """The options of `rl eval`; a value of None is taken from the run's config."""

    n_episodes: int | None = None
    checkpoint: str | None = None  # by default each config's `train.keep`
    policy: str | None = None  # a baseline instead of the trained agent
    deterministic: bool | None = None
    env_id: str | None = None  # instead of a run's environment
    seed: int = 0  # of the held-out episodes, if there is no run that has one
    algo: str | None = None  # of an external agent
    trust: bool = False  # whether an external agent may be unpickled
    normalization: Path | None = None  # the statistics that VecNormalize saved for it, or `none`


@dataclass(frozen=True)
class EvaluatedGroup:
    """Evaluations that belong together: those of an experiment's runs, or a single one."""

    name: str
    path: str = ""  # of the experiment; empty if it is not one
    digest: str = ""
    evaluations: list[Evaluation] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)  # of the runs; empty if it was not trained
    env: EnvConfig | None = None  # whose returns these are
    note: str = ""  # that the code has changed since they were trained, or of an external agent


def evaluate_targets(targets: Sequence[Path], options: EvaluationOptions) -> list[EvaluatedGroup]:
    """Evaluate runs, experiments, configs (with a baseline) and zip files of external agents.

    All targets are found and checked before the first episode is played.

    :raises RunnerError: if a target does not exist, or the options contradict each other
    """
    _check_options(targets, options)
    # Tell the kinds of targets apart, and find or load them.
    external = [path for path in targets if path.suffix == ".zip"]
    configs = [path for path in targets if path.suffix in YAML and options.policy]
    rest = [path for path in targets if path not in external and path not in configs]
    runs = _runs_by_experiment(rest)
    for path in external:
        _check_external(path, options)
    loaded = [load_config(path) for path in configs]
    # Play.
    groups = [_experiment(path, found, options) for path, found in runs.items()]
    groups += [_config(config, options) for config in loaded]
    groups += [_external(path, options) for path in external]
    if options.env_id is not None and options.policy is not None:
        add_code_folders([Path.cwd()])  # there is no config beside which its module could be
        groups.append(_environment(EnvConfig(id=options.env_id), options))
    return groups


def _check_options(targets: Sequence[Path], options: EvaluationOptions) -> None:
    """Refuse options that contradict each other or the targets."""
    has_zip = any(path.suffix == ".zip" for path in targets)
    # --env is for targets that name no environment themselves.
    if options.env_id is not None and options.policy is None and not has_zip:
        what = "`--env` needs a policy to play in the environment."
        raise ConfigError(Problem(what, f"--env {options.env_id}", "Add e.g. `--policy random`."))
    if options.env_id is not None and any(path.suffix != ".zip" for path in targets):
        what = "Runs and configs have environments of their own."
        cure = "Leave out `--env`, or the runs and configs."
        raise ConfigError(Problem(what, f"--env {options.env_id}", cure))
    # The others are for either a baseline, a run or a zip file.
    if options.policy is not None and options.checkpoint is not None:
        what = "A baseline has no checkpoints."
        cure = "Leave out `--policy` or `--checkpoint`."
        raise ConfigError(Problem(what, f"--checkpoint {options.checkpoint}", cure))
    if options.normalization is not None and not has_zip:
        what = "Only an agent in a zip file needs statistics; a run has its own."
        where = f"--normalization {options.normalization}"
        raise ConfigError(Problem(what, where, "Leave it out, or name a zip file."))
    if options.policy is not None and has_zip:
        what = "With `--policy` a baseline plays instead of the agent in the zip file."
        cure = "Leave out `--policy` or the zip file."
        raise ConfigError(Problem(what, f"--policy {options.policy}", cure))


def _runs_by_experiment(targets: Sequence[Path]) -> dict[Path, list[Path]]:
    """Return the runs of each experiment; a run that is named twice is listed once."""
    by_experiment: dict[Path, list[Path]] = {}
    for path in (run for target in targets for run in find_runs(target)):
        listed = by_experiment.setdefault(path.parent, [])
        if path not in listed:
            listed.append(path)
    return by_experiment


def _experiment(path: Path, runs: list[Path], options: EvaluationOptions) -> EvaluatedGroup:
    config = load_config(path)
    note = code_note(config)
    evaluations = list(_evaluations(config, runs, options))
    digest = experiment_hash(config)
    return EvaluatedGroup(config.name, str(path), digest, evaluations, runs, config.env, note)


def _evaluations(
    config: ExperimentConfig, runs: list[Path], options: EvaluationOptions
) -> Iterator[Evaluation]:
    for path in runs:
        if options.policy is None:
            run = load_run(path, options.checkpoint)
            yield evaluate_run(run, options.n_episodes, deterministic=options.deterministic)
        else:
            yield _baseline(config, seed_number(path.name), options)


def _baseline(config: ExperimentConfig, seed: int, options: EvaluationOptions) -> Evaluation:
    return evaluate_baseline(
        config.env,
        options.policy or "",
        seed=seed,
        n_episodes=options.n_episodes or config.eval.final_episodes,
        n_envs=config.eval.n_envs,
        gamma=config.algo.discount,
    )


def _config(config: ExperimentConfig, options: EvaluationOptions) -> EvaluatedGroup:
    use_code(config)
    found = _baseline(config, options.seed, options)
    return EvaluatedGroup(config.env.id, evaluations=[found], env=config.env)


def _environment(env: EnvConfig, options: EvaluationOptions) -> EvaluatedGroup:
    n_episodes = options.n_episodes or EvalConfig().final_episodes
    found = evaluate_baseline(env, options.policy or "", seed=options.seed, n_episodes=n_episodes)
    return EvaluatedGroup(env.id, evaluations=[found], env=env)


def _check_external(path: Path, options: EvaluationOptions) -> None:
    if not path.is_file():
        raise RunFolderError(Problem("There is no such file.", str(path)))
    if (path.parent / RECORD).is_file():
        what = "This is the weights file of a run of rl_runner."
        raise RunFolderError(Problem(what, str(path), f"Name the run's folder: {path.parent}"))
    check_trust(path, trusted=options.trust)
    if options.algo is None or options.env_id is None:
        what = "The zip file names neither its algorithm nor its environment."
        cure = "Name both, e.g. `--algo ppo --env CartPole-v1`."
        raise ConfigError(Problem(what, str(path), cure))


def _external(path: Path, options: EvaluationOptions) -> EvaluatedGroup:
    found = evaluate_external_agent(
        path,
        options.algo or "",
        EnvConfig(id=options.env_id or ""),
        seed=options.seed,
        n_episodes=options.n_episodes or EvalConfig().final_episodes,
        deterministic=options.deterministic is not False,
        statistics=options.normalization,
    )
    env = EnvConfig(id=options.env_id or "")
    return EvaluatedGroup(path.name, evaluations=[found], env=env, note=found.note)
