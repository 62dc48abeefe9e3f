"""The user's own code: modules that a config names and that are not installed as packages.

A config names modules: in ``env.id`` (``my_env:Corridor-v0``), in ``env.wrappers``, and in
hyperparameters that take a class. They are looked up among the installed packages, on Python's
path, and last in the *code folders*: the folder of the config, and those that ``code.path`` lists.

A module outside the installed packages is *local*. Its source belongs to what an experiment is, so
:func:`source_hashes` hashes it, together with every local module that it imports. Data files that
an environment reads are not code: :mod:`rl_runner.envs.code` hashes those that a config names.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

from rl_runner.errors import CodeError, Problem, describe_exception, users_place_of
from rl_runner.sources import hash_source, imports_of, with_parents

SWITCH = "RL_RUNNER_LOCAL_CODE"  # an environment variable, which every process of a run inherits
FORBIDDEN = "0"
INSTALLED = {"site-packages", "dist-packages"}  # names of folders
OURS = "rl_runner"
USUAL = {OURS, "gymnasium", "stable_baselines3", "sb3_contrib", "torch"}  # in every run.json

# The packages on PyPI that have well-known modules of environments.
KNOWN_PACKAGES = {
    "Box2D": "gymnasium[box2d]",
    "cv2": "opencv-python-headless",
    "imageio": "gymnasium[mujoco]",
    "mujoco": "gymnasium[mujoco]",
    "ale_py": "ale-py",
    "gymnasium_robotics": "gymnasium-robotics",
    "highway_env": "highway-env",
    "minigrid": "minigrid",
    "miniworld": "miniworld",
    "mo_gymnasium": "mo-gymnasium",
    "panda_gym": "panda-gym",
    "pettingzoo": "pettingzoo",
    "pybullet_envs_gymnasium": "pybullet-envs-gymnasium",
    "procgen": "procgen",
    "shimmy": "shimmy",
    "vizdoom": "vizdoom",
    "sb3_contrib": "sb3-contrib",
}

_folders: list[str] = []  # the code folders that this process has on its path
_first_hash: dict[Path, str] = {}  # of each source when this process first hashed it
_loaded_before: set[str] = set()  # modules that were loaded when it got its first code folder


@contextlib.contextmanager
def keeping_working_directory() -> Iterator[None]:
    """Return to this process's working directory after the user's code may have changed it.

    Inside, nothing relative to the working directory can be relied on. The code itself may rely on
    the folder that it has chosen, so this surrounds whole activities, not single calls.
    """
    before = os.getcwd()  # noqa: PTH109 - a text, like what chdir takes
    try:
        yield
    finally:
        os.chdir(before)


def forbid_local_code() -> None:
    """Refuse local modules from now on, in this process and those it starts."""
    os.environ[SWITCH] = FORBIDDEN


def is_forbidden() -> bool:
    """Whether local modules are refused."""
    return os.environ.get(SWITCH) == FORBIDDEN


def add_code_folders(folders: Iterable[str | Path]) -> None:
    """Let modules be imported from these folders too, after all other places.

    Processes that this one starts inherit the path. Nothing is added while local code is forbidden.
    """
    for folder in map(str, folders):
        if not is_forbidden() and folder not in _folders:
            if not _folders:
                _loaded_before.update(sys.modules)
            _folders.append(folder)
            sys.path.append(folder)
            importlib.invalidate_caches()


def import_named(name: str, where: str = "env.id") -> ModuleType:
    """Import a module that a config names.

    :param where: the key that names it
    :raises CodeError: if it cannot be found or imported, or may not be
    """
    _check_allowed(name, where)
    try:
        return importlib.import_module(name)
    # The module is missing, or one that it imports.
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise _not_found(missing, where) from None
        what = f"The module `{name}` needs `{missing}`, which is not installed."
        cure = f"Install the package that has it, for the Python at {sys.executable}."
        raise CodeError(Problem(what, where, cure)) from None
    # It is a script, or it is wrong.
    except SystemExit as error:
        what = f"The module `{name}` ({file_of(name)}) ended while it was imported: it called "
        what += f"sys.exit({'' if error.code is None else repr(error.code)})."
        cure = "Put what only a script does below `if __name__ == '__main__':`."
        raise CodeError(Problem(what, where, cure)) from None
    except Exception as error:
        what = f"The module `{name}` ({file_of(name)}) could not be imported: "
        what += describe_exception(error)
        place = users_place_of(error)
        cure = f"Correct {place}." if place else f"`python -c 'import {name}'` shows where."
        raise CodeError(Problem(what, where, cure)) from error


def _check_allowed(name: str, where: str) -> None:
    """Refuse what is not a module of environments, and local code if it is forbidden."""
    parts = name.split(".")
    is_file = len(parts) > 1 and parts[-1] == "py"
    if is_file or not all(part.isidentifier() for part in parts):
        what = f"`{name}` is not the name of a module."
        cure = "Write a module without folder and `.py`, as in `import`: `my_env`."
        raise CodeError(Problem(what, where, cure))
    if parts[0] in sys.stdlib_module_names or (parts[-1] == "__main__" and len(parts) > 1):
        what = f"`{name}` belongs to Python itself, or is a script. A config cannot import it."
        cure = "Name the module of your environment, wrapper or class."
        raise CodeError(Problem(what, where, cure))
    if is_forbidden() and is_local(parts[0]):
        what = f"`{name}` ({file_of(parts[0])}) is not an installed package."
        cure = "Local code is forbidden (`--no-local-code`). Leave that out if you trust the code."
        raise CodeError(Problem(what, where, cure))


def _not_found(name: str, where: str) -> CodeError:
    """Say where a module was looked for; name a package only if it surely has that module."""
    what = f"There is no module `{name}`: it is neither installed nor on Python's path"
    what += f", and not in {', '.join(_folders[-3:])}." if _folders else "."
    top = name.partition(".")[0]
    if top in KNOWN_PACKAGES:
        cure = f"Install it: `pip install {KNOWN_PACKAGES[top]}`."
    elif is_forbidden():
        cure = "Only installed packages are searched, because of `--no-local-code`."
    else:
        cure = f"Put {top}.py beside the config, name its folder in `code.path`, or set PYTHONPATH."
    return CodeError(Problem(what, where, cure))


def file_of(name: str) -> str:
    """Return the file of a module, for a message."""
    spec = _spec_of(name)
    return (spec and spec.origin) or "no file"


# --- which modules are local ----------------------------------------------------------------------


def is_local(name: str) -> bool:
    """Whether a module is outside the installed packages, Python's own and rl_runner's."""
    if name.partition(".")[0] in {OURS, *sys.stdlib_module_names} - {"__main__"}:
        return False
    spec = _spec_of(name)
    if spec is None:
        return False
    places = [spec.origin] if spec.has_location else list(spec.submodule_search_locations or ())
    return any(place and not _is_installed(Path(place)) for place in places)


def folder_of(top: str) -> str | None:
    """Return the folder from which a top-level module is imported; None if it has no place."""
    spec = _spec_of(top)
    if spec is None or top == "__main__":
        return None
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]
    return os.path.abspath(os.path.dirname(places[0])) if places else None  # noqa: PTH100, PTH120


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the installed packages that have these modules, by package.

    Left out are the packages that every run names.
    """
    from importlib import metadata

    tops = {name.partition(".")[0] for name in names} - {*USUAL, *sys.stdlib_module_names}
    owners = metadata.packages_distributions() if tops else {}
    packages = {package for top in tops for package in owners.get(top, ())}
    return {package: metadata.version(package) for package in sorted(packages)}


