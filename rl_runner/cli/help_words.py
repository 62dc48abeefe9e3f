"""What `--help` shows as the kind of a value: a word for people, not the name of a Python type."""

from typing import Any

from typer.core import TyperArgument, TyperCommand

WORDS = {
    "bool": "",  # a flag takes no value
    "datetime": "TIME",
    "float": "NUMBER",
    "float range": "NUMBER",
    "int": "N",
    "int range": "N",
    "path": "PATH",
    "str": "TEXT",
}


class PlainHelp:
    """Makes the option `--help` of a command or a group a plain flag in the help itself."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return the option, which takes no value."""
        option: Any = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            _set_type(option, _nothing)
        return option


class PlainCommand(PlainHelp, TyperCommand):
    """A command whose help names no Python types."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        for parameter in self.params:
            show = getattr(parameter, "display_type", None)  # older versions of typer have others
            if show is not None and parameter.metavar is None:
                _set_type(parameter, _in_words(show))
            elif isinstance(parameter, TyperArgument):
                _set_type(parameter, _nothing)  # its name stands in the column before


def _set_type(parameter: Any, show: Any) -> None:
    """Let a parameter show its kind so; typer asks each for its ``display_type_rich``."""
    parameter.display_type_rich = show


def _nothing(ctx: Any) -> None:  # noqa: ARG001 - typer passes it by name
    return None


def _in_words(show: Any) -> Any:
    def word(ctx: Any) -> str | None:
        text = show(ctx).strip("<>")
        return WORDS.get(text, text) or None

    return word
