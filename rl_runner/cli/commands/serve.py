"""``rl serve``: the server, and its API keys."""

import json
import logging
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from rl_runner.cli import options
from rl_runner.cli.commands import CommandGroup
from rl_runner.cli.display.console import (
    result_stream,
    show,
    show_json,
    show_message,
    show_text,
)
from rl_runner.cli.display.tables import table
from rl_runner.errors import ConfigError, Problem

if TYPE_CHECKING:
    from rl_runner.serving.server import Started

ServiceConfig = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="The YAML file of a service.", show_default=False)
]


class RunByDefault(TyperGroup):
    """A group whose first argument may also be the config: `rl serve CONFIG`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `run` unless the first argument is `--help` or one of the commands."""
        if args and args[0] != "--help" and args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


def serve(
    config: ServiceConfig,
    host: Annotated[
        str | None, typer.Option("--host", help="Instead of the config's; 0.0.0.0 is every one.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=0, max=65535, help="Instead of the config's; 0: a free one."),
    ] = None,
) -> None:
    """Serve decisions over HTTP until Ctrl-C or SIGTERM.

    Example: rl serve services/recommender.yaml
    """
    from rl_runner.serving.config import load_serve_config
    from rl_runner.serving.server import run_server

    loaded = load_serve_config(config)
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # JSON lines on standard error
    run_server(loaded.model_copy(update=given), _announce)


def _announce(started: "Started") -> None:
    """Say where the server is, and print two commands that try it."""
    service, snapshot = started.service, started.service.snapshot
    show(
        f"Serving {service.config.name} at {started.url} with version {snapshot.version} "
        f"({snapshot.policy_id}); Ctrl-C stops.",
        f"Operations page: {started.url}/  API: {started.url}/docs",
    )
    if service.config.domain and service.registry.loader.epsilon == 0:
        show_message(
            "`exploration.epsilon` is 0: every decision has probability 1, so its log will say "
            "nothing about other actions, and no policy can be judged by it."
        )
    if snapshot.model.note:
        show_message(snapshot.model.note)
    key = started.new_key or "$RL_KEY"
    if started.new_key is not None:
        show(f"A first API key for all scopes, which is not shown again: {key}")
    header = f'-H "X-API-Key: {key}" -H "Content-Type: application/json"'
    request = {"user_id": "u1", "session_id": "s1", "event_id": "e1", "context": service.example()}
    outcome = {"outcomes": [service.example_outcome()]}
    body, report = (shlex.quote(json.dumps(each)) for each in (request, outcome))
    # As they are, so that they can be copied: a terminal's width must not break them.
    show_text(f"curl {started.url}/v1/decisions {header} -d {body}\n")
    show_text(f"curl {started.url}/v1/decisions/e1/outcomes {header} -d {report}\n")
    result_stream().flush()


def keys(
    config: ServiceConfig,
    add: Annotated[
        str | None, typer.Option("--add", metavar="NAME", help="Make a key, and show it once.")
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="What it opens: decide, report, admin. Repeatable."),
    ] = None,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="NAME", help="Remove a key.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the API keys of a service, make one, or remove one.

    Example: rl serve keys services/recommender.yaml --add shop --scope decide --scope report
    """
    from rl_runner.serving.config import load_serve_config
    from rl_runner.serving.keys import SCOPES, add_key, load_keys, remove_key

    file = load_serve_config(config).keys_file
    if add is not None and remove is not None:
        raise ConfigError(Problem("Give either `--add` or `--remove`.", "rl serve keys"))
    scopes = [known for known in SCOPES if scope is None or known in scope]
    if unknown := set(scope or ()) - set(SCOPES):
        what = f"There is no scope `{min(unknown)}`."
        raise ConfigError(Problem(what, "--scope", f"Scopes: {', '.join(SCOPES)}."))
    if add is not None:
        token = add_key(file, add, scopes)
        show_json({"name": add, "key": token}) if as_json else show(token)
        return
    if remove is not None:
        remove_key(file, remove)
    listed = load_keys(file).keys
    if as_json:
        show_json([{"name": k.name, "scopes": k.scopes, "created": k.created} for k in listed])
        return
    rows = [(key.name, ", ".join(key.scopes), key.created) for key in listed]
    show(table(["key", "scopes", "created"], rows))


SERVE = CommandGroup(
    "Serve a trained policy over HTTP: decisions, outcomes, versions.\n\n"
    "Example: rl serve services/recommender.yaml",
    {"run": serve, "keys": keys},
    RunByDefault,
)
