"""``rl models``: the versions of a service."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rl_runner.cli import options
from rl_runner.cli.commands import CommandGroup
from rl_runner.cli.display.console import show, show_json, show_message
from rl_runner.cli.display.tables import table

if TYPE_CHECKING:
    from rl_runner.serving.models.registry import LoadedVersion, Registry

Service = Annotated[
    Path,
    typer.Option("--service", metavar="CONFIG", help="The YAML file of the service."),
]
Version = Annotated[
    str,
    typer.Argument(
        metavar="VERSION", help="A version, its first digits, or an alias.", show_default=False
    ),
]
DEFAULT_SERVICE = Path("services/recommender.yaml")


@contextmanager
def _registry(service: Path) -> Iterator["Registry"]:
    """Open the registry of a service, whose server may be running."""
    from rl_runner.serving.config import load_serve_config
    from rl_runner.serving.models.registry import Registry
    from rl_runner.serving.store.setup import open_store

    config = load_serve_config(service)
    with closing(open_store(config)) as store:
        yield Registry(config, store)


def register(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN",
            help="A finished run.",
            show_default=False,
            autocompletion=options.complete_run,
        ),
    ],
    service: Service = DEFAULT_SERVICE,
) -> None:
    """Copy a run into an immutable version.

    Example: rl models register runs/recommender-…/seed-0 --service services/recommender.yaml
    """
    with _registry(service) as registry:
        artifact = registry.register(run)
    show(f"Registered {artifact.version} ({artifact.manifest.policy_id}).")


def list_versions(service: Service = DEFAULT_SERVICE, as_json: options.AsJson = False) -> None:
    """List the versions, newest first.

    Example: rl models list --service services/recommender.yaml
    """
    with _registry(service) as registry:
        versions = registry.versions()
    if as_json:
        show_json([info.model_dump() for info in versions])
        return
    columns = ["version", "aliases", "policy", "algorithm", "registered"]
    rows = [
        (v.version, ", ".join(v.aliases), v.policy_id, v.algorithm, v.registered) for v in versions
    ]
    show(table(columns, rows))


def show_version(version: Version, service: Service = DEFAULT_SERVICE) -> None:
    """Show a version and the history of the aliases, as JSON.

    Example: rl models show champion --service services/recommender.yaml
    """
    with _registry(service) as registry:
        name = registry.find(version)
        info = next(info for info in registry.versions() if info.version == name)
        changes = [change.model_dump() for change in registry.history() if change.version == name]
    show_json({**info.model_dump(), "history": changes})


def promote(version: Version, service: Service = DEFAULT_SERVICE) -> None:
    """Verify a version and make it the champion; a running server follows within a second or two.

    Example: rl models promote 3f9a1c2e --service services/recommender.yaml
    """
    with _registry(service) as registry:
        _show_champion(registry.promote(registry.find(version)))


def _show_champion(loaded: "LoadedVersion") -> None:
    show(f"The champion is {loaded.artifact.version}.")
    if loaded.model.note:
        show_message(loaded.model.note)


def rollback(service: Service = DEFAULT_SERVICE) -> None:
    """Make the previous champion the champion again.

    Example: rl models rollback --service services/recommender.yaml
    """
    with _registry(service) as registry:
        _show_champion(registry.rollback())


def remove(version: Version, service: Service = DEFAULT_SERVICE) -> None:
    """Remove a version; refused while an alias names it.

    Example: rl models remove 3f9a1c2e --service services/recommender.yaml
    """
    with _registry(service) as registry:
        name = registry.find(version)
        registry.remove(name)
    show(f"Removed {name}.")


MODELS = CommandGroup(
    "Register, list, promote and remove the versions of a service.\n\n"
    "Example: rl models list --service services/recommender.yaml",
    {
        "register": register,
        "list": list_versions,
        "show": show_version,
        "promote": promote,
        "rollback": rollback,
        "remove": remove,
    },
)
