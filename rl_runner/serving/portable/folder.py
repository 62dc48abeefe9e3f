"""A run's policy as a folder for other programs: the policy and a README.md."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from rl_runner import __version__
from rl_runner.agents.algorithms.q_learning import QLearning
from rl_runner.config import load_config
from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.evaluation.play.loaded_run import Run, load_run
from rl_runner.offline.learning.trained_run import TrainedRun, load_trained
from rl_runner.runs.disk import write_aside, writing
from rl_runner.serving.models.artifacts import find_run
from rl_runner.serving.portable import readme, table_file
from rl_runner.serving.portable.onnx_file import (
    OPSET,
    NotEqualError,
    Parity,
    check_installed,
    write_onnx,
)

Format = Literal["json", "onnx"]
README = "README.md"


@dataclass(frozen=True)
class Exported:
    """What was written."""

    file: Path
    policy: str
    parity: Parity | None  # of ONNX: how equal its answers are to the agent's


def export_policy(path: Path, out: Path, kind: Format) -> Exported:
    """Write the policy of a run, and its description, into a folder.

    :param path: a run, or an experiment with one run
    :raises ConfigError: if this policy is not of the kind that the format is for
    :raises RunnerError: if the run is not finished or damaged, or the folder cannot be written
    """
    run = find_run(path)
    is_log = load_config(run.parent).data is not None
    if kind == "onnx":
        check_installed()
        if is_log:
            raise _not_for(run, "a table is not a network", "json")
        network = _finished(load_run(run))
        if isinstance(network.agent, QLearning):
            raise _not_for(run, "a table is not a network", "json")
        return _export_network(network, out)
    if is_log:
        trained = load_trained(run)
        document = table_file.log_table(trained.learner)
        text = readme.log_table_readme(document, _origin(trained))
        return _export_table(out, document, text, _origin(trained))
    loaded = _finished(load_run(run))
    if not isinstance(loaded.agent, QLearning):
        raise _not_for(run, f"the policy of {loaded.config.algo.name} is not a table", "onnx")
    document = table_file.agent_table(loaded.agent)
    text = readme.agent_table_readme(document, _origin(loaded))
    return _export_table(out, document, text, _origin(loaded))


def _finished(run: Run) -> Run:
    if not run.record.is_finished:
        cure = "Finish it first: `rl train` on its config resumes it."
        raise RunFolderError(Problem("This run is not finished.", str(run.path), cure))
    return run


def _not_for(run: Path, reason: str, other: Format | None = None) -> ConfigError:
    what = f"This policy cannot be written in this format: {reason}."
    cure = f"Write it with `--format {other}`." if other else "`rl serve` answers with it."
    return ConfigError(Problem(what, str(run), cure))


def _origin(run: Run | TrainedRun) -> dict[str, str]:
    """Return where a policy comes from."""
    record, config = run.record, run.config
    return {
        "policy": run.path.parent.name,
        "run": run.path.name,
        "algorithm": config.algo.name,
        "environment": config.env.id,
        "timesteps": "" if record.timesteps is None else str(record.timesteps),
        "trained": record.finished or "",
        "config_hash": record.config_hash or "",
        "rl_runner": __version__,
    }


def _export_table(
    out: Path, document: dict[str, Any], text: str, origin: dict[str, str]
) -> Exported:
    """Write a table and its description."""
    file = out / "policy.json"
    whole = {"origin": origin, **document}
    _write(file, lambda aside: table_file.write_table(aside, whole))
    _write(out / README, lambda aside: aside.write_text(text, encoding="utf-8"))
    return Exported(file, origin["policy"], None)


def _export_network(run: Run, out: Path) -> Exported:
    """Write a network and its description, if the file answers what the agent does."""
    from rl_runner.serving.portable.network import PortablePolicy

    origin = {**_origin(run), "torch": version("torch"), "opset": str(OPSET)}
    file = out / "policy.onnx"
    parities: list[Parity] = []
    try:
        policy = PortablePolicy(run.agent)
    except ValueError as error:
        raise _not_for(run.path, f"{error}") from error
    try:
        _write(file, lambda aside: parities.append(write_onnx(run.agent, policy, aside, origin)))
    except NotEqualError as error:
        what = f"Nothing was written, since the file is not equal to the agent: {error}."
        raise ConfigError(Problem(what, str(run.path))) from error
    text = readme.onnx_readme(policy, parities[0], origin)
    _write(out / README, lambda aside: aside.write_text(text, encoding="utf-8"))
    return Exported(file, origin["policy"], parities[0])


def _write(file: Path, write: Any) -> None:
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    write_aside(file, write)
