"""The versions of a service and the aliases that name them: champion, previous, ….

Changes of aliases are transactions of the store, so that a running server and the command line see
the same. Every change is kept in a history. :class:`Loader` makes a model of a version's run.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from rl_runner.config import load_config
from rl_runner.errors import ConfigError, Problem, RunFolderError
from rl_runner.offline.learning.trained_run import load_trained
from rl_runner.offline.store.database import explained
from rl_runner.offline.store.tables import alias_history, aliases, model_versions
from rl_runner.runs.disk import writing
from rl_runner.runs.provenance import now
from rl_runner.serving.config import ServeConfig
from rl_runner.serving.messages import AliasChange, AuditEntry, VersionInfo
from rl_runner.serving.models.agents import AgentModel
from rl_runner.serving.models.artifacts import (
    Artifact,
    Kind,
    Manifest,
    find_run,
    load_artifact,
    make_artifact,
    read_artifact,
)
from rl_runner.serving.models.protocol import Model
from rl_runner.serving.models.recommender import LogPolicyModel
from rl_runner.serving.store.audit import COMMAND_LINE, latest_changes, note_change
from rl_runner.serving.store.setup import Store

DEFAULT_EPSILON = 0.05  # of services with a domain; agents are greedy by default
CHAMPION = "champion"
PREVIOUS = "previous"
SHORTEST_PREFIX = 4  # digits that may stand for a version


class Loader:
    """Loads models for one service."""

    def __init__(self, config: ServeConfig) -> None:
        self._config = config

    @property
    def epsilon(self) -> float:
        """The share of exploring decisions."""
        given = self._config.exploration.epsilon
        default = DEFAULT_EPSILON if self._config.domain else 0.0
        return default if given is None else given

    def __call__(self, kind: Kind, run: Path) -> Model:
        """Load a run's model.

        :raises RunnerError: if it is damaged, or cannot explore as the service's config says
        """
        if kind == "log":
            return LogPolicyModel(load_trained(run).learner, self.epsilon)
        # Torch takes 200 MB and seconds to load, which a table does not need.
        from rl_runner.evaluation.play.loaded_run import load_run

        loaded = load_run(run)
        try:
            return AgentModel(loaded.agent, self.epsilon, loaded.note)
        except ValueError as error:
            raise ConfigError(Problem(f"{error}.", "exploration.epsilon")) from None

    def check_fits(self, run: Path) -> None:
        """Refuse a run that answers something else than the service is asked.

        :raises ConfigError: naming what it was trained for
        """
        trained, config = load_config(run.parent), self._config
        learned_from_log = trained.data is not None
        if config.domain is not None and not learned_from_log:
            what = f"This run was trained in {trained.env.id}, not from a log of {config.domain}."
            cure = "Serve it with `env: …` instead of `domain: …`."
            raise ConfigError(Problem(what, str(run), cure))
        if config.env is not None and learned_from_log:
            what, cure = "This run learned from a log.", "Serve it with `domain: recommender`."
            raise ConfigError(Problem(what, str(run), cure))
        if config.env is not None and trained.env.id != config.env:
            what = f"This run was trained in {trained.env.id}; the service is for {config.env}."
            raise ConfigError(Problem(what, str(run), f"Set `env: {trained.env.id}`."))


@dataclass(frozen=True)
class LoadedVersion:
    """A version that is verified and loaded."""

    artifact: Artifact
    model: Model


class Registry:
    """The versions and aliases of one service.

    Each method that changes something takes the ``actor``, whom the audit names.

    :param store: where versions and aliases are listed
    """

    def __init__(self, config: ServeConfig, store: Store) -> None:
        self._config = config
        self._store = store
        self._models = config.folder / "models"
        self.loader = Loader(config)

    def register(self, run: Path, actor: str = COMMAND_LINE) -> Artifact:
        """Make a run a version; a run that is one already is only found again.

        :raises RunnerError: if it is not a finished run of what the service is about
        """
        run = find_run(run)
        self.loader.check_fits(run)
        artifact = make_artifact(run, self._models, self.loader)
        row = {
            "version": artifact.version,
            "manifest": artifact.manifest.model_dump_json(),
            "registered": artifact.manifest.registered,
        }
        with explained(self._store.url), self._store.writing.begin() as connection:
            known = connection.execute(
                sa.select(model_versions.c.removed).where(
                    model_versions.c.version == artifact.version
                )
            ).first()
            if known is None:
                connection.execute(model_versions.insert(), row)
                note_change(connection, actor, "registered", artifact.version)
            elif known.removed is not None:
                connection.execute(
                    model_versions.update()
                    .where(model_versions.c.version == artifact.version)
                    .values(removed=None, **row)
                )
                note_change(connection, actor, "registered again", artifact.version)
        return artifact

    def find(self, name: str) -> str:
        """Return the version that an alias, a version or the first digits of one name.

        :raises ConfigError: if there is none, or several
        """
        found = self.aliases().get(name)
        if found is not None:
            return found
        known = [info.version for info in self.versions()]
        matches = [
            v for v in known if v == name or (len(name) >= SHORTEST_PREFIX and v.startswith(name))
        ]
        if len(matches) == 1:
            return matches[0]
        listed = ", ".join(known) or "none"
        what = f"There is no version `{name}`." if not matches else f"`{name}` is not unique."
        raise ConfigError(Problem(what, self._config.name, f"Versions: {listed}."))

    def load(self, version: str) -> LoadedVersion:
        """Verify a version and load its model.

        :raises CheckpointError: if it is missing or damaged
        """
        artifact = read_artifact(self._models / version)
        return LoadedVersion(artifact, load_artifact(artifact, self.loader))

    def aliases(self) -> dict[str, str]:
        """Return the version of each alias."""
        with explained(self._store.url), self._store.reading.connect() as connection:
            rows = connection.execute(sa.select(aliases.c.alias, aliases.c.version)).all()
        return {row.alias: row.version for row in rows}

    def promote(
        self, version: str, reason: str = "promoted", actor: str = COMMAND_LINE
    ) -> LoadedVersion:
        """Make a version the champion, after it was verified; the former one is kept by name.

        :raises CheckpointError: if it is damaged; then nothing changes
        """
        loaded = self.load(version)
        before = self.aliases().get(CHAMPION)
        if before != version:
            changes = {CHAMPION: version} | ({PREVIOUS: before} if before else {})
            self._change(changes, reason, actor)
        return loaded

    def rollback(self, actor: str = COMMAND_LINE) -> LoadedVersion:
        """Make the previous champion the champion again.

        :raises ConfigError: if there is none
        :raises CheckpointError: if it is damaged; then nothing changes
        """
        previous = self.aliases().get(PREVIOUS)
        if previous is None:
            what = "There is no previous version to go back to."
            raise ConfigError(Problem(what, self._config.name, "`rl models promote` names one."))
        return self.promote(previous, "rolled back", actor)

    def _change(self, changes: dict[str, str], reason: str, actor: str) -> None:
        """Set aliases in one transaction, and note what they were."""
        with explained(self._store.url), self._store.writing.begin() as connection:
            rows = connection.execute(sa.select(aliases.c.alias, aliases.c.version)).all()
            before = {row.alias: row.version for row in rows}
            for alias, version in changes.items():
                connection.execute(aliases.delete().where(aliases.c.alias == alias))
                connection.execute(aliases.insert(), {"alias": alias, "version": version})
                note = {"ts": now(), "alias": alias, "version": version, "reason": reason}
                connection.execute(alias_history.insert(), {**note, "before": before.get(alias)})
            note_change(connection, actor, reason, changes[CHAMPION])

    def remove(self, version: str, actor: str = COMMAND_LINE) -> None:
        """Remove a version's files; its row stays, since decisions name it.

        :raises RunFolderError: if an alias names it
        """
        used = [alias for alias, named in self.aliases().items() if named == version]
        if used:
            what = f"The version {version} is in use as {' and '.join(used)}."
            cure = "Promote another version first."
            raise RunFolderError(Problem(what, self._config.name, cure))
        with explained(self._store.url), self._store.writing.begin() as connection:
            connection.execute(
                model_versions.update()
                .where(model_versions.c.version == version)
                .values(removed=now())
            )
            note_change(connection, actor, "removed", version)
        folder = self._models / version
        with writing(folder):
            if folder.is_dir():
                shutil.rmtree(folder)

    def versions(self) -> list[VersionInfo]:
        """Return the registered versions, newest first."""
        by_version: dict[str, list[str]] = {}
        for alias, version in sorted(self.aliases().items()):
            by_version.setdefault(version, []).append(alias)
        query = (
            sa.select(model_versions.c.manifest)
            .where(model_versions.c.removed.is_(None))
            .order_by(model_versions.c.registered.desc(), model_versions.c.version)
        )
        with explained(self._store.url), self._store.reading.connect() as connection:
            texts = connection.execute(query).scalars().all()
        manifests = [Manifest.model_validate_json(text) for text in texts]
        return [_info(manifest, by_version.get(manifest.version, [])) for manifest in manifests]

    def history(self, limit: int = 50) -> list[AliasChange]:
        """Return the latest changes of aliases, newest first."""
        columns = [c for c in alias_history.c if c.name != "id"]
        query = sa.select(*columns).order_by(alias_history.c.id.desc()).limit(limit)
        with explained(self._store.url), self._store.reading.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return [AliasChange(**row) for row in rows]

    def audit(self, limit: int = 50) -> list[AuditEntry]:
        """Return the latest changes by administrators, newest first."""
        with explained(self._store.url), self._store.reading.connect() as connection:
            return latest_changes(connection, limit)


def _info(manifest: Manifest, names: list[str]) -> VersionInfo:
    return VersionInfo(
        version=manifest.version,
        policy_id=manifest.policy_id,
        algorithm=manifest.algorithm,
        registered=manifest.registered,
        run=manifest.run,
        aliases=names,
        metrics=manifest.metrics,
        provenance=manifest.provenance,
    )
