"""``rl algos``."""

from typing import Annotated, Any

import typer

from rl_runner.cli import options
from rl_runner.cli.display.console import show, show_json
from rl_runner.cli.display.tables import table


def algos(
    name: Annotated[
        str | None, typer.Argument(metavar="ALGO", help="Show one algorithm's hyperparameters.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """List the algorithms and the spaces they support, or one algorithm's hyperparameters.

    Example: rl algos ppo
    """
    if name is None:
        _list_algorithms(as_json)
    else:
        _list_hyperparameters(name, as_json)


def _list_algorithms(as_json: bool) -> None:
    from rl_runner.agents.registry import ALGORITHMS
    from rl_runner.agents.spaces import supported_spaces

    spaces = {name: supported_spaces(name) for name in ALGORITHMS}
    if as_json:
        show_json(
            [
                {
                    "name": row.name,
                    "class": row.import_path,
                    "reference": row.reference,
                    "observation_spaces": spaces[row.name][0],
                    "action_spaces": spaces[row.name][1],
                }
                for row in ALGORITHMS.values()
            ]
        )
        return
    rows = [
        (row.name, *(", ".join(kinds) for kinds in reversed(spaces[row.name])), row.reference)
        for row in ALGORITHMS.values()
    ]
    show(table(("algorithm", "actions", "observations", "reference"), rows))


def _list_hyperparameters(name: str, as_json: bool) -> None:
    from rl_runner.agents.hyperparameters.constructor import hyperparameters_of
    from rl_runner.agents.registry import find_algorithm

    algorithm = find_algorithm(name)
    known = hyperparameters_of(algorithm).values()
    if as_json:
        items: list[dict[str, Any]] = [
            {
                "name": item.name,
                "type": item.type_name,
                "default": item.default,
                "description": item.description,
            }
            for item in known
        ]
        show_json({"name": name, "class": algorithm.import_path, "hyperparameters": items})
        return
    rows = [
        (
            item.name,
            item.type_name,
            "null" if item.default is None else item.default,
            item.description,
        )
        for item in known
    ]
    title = f"{name}: {algorithm.import_path} ({algorithm.reference})"
    show(table(("hyperparameter", "type", ">default", "description"), rows, title))
