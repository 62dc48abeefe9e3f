"""The file and line of each config value, for error messages."""

from dataclasses import dataclass, field

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class SourceMap:
    """Positions of a config's values.

    ``places`` maps a key's path, e.g. ``("algo", "gamma")``, to ``"configs/a.yaml:12"``. Positions
    do not make two configs different, so comparisons ignore them.
    """

    origin: str = field(default="config", compare=False)
    places: dict[Path, str] = field(default_factory=dict, compare=False, repr=False)
    # Of the files themselves, absolute: the config's own first, then those that it extends
    folders: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def locate(self, path: Path) -> str:
        """Return ``file:line, key `a.b` `` for the longest known prefix of ``path``."""
        key = ".".join(str(part) for part in path)
        for length in range(len(path), 0, -1):
            if place := self.places.get(path[:length]):
                return f"{place}, key `{key}`"
        return f"{self.origin}, key `{key}`" if key else self.origin

    def overlaid(self, upper: "SourceMap") -> "SourceMap":
        """Return the positions after ``upper`` was laid over this file (``extends``, ``--set``)."""
        folders = tuple(dict.fromkeys([*upper.folders, *self.folders]))
        return SourceMap(upper.origin, {**self.places, **upper.places}, folders)