def source_hashes(names: Iterable[str]) -> dict[str, str]:
    """Return the hash of each local module among ``names`` and of those that they import.

    Imports inside functions count, too; they are read from the source, and nothing is imported.

    :raises CodeError: if a source has changed since this process first hashed it
    """
    hashes: dict[str, str] = {}
    # Follow the imports from module to module.
    pending = [parent for name in names for parent in with_parents(name)]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        # Skip what is done, installed, or has no file, as a namespace package.
        if name in seen:
            continue
        seen.add(name)
        if not is_local(name):
            continue
        spec = _spec_of(name)
        if spec is None or spec.origin is None or not os.path.isfile(spec.origin):  # noqa: PTH113
            continue
        # Hash this module's source, and continue with what it imports.
        source = Path(spec.origin)
        _check_unambiguous(name, source)
        hashes[name] = _hash_once(source)
        if source.suffix == ".py":
            is_package = spec.submodule_search_locations is not None
            pending += imports_of(source, name, is_package=is_package)
    return dict(sorted(hashes.items()))


def is_found(name: str) -> bool:
    """Whether a module could be imported."""
    return _spec_of(name) is not None


def source_files(names: Iterable[str]) -> dict[str, Path]:
    """Return the source of each of these local modules, by its place below a folder of modules.

    The package ``a`` is at ``a/__init__.py``, its module ``a.b`` at ``a/b.py``.
    """
    files: dict[str, Path] = {}
    for name in names:
        spec = _spec_of(name)
        if spec is None or spec.origin is None or not os.path.isfile(spec.origin):  # noqa: PTH113
            continue
        source = Path(spec.origin)
        inside = "/".join(name.split("."))
        is_package = spec.submodule_search_locations is not None
        files[f"{inside}/{source.name}" if is_package else f"{inside}{source.suffix}"] = source
    return files


