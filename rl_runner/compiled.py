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
NOWHERE = ""  # numba's word for: beside the source file


def compiled(function: Function, **options: Any) -> Function:
    """Compile a function when it is first called, by NumPy's rules for division.

    The machine code is kept in a folder named by a digest of all sources that the function may use
    (:func:`sources_of`): numba itself looks only at the function's own file, and would keep using
    code whose callee or constant has changed. Where nothing can be written (a read-only
    installation without a home) each process compiles again.

    :param options: more of ``numba.njit``'s
    """
    settings: Any = numba.config
    before, folder = settings.CACHE_DIR, _code_folder(sources_of(Path(inspect.getfile(function))))
    settings.CACHE_DIR = NOWHERE if folder is None else str(folder)
    compile_ = numba.njit(cache=folder is not None, error_model="numpy", **options)
    try:
        dispatcher: Function = compile_(function)
    finally:
        settings.CACHE_DIR = before
    return dispatcher


def inlined(function: Function) -> Function:
    """Compile a function into its callers; it must not allocate arrays.

    A call passes each array as seven numbers and changes its reference count with locked
    instructions, which costs more than most of these functions do themselves. They keep no array
    after they return, so reference counting is not needed (``_nrt=False``).
    """
    return compiled(function, forceinline=True, _nrt=False)


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
    folder = cache_folder(f"code/{package.name}-{source_digest(sorted(package.rglob('*.py')))}")
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
