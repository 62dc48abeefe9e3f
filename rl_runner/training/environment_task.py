"""A run that trains an agent in an environment, as a task."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rl_runner.agents.registry import find_algorithm
from rl_runner.config import ExperimentConfig, experiment_hash
from rl_runner.envs import reason_for_single_copies
from rl_runner.envs.code import check_code, data_hashes, named_packages, use_code
from rl_runner.errors import RunFolderError
from rl_runner.layout import COUNTERS, NORMALIZATION, experiment_name
from rl_runner.local_code import file_of, unlisted_hashes
from rl_runner.runs.folder import ExperimentFolder, RunFolder
from rl_runner.runs.record import Completion, RunRecord
from rl_runner.training.reporting import Reporter, StopRequest
from rl_runner.training.task import RunTask, modules_for


@dataclass(frozen=True)
class EnvironmentTask(RunTask):
    """One seed of an experiment in an environment.

    The runs of a study have no rows of their own on TensorBoard's HPARAMS page (``has_hparams``):
    there is one for each trial.
    """

    has_hparams: bool = True

    @property
    def weights_file(self) -> str:
        """The file name of the agent's parameters, which its algorithm decides."""
        return find_algorithm(self.config.algo.name).weights_file

    @property
    def agent_files(self) -> tuple[str, ...]:
        """Its parameters, its counters and, if its environment normalises, the statistics."""
        statistics = (NORMALIZATION,) if self.config.env.normalize.active else ()
        return (self.weights_file, COUNTERS, *statistics)

    @property
    def modules(self) -> Sequence[str]:
        """torch, SB3, and what else the algorithm needs."""
        return modules_for([self.config.algo])

    def train(self, run: RunFolder, reporter: Reporter, stop: StopRequest) -> Completion:
        """Train from the newest checkpoint, or from the beginning."""
        from rl_runner.training.run import train_run

        check_code(self.config)
        data = data_hashes(self.config)  # now: training may take long, or go to another directory
        done = train_run(self.config, self.seed, run, reporter, stop, has_hparams=self.has_hparams)
        # What the source does not show: modules that were imported by a computed name.
        listed = () if self.config.code is None else self.config.code.modules
        unlisted = unlisted_hashes(listed)
        for name in unlisted:
            reporter.note(
                f"`{name}` ({file_of(name)}) is imported by a name that cannot be read from the "
                "source, so a change of it is not noticed. Import it by its name."
            )
        # Nor does the config show what is in the files that it names.
        unlisted |= data
        for note in self._other_code_notes(unlisted):
            reporter.note(note)
        return replace(done, unlisted_code=unlisted)

    def _other_code_notes(self, unlisted: Mapping[str, str]) -> Iterator[str]:
        """Yield a sentence for each module or file that a finished seed used in another version."""
        for seed in self.experiment_folder.seeds():
            try:
                record = self.experiment_folder.run(seed).read_record()
            except RunFolderError:  # damaged; whatever reads its results will say so
                continue
            if seed == self.seed or record is None or not record.is_finished:
                continue
            for name in sorted(unlisted.keys() & record.unlisted_code.keys()):
                if unlisted[name] != record.unlisted_code[name]:
                    yield (
                        f"Seeds {seed} and {self.seed} used different versions of `{name}`: their "
                        "results do not belong together. `rl train … --fresh` trains all again."
                    )

    def new_record(self) -> RunRecord:
        """Return what run.json says of a run that has not begun."""
        code = {} if self.config.code is None else self.config.code.modules
        return replace(super().new_record(), engine=self.config.algo.engine, code=code)

    def with_details(self, record: RunRecord) -> RunRecord:
        """Add the versions of named packages, and how the environment's copies are stepped."""
        use_code(self.config)
        record = replace(record, versions={**record.versions, **named_packages(self.config)})
        env = self.config.env
        reason = reason_for_single_copies(env)
        if reason is None:
            return replace(record, vec="batched")
        in_processes = env.vec == "subproc" and env.n_envs > 1
        return replace(record, vec="subproc" if in_processes else "dummy", vec_reason=reason)


def folder_at(path: Path, config: ExperimentConfig) -> ExperimentFolder:
    """Return the experiment's folder ``path``, which knows what its agents' files are called."""
    return ExperimentFolder(path, find_algorithm(config.algo.name).weights_file)


def experiment_folder(config: ExperimentConfig, runs_dir: str | Path) -> ExperimentFolder:
    """Return where a resolved config's results belong."""
    return folder_at(Path(runs_dir) / experiment_name(config.name, experiment_hash(config)), config)
