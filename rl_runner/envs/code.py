"""The local modules behind an experiment's environment, wrappers and classes, and their hashes."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym

from rl_runner.config.environment import EnvConfig
from rl_runner.config.schema import CodeConfig, ExperimentConfig
from rl_runner.envs.specs import find_spec
from rl_runner.errors import CodeError, Problem
from rl_runner.layout import CODE
from rl_runner.local_code import (
    add_code_folders,
    file_of,
    folder_of,
    is_found,
    is_local,
    package_versions,
    source_hashes,
)
from rl_runner.sources import HASH_LENGTH


def use_code(config: ExperimentConfig) -> None:
    """Let this process, and those it starts, find the modules that a config names.

    They may be beside the config, or in a folder that ``code.path`` lists.
    """
    beside = config.source.folders
    listed = () if config.code is None else config.code.path
    base = beside[0] if beside else os.path.abspath("")  # noqa: PTH100 - links stay as they are
    add_code_folders([*(os.path.normpath(os.path.join(base, each)) for each in listed), *beside])  # noqa: PTH118
    # An experiment keeps copies of its modules, in case that they are lost.
    if _lost_modules(config):
        add_code_folders(place for folder in beside if (place := Path(folder) / CODE).is_dir())


def _lost_modules(config: ExperimentConfig) -> list[str]:
    """Return the modules of a resolved config that can no longer be imported."""
    named = {} if config.code is None else config.code.modules
    return [name for name in named if "." not in name and not is_found(name)]


def with_code(config: ExperimentConfig) -> ExperimentConfig:
    """Return a config whose ``code`` section says which local modules it runs, and their sources.

    Without any, there is no such section.

    :raises CodeError: if the section names other sources, or a module cannot be imported
    """
    check_code(config)
    modules = modules_of(config)
    code = None
    if modules:
        tops = dict.fromkeys(name.partition(".")[0] for name in modules)
        folders = dict.fromkeys(folder for top in tops if (folder := folder_of(top)))
        code = CodeConfig(path=tuple(folders), modules=modules)
    return config.model_copy(update={"code": code}).with_source(config.source)


def check_code(config: ExperimentConfig) -> None:
    """Refuse to train on other sources than those that a resolved config names.

    :raises CodeError: naming the modules that have changed
    """
    if changes := code_changes(config):
        what = f"The code is not what this experiment was made with: {'; '.join(changes)}."
        cure = (
            "Restore it, or train its own experiment on the changed code: `rl train` with the "
            "config that you wrote, or without the `code.modules` of this one."
        )
        raise CodeError(Problem(what, config.source.locate(("code", "modules")), cure))


def code_changes(config: ExperimentConfig) -> list[str]:
    """Return a phrase for each local module whose source is not what a resolved config names."""
    use_code(config)
    if config.code is None or not config.code.modules:
        return []
    return describe_changes(config.code.modules, modules_of(config))


def code_note(config: ExperimentConfig) -> str:
    """Return a sentence if local code has changed since a config was resolved; else no text."""
    changes = code_changes(config)
    if not changes:
        return ""
    kept = [place for folder in config.source.folders if (place := Path(folder) / CODE).is_dir()]
    copies = f" The code that it was trained with is in {kept[0]}." if kept else ""
    return f"The code has changed since this was trained: {'; '.join(changes)}.{copies}"


def describe_changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return a phrase for each module that two sets of hashes do not agree on."""
    phrases = []
    for name in sorted({*before, *now}):
        if name not in now:
            phrases.append(f"`{name}` is no longer used")
        elif name not in before:
            phrases.append(f"`{name}` is new")
        elif before[name] != now[name]:
            phrases.append(f"`{name}` has changed")
    return phrases


def modules_of(config: ExperimentConfig) -> dict[str, str]:
    """Return the local modules that an experiment runs, with the hashes of their sources.

    :raises CodeError: if one cannot be imported
    """
    return source_hashes(_modules_named_by(config))


def modules_of_env(config: EnvConfig) -> dict[str, str]:
    """Return the same for an environment with its wrappers alone."""
    return source_hashes(_modules_of_env(config))


def data_hashes(config: ExperimentConfig) -> dict[str, str]:
    """Return the hash of each file that the arguments of the environment and its wrappers name.

    An environment may look for it in the working directory, beside the config, or beside its code.
    """
    code = () if config.code is None else config.code.path
    folders = [Path(), *map(Path, (*config.source.folders, *code))]
    env = config.env
    hashes: dict[str, str] = {}
    for text in _texts_in(_arguments_of(env)):
        for folder in folders:
            try:
                if not (folder / text).is_file():  # a pipe would be waited for
                    continue
                with (folder / text).open("rb") as file:
                    hashes[text] = hashlib.file_digest(file, "sha256").hexdigest()[:HASH_LENGTH]
                break
            except (OSError, ValueError):  # not a possible name, or not readable
                continue
    return hashes


def _arguments_of(env: EnvConfig) -> list[dict[str, Any]]:
    """Return the arguments of an environment and its wrappers."""
    return [env.kwargs, *(wrapper.kwargs for wrapper in (*env.wrappers, *env.vec_wrappers))]


def named_packages(config: ExperimentConfig) -> dict[str, str]:
    """Return the versions of the installed packages that a config names modules of."""
    return package_versions(name for name in _modules_named_by(config) if not is_local(name))


def describe_code(config: ExperimentConfig) -> list[str]:
    """Return a phrase for each module or package that a config names besides the usual ones."""
    local = [f"{name} ({file_of(name)})" for name in modules_of(config)]
    return local + [f"{package} {version}" for package, version in named_packages(config).items()]


def _modules_named_by(config: ExperimentConfig) -> list[str]:
    callbacks = [callback.model_dump() for callback in config.callbacks]
    named = _named_in([config.algo.hyperparameters, callbacks])
    return [*_modules_of_env(config.env), *named]


def _modules_of_env(config: EnvConfig) -> list[str]:
    """Return the modules that an environment's id, registry entry, wrappers and arguments name."""
    spec = find_spec(config)
    wrappers = [wrapper.model_dump() for wrapper in (*config.wrappers, *config.vec_wrappers)]
    entry_points = [spec.entry_point, spec.vector_entry_point]
    entry_points += [wrapper.entry_point for wrapper in spec.additional_wrappers]
    return [
        *_named_in([config.id, config.kwargs, wrappers, spec.kwargs]),
        *(name for each in entry_points for name in _module_behind(each)),
    ]


def _module_behind(entry_point: object) -> Iterator[str]:
    if isinstance(entry_point, str):
        yield entry_point.partition(":")[0]
    elif callable(entry_point):
        yield from _modules_of_callable(entry_point)


def _modules_of_callable(entry_point: Any) -> Iterator[str]:
    """Yield the module of a class or function; of a class also those of the classes it extends."""
    inner = getattr(entry_point, "func", entry_point)  # of a functools.partial
    for each in getattr(inner, "__mro__", (inner,)):
        if each not in {object, gym.Env} and isinstance(getattr(each, "__module__", None), str):
            yield each.__module__


def _texts_in(value: object) -> Iterator[str]:
    """Yield each text of a plain value."""
    if isinstance(value, dict):
        yield from _texts_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts_in(each)
    elif isinstance(value, str):
        yield value


def _named_in(value: object) -> Iterator[str]:
    """Yield what may be the module in each text of a plain value: ``a.b`` in ``a.b.C``."""
    for text in _texts_in(value):
        before, colon, _ = text.partition(":")
        module = before if colon else before.rpartition(".")[0]
        if module and all(part.isidentifier() for part in module.split(".")):
            yield module
