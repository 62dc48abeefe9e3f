"""Functions compiled by numba at their first call, and kept on disk between processes.

Only modules that hold compiled code import this one: it loads numba.
"""

import contextlib
import functools
import hashlib
import inspect
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

KEPT_DAYS = 30  # for code of other versions: they may be installed elsewhere


def compiled(function: Function, **options: Any) -> Function:
    """Compile a function when it is first called, by NumPy's rules for division.

    The machine code is kept where :class:`CodeLocator` says. Where nothing can be written (a
    read-only installation without a home) each process compiles again.

    :param options: more of ``numba.njit``'s
    """
    settings: Any = numba.config
    before = settings.CACHE_LOCATOR_CLASSES
    settings.CACHE_LOCATOR_CLASSES = f"{__name__}.{CodeLocator.__name__}"
    is_kept = _code_folder(sources_of(Path(inspect.getfile(function)))) is not None
    try:
        dispatcher: Function = numba.njit(cache=is_kept, error_model="numpy", **options)(function)
    finally:
        settings.CACHE_LOCATOR_CLASSES = before
    return dispatcher


def inlined(function: Function) -> Function:
    """Compile a function into its callers; it must not allocate arrays.

    A call passes each array as seven numbers and changes its reference count with locked
    instructions, which costs more than most of these functions do themselves. They keep no array
    after they return, so reference counting is not needed (``_nrt=False``).
    """
    return compiled(function, forceinline=True, _nrt=False)


class CodeLocator:
    """Tells numba where the machine code of a function is kept, by the methods that numba calls.

    The folder is named by a digest of all sources that the function may use (:func:`sources_of`).
    Numba itself looks only at the function's own file, and would keep using code whose callee or
    constant has changed. It also names folders by their paths, so that each clone of rl_runner
    would compile everything again; here, clones with the same sources share the code.
    """

    def __init__(self, function: Callable[..., Any], file: Path, folder: Path) -> None:
        self._py_file = str(file)  # numba's name for it; a warning of numba shows it
        self._line = function.__code__.co_firstlineno
        self._folder = folder / file.parent.relative_to(sources_of(file))

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "CodeLocator | None":
        """Return the locator of a function in this file; None if no code can be kept."""
        path = Path(file)
        folder = _code_folder(sources_of(path))
        if folder is None:
            return None
        locator = cls(function, path, folder)
        locator.ensure_cache_path()
        return locator

    def ensure_cache_path(self) -> None:
        """Create the folder of the compiled code, which numba asks for before it writes."""
        self._folder.mkdir(parents=True, exist_ok=True)

    def get_cache_path(self) -> str:
        """Return the folder; numba names the files in it by module and function."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """Return what must be the same for code to be used: nothing more than the folder."""
        return ""

    def get_disambiguator(self) -> str:
        """Return what tells functions of one name in one file apart."""
        return str(self._line)


def cache_folder(name: str) -> Path | None:
    """Return a folder that is kept between processes; None if none can be written.

    ``XDG_CACHE_HOME`` moves it, as for other programs; elsewhere it is ``~/.cache``.
    """
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = root / "rl_runner" / name
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):
        return None
    return folder


def sources_of(file: Path) -> Path:
    """Return the folder that holds every source compiled into the code of ``file``.

    Compiled code calls functions of its own package and of that package's siblings, as
    ``envs.tutor.planning`` calls ``envs.tutor.simulator``. The folder is therefore the package
    inside a layer (``rl_runner/envs/tutor``); for files outside rl_runner, their own folder.
    """
    root = Path(__file__).parent
    if not file.is_relative_to(root):
        return file.parent
    return root.joinpath(*file.parent.relative_to(root).parts[:2])


def source_digest(files: Iterable[Path]) -> str:
    """Return a short digest of these sources, to name what is compiled from them."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def _code_folder(package: Path) -> Path | None:
    sources = [Path(__file__), *sorted(package.rglob("*.py"))]  # this file says how to compile
    folder = cache_folder(f"code/{package.name}-{source_digest(sources)}")
    if folder is not None:
        os.utime(folder)  # its last use, which `delete_unused` reads
        delete_unused(folder)
    return folder


def delete_unused(folder: Path) -> None:
    """Delete the code of the package's other versions that was not used for :data:`KEPT_DAYS`.

    Several processes may do so at once.

    :param folder: of the present version; the others are beside it
    """
    package, _, _ = folder.name.rpartition("-")
    long_ago = time.time() - KEPT_DAYS * 24 * 3600
    for other in folder.parent.glob(f"{package}-*"):
        with contextlib.suppress(OSError):  # another process was here first
            if other != folder and other.stat().st_mtime < long_ago:
                shutil.rmtree(other, ignore_errors=True)
