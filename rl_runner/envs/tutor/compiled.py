"""Compilation of the tutor's inner functions, kept on disk between processes."""

import functools
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

# What compiled functions of other files call or take constants from.
SHARED_SOURCES = (
    "branches.py",
    "compiled.py",
    "draws.py",
    "dynamic_programme.py",
    "kernel.py",
    "knowledge_filter.py",
    "model.py",
    "observation.py",
    "options.py",
    "state.py",
)

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function, **options: Any) -> Function:
    """Compile a function with numba at its first call, and keep the machine code.

    The folder is named by a digest of the sources that others build on: numba itself looks only at
    the file of the compiled function, and would go on using code whose callee or constant has
    changed. Where nothing can be written (a read-only installation without a home) each process
    compiles anew.
    """
    settings: Any = numba.config
    before, folder = settings.CACHE_DIR, _code_folder()
    settings.CACHE_DIR = "" if folder is None else str(folder)
    compile_ = numba.njit(cache=folder is not None, error_model="numpy", **options)
    try:
        dispatcher: Function = compile_(function)
    finally:
        settings.CACHE_DIR = before
    return dispatcher


def inlined(function: Function) -> Function:
    """Compile a function as a part of those that call it; it may not allocate arrays.

    An array is handed to a compiled function as seven numbers, and counted with locked instructions
    on the way in and out, which together cost more than most of these functions do. They hold no
    array beyond their call, so nothing need be counted (``_nrt``).
    """
    return compiled(function, forceinline=True, _nrt=False)


def cache_folder() -> Path | None:
    """Return a folder that is kept between processes; None if none can be written.

    ``XDG_CACHE_HOME`` moves it, as for other programs; elsewhere it is ``~/.cache``.
    """
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = root / "rl_runner" / "tutor"
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):
        return None
    return folder


@functools.cache
def source_digest(names: tuple[str, ...]) -> str:
    """Return a short digest of these sources of the tutor: what is made from them carries it."""
    folder, digest = Path(__file__).parent, hashlib.sha256()
    for name in names:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:12]


@functools.cache
def _code_folder() -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / f"code-{source_digest(SHARED_SOURCES)}"