def unlisted_hashes(listed: Iterable[str]) -> dict[str, str]:
    """Return the hashes of loaded modules beside those ``listed`` that are not among them.

    :func:`source_hashes` reads imports from the source, so it misses a module whose name is
    computed. What was loaded before the code folders were known belongs to the calling script, and
    what lies in the code folders of other experiments to those.
    """
    listed = set(listed)
    files = [Path(file_of(name)) for name in listed]
    folders = [folder for folder in _folders if any(file.is_relative_to(folder) for file in files)]
    if not folders:  # as in most experiments; to look at all loaded modules takes a while
        return {}
    others = set(sys.modules) - _loaded_before - listed
    hashes: dict[str, str] = {}
    for name in sorted(others):
        file = getattr(sys.modules[name], "__file__", None)
        if file is None or not is_local(name):
            continue
        source = Path(os.path.abspath(file))  # noqa: PTH100 - links stay as they are
        if any(source.is_relative_to(folder) for folder in folders) and source.is_file():
            hashes[name] = hash_source(source.read_bytes())
    return hashes


def _spec_of(name: str) -> ModuleSpec | None:  # noqa: PLR0911 - one for each kind of module
    """Return where a module is or would be imported from, without importing anything."""
    if name == "__main__":
        file = getattr(sys.modules[name], "__file__", None)
        return None if file is None else importlib.util.spec_from_file_location(name, file)
    # A module that is loaded knows where it is from.
    loaded = sys.modules.get(name)
    if loaded is not None and getattr(loaded, "__spec__", None) is not None:
        return loaded.__spec__
    # Otherwise ask the finders; importing a parent package would run its code.
    parent, _, _ = name.rpartition(".")
    if not parent:
        try:
            return importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
    outer = _spec_of(parent)
    if outer is None or outer.submodule_search_locations is None:
        return None
    places = list(outer.submodule_search_locations)
    try:
        return PathFinder.find_spec(name, places)
    except KeyError:  # a folder without __init__.py, inside of one that has not been imported
        spec = ModuleSpec(name, None, is_package=True)
        folders = (os.path.join(place, name.rpartition(".")[2]) for place in places)  # noqa: PTH118
        spec.submodule_search_locations = [each for each in folders if os.path.isdir(each)]  # noqa: PTH112
        return spec


@cache
def _standard_library() -> tuple[Path, ...]:
    paths = sysconfig.get_paths()
    return tuple(Path(paths[key]).resolve() for key in ("stdlib", "platstdlib"))


def _is_installed(file: Path) -> bool:
    if file.name in {"built-in", "frozen"} or INSTALLED & set(file.parts):
        return True
    resolved = file.resolve()
    return any(resolved.is_relative_to(library) for library in _standard_library())


def _check_unambiguous(name: str, source: Path) -> None:
    """Refuse a module of which two code folders have one each: the first would serve both."""
    if "." in name or str(source.parent) not in _folders:
        return
    for folder in _folders:
        spec = PathFinder.find_spec(name, [folder])
        if spec is None or not spec.origin or source.samefile(spec.origin):
            continue
        if source.read_bytes() != Path(spec.origin).read_bytes():  # a copy is no other module
            what = f"Two folders have a module `{name}`, and this command has imported one of them."
            where = f"{source}\n{spec.origin}"
            cure = "Use one command for each, or give the modules different names."
            raise CodeError(Problem(what, where, cure))


def _hash_once(source: Path) -> str:
    """Return a source's hash; refuse one that changed after this process may have imported it."""
    digest = hash_source(source.read_bytes())
    if _first_hash.setdefault(source, digest) != digest:
        what = "The source has changed while this process was using it."
        cure = "Run the command again, or restart the notebook's kernel."
        raise CodeError(Problem(what, str(source), cure))
    return digest
