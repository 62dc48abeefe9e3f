"""What is wrong with an environment, as an exception without a place."""

from typing import Any

FINITE = "Every reward and observation must be a finite number: clip it, or end the episode before."


class BreachError(ValueError):
    """What an environment returned is not what its spaces or Gymnasium's API promise.

    :param what: a sentence without its subject, which is the environment: ``returned …``
    """

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure


def described(value: Any) -> str:
    """Name what was returned: None, a type, or a type and its shape."""
    if value is None:
        return "None"
    kind = type(value)
    name = (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
    if isinstance(value, tuple | list | dict):
        return f"a {name} of {len(value)} parts"
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"a {name} of shape {tuple(shape)}"
    if isinstance(value, str | int | float):
        return f"{value!r:.60} ({name})"
    return f"a {name}"
