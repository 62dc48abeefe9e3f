"""From a YAML file to an :class:`ExperimentConfig`: read, extend, override, validate."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import yaml

from rl_runner.config.environment import EnvConfig
from rl_runner.config.schema import (
    CheckpointConfig,
    EvalConfig,
    ExperimentConfig,
    TrainConfig,
    default_name,
)
from rl_runner.config.section import validate_section
from rl_runner.config.yaml_text import Path, SourceMap, parse_yaml
from rl_runner.errors import ConfigError, Problem, did_you_mean
from rl_runner.layout import CONFIG

if TYPE_CHECKING:
    from pydantic import BaseModel

MAX_BYTES = 1_000_000

Raw = dict[str, Any]


def load_config(path: str | FilePath, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Load an experiment's description.

    :param path: a YAML file, or an experiment's folder (its ``config.yaml`` is read)
    :param overrides: ``"algo.gamma=0.99"`` and the like, applied to the file in this order. Where
        one changes ``train.total_timesteps``, ``eval.every`` keeps its share of the budget
    :raises ConfigError: with file, line, key and what to do; hyperparameters are checked later, by
        :func:`rl_runner.training.resolve.resolve`
    """
    path = _config_in(FilePath(path))
    written, source = _read_with_bases(path, ())
    raw = written
    for override in overrides:
        raw, source = _override(raw, source, override)
    keys = {override.partition("=")[0].strip() for override in overrides}
    if "train.total_timesteps" in keys and not keys & {"eval", "eval.every"}:
        raw = _with_same_share(raw, written)
    return config_from_dict(raw, source)


def config_from_dict(raw: Raw, source: SourceMap | None = None) -> ExperimentConfig:
    """Validate plain values, e.g. from a notebook, as an experiment's description.

    :raises ConfigError: naming every invalid key and what to do about it
    """
    source = source or SourceMap()
    if "name" not in raw:
        match raw:
            case {"env": {"id": str(env_id)}, "algo": {"name": str(algo)}}:
                raw = {"name": default_name(env_id, algo), **raw}
            case {"env": {"entry_point": str(entry_point)}, "algo": {"name": str(algo)}}:
                raw = {"name": default_name(entry_point, algo), **raw}
            case _:  # refused below for the keys that are missing, not for the name
                raw = {"name": "unnamed", **raw}
    return validate_section(ExperimentConfig, raw, source).with_source(source)


def dump_config(config: ExperimentConfig) -> str:
    """Return the YAML text of a config; loading it gives an equal config."""
    return yaml.dump(config.to_dict(), Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes scalars that the YAML 1.2 reader and PyYAML both read back unchanged."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True

    def represent_text(self, text: str) -> yaml.Node:
        """Quote any text that the YAML 1.2 reader would not read as text."""
        style = "'" if text == "<<" else None if text.isprintable() else '"'
        if style is None and text.strip() == text:
            try:
                style = None if parse_yaml(text, "")[0] == text else "'"
            except ConfigError:
                style = "'"
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    def represent_number(self, number: float) -> yaml.Node:
        """Write 1e-05 as 1.0e-05, which YAML 1.1 readers also read as a number."""
        text = repr(number)
        if "e" in text and "." not in text:
            text = text.replace("e", ".0e", 1)
        special = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}
        return self.represent_scalar("tag:yaml.org,2002:float", special.get(text, text))


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(float, _Dumper.represent_number)


def _read_with_bases(path: FilePath, seen: tuple[str, ...]) -> tuple[Raw, SourceMap]:
    """Read a file, merged over the file that it ``extends``."""
    if "\0" in str(path):
        raise ConfigError(
            Problem("The file cannot be read: its name contains a NUL character.", repr(str(path)))
        )
    place = os.path.realpath(path)
    if place in seen:
        raise ConfigError(Problem("`extends` refers back to this file.", str(path)))
    # The file itself.
    raw, source = _read_file(path)
    base = raw.pop("extends", None)
    if base is None:
        return raw, source
    if not isinstance(base, str):
        cure = "Give one file name, relative to this file."
        raise ConfigError(
            Problem("`extends` is not a file name.", source.locate(("extends",)), cure)
        )
    # The file that it extends, which may extend another one.
    base_path = _config_in(path.parent / base)
    if not os.path.exists(base_path):  # noqa: PTH110 - False, and no exception, for any text
        guess = did_you_mean(base_path.name, _names_beside(base_path))
        cure = f"The path is relative to the folder of this file. {guess}".strip()
        what = f"`extends: {base}`: there is no such file."
        raise ConfigError(Problem(what, source.locate(("extends",)), cure))
    base_raw, base_source = _read_with_bases(base_path, (*seen, place))
    return _lay_over(base_raw, raw), base_source.overlaid(source)


def _config_in(path: FilePath) -> FilePath:
    """Return the config.yaml in an experiment's folder; any other path unchanged."""
    inside = path / CONFIG
    return inside if os.path.isfile(inside) else path  # noqa: PTH113 - no exception for long names


def _read_file(path: FilePath) -> tuple[Raw, SourceMap]:
    try:
        if path.is_dir():
            cure = "Name a YAML file, or an experiment folder that contains a config.yaml."
            raise ConfigError(Problem("This is a folder without a config.yaml.", str(path), cure))
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:  # a NUL in the name, a cycle of links
        reason = getattr(error, "strerror", None) or str(error)
        cure = did_you_mean(path.name, _names_beside(path))
        raise ConfigError(Problem(f"The file cannot be read: {reason}.", str(path), cure)) from None
    # As UTF-8 text of a reasonable size.
    if len(content) > MAX_BYTES:
        raise ConfigError(
            Problem("The file is larger than a megabyte, so it is not a config.", str(path))
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        problem = Problem("The file is not UTF-8 text.", str(path), "Name a YAML file.")
        raise ConfigError(problem) from None
    # As YAML that holds a mapping.
    raw, source = parse_yaml(text, str(path))
    source = replace(source, folders=(os.path.abspath(path.parent),))  # noqa: PTH100 - links stay
    if raw is None:
        cure = "Write a config; `rl init ppo CartPole-v1` prints one to start from."
        raise ConfigError(Problem("The file is empty.", str(path), cure))
    if not isinstance(raw, dict):
        cure = "A config is a mapping with the keys `env`, `algo` and `train`."
        raise ConfigError(Problem("The file does not contain a mapping.", str(path), cure))
    return raw, source


def _names_beside(path: FilePath) -> list[str]:
    try:
        return [entry.name for entry in path.parent.iterdir()]
    except (OSError, ValueError):
        return []


def _lay_over(base: Raw, upper: Raw) -> Raw:
    """Merge mappings key by key; a different algorithm replaces the whole ``algo`` section."""
    merged = dict(base)
    for key, value in upper.items():
        below = base.get(key)
        merged[key] = value
        if isinstance(value, dict) and isinstance(below, dict):
            another_algorithm = key == "algo" and _names_another(value, below)
            merged[key] = value if another_algorithm else _lay_over(below, value)
    return merged


def _names_another(algo: Raw, below: Raw) -> bool:
    return bool(algo.get("name", below.get("name")) != below.get("name"))


def _override(raw: Raw, source: SourceMap, override: str) -> tuple[Raw, SourceMap]:
    """Apply one ``a.b=value`` to the config; the value is read as YAML."""
    origin = f"--set {override}"
    key, equals, text = override.partition("=")
    path: Path = tuple(key.strip().split("."))
    if not equals or not all(path):
        cure = "Write `--set algo.gamma=0.99`."
        raise ConfigError(Problem("The override is not of the form key=value.", origin, cure))
    if len(path) == 1 and path[0] not in {*ExperimentConfig.model_fields, "extends"}:
        raise ConfigError(_misplaced(str(path[0]), text, origin))
    value, _ = parse_yaml(text, origin, line_numbers=False)
    changed = _replaced(raw, path, value, origin)
    places = {at: place for at, place in source.places.items() if at[: len(path)] != path}
    return changed, replace(source, places={**places, path: origin})


def _misplaced(key: str, text: str, origin: str) -> Problem:
    """Describe an override without a section, and name the section that has such a key."""
    sections: dict[str, type[BaseModel]] = {
        "env": EnvConfig,
        "train": TrainConfig,
        "eval": EvalConfig,
        "checkpoint": CheckpointConfig,
    }
    homes = [name for name, section in sections.items() if key in section.model_fields]
    guess = did_you_mean(key, ExperimentConfig.model_fields)
    if homes:
        guess = " or ".join(f"`--set {home}.{key}={text}`" for home in homes)
        guess = f"Did you mean {guess}?"
    elif not guess:
        guess = f"A hyperparameter belongs to `algo`: `--set algo.{key}={text}`."
    return Problem(f"Unknown key `{key}`.", origin, guess)


def _with_same_share(raw: Raw, written: Raw) -> Raw:
    """Let ``eval.every`` keep its share of a budget that an override has changed.

    Otherwise a config with a tenth of its budget would be evaluated once, at its end.

    :param raw: with the new budget
    :param written: with the old one
    """
    match raw, written:
        case (
            {"train": {"total_timesteps": int(new)}, "eval": {"every": int(every)}},
            {"train": {"total_timesteps": int(old)}},
        ) if new > 0 and old > 0:
            share = max(1, round(every * new / old))
            return {**raw, "eval": {**raw["eval"], "every": share}}
    return raw


def _replaced(node: object, path: Path, value: object, origin: str) -> Raw:
    if node is not None and not isinstance(node, dict):
        problem = Problem(
            f"`{path[0]}` cannot be set, because the value around it is not a mapping.", origin
        )
        raise ConfigError(problem)
    node = node or {}
    if len(path) == 1:
        return {**node, path[0]: value}
    return {**node, path[0]: _replaced(node.get(path[0]), path[1:], value, origin)}
