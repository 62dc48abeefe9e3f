"""Check what results and speed depend on in this machine and installation."""

import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rl_runner.runs.provenance import processor_name, usable_cores

DISTRIBUTION = "rl-runner"
MIN_FREE_SPACE = 1e9  # bytes
KERNEL_VARIABLE = "OPENBLAS_CORETYPE"


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    what: str
    found: str
    cure: str = ""  # empty if nothing is wrong


def examine_installation(runs_dir: Path) -> Iterator[Finding]:
    """Yield the result of each check; nothing is left on disk.

    :param runs_dir: where results would be written; it need not exist
    """
    examinations: list[Callable[[], Finding]] = [
        _packages,
        _processor,
        _torch,
        _linear_algebra,
        _compiled_code,
        lambda: _space_for_results(runs_dir),
        _video,
    ]
    for examine in examinations:
        yield examine()


def _packages() -> Finding:
    """Compare the installed versions with the ranges that rl_runner requires."""
    from packaging.requirements import Requirement

    # What the package itself declares.
    try:
        listed = map(Requirement, importlib.metadata.requires(DISTRIBUTION) or ())
    except importlib.metadata.PackageNotFoundError:  # `python -m rl_runner` in a checkout
        found = f"{DISTRIBUTION} itself is not installed, so its requirements are unknown"
        return Finding(
            "packages", found, "Run `pip install -e .` in the folder of its pyproject.toml."
        )
    # What is installed instead.
    needed = [r for r in listed if r.marker is None or r.marker.evaluate({"extra": ""})]
    wrong = [
        f"{installed} ({r} is required)"
        for r in needed
        if (installed := _unfit(r.name, r.specifier))
    ]
    cure = "Run `pip install -r requirements.lock`."
    if wrong:
        return Finding("packages", ", ".join(wrong), cure)
    return Finding("packages", f"{len(needed)}, all in the required version ranges")


def _unfit(name: str, versions: object) -> str | None:
    """Return the installed version of a package, unless it is one of ``versions``."""
    from packaging.specifiers import SpecifierSet

    try:
        installed = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"{name} is missing"
    fits = SpecifierSet(str(versions)).contains(installed, prereleases=True)
    return None if fits else f"{name} {installed}"


def _processor() -> Finding:
    n_cores = usable_cores()
    n_others = (os.cpu_count() or n_cores) - n_cores
    others = f" ({n_others} more are not available to this process)" if n_others else ""
    cores = "1 core" if n_cores == 1 else f"{n_cores} cores"
    return Finding("processor", f"{processor_name()}, {cores}{others}")


def _torch() -> Finding:
    import torch

    if not torch.version.cuda:
        return Finding("torch", f"{torch.__version__}, CPU only")
    gpu = "a GPU is available" if torch.cuda.is_available() else "no GPU is available"
    return Finding("torch", f"{torch.__version__}, with CUDA {torch.version.cuda}; {gpu}")


def _linear_algebra() -> Finding:
    """Check the library that compiled agents multiply matrices with."""
    import scipy.linalg.cython_blas  # noqa: F401 - compiled code calls it; it is listed once loaded
    from threadpoolctl import threadpool_info

    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    kernels = {info.get("architecture") or info["internal_api"] for info in libraries}
    found = f"BLAS with kernels for {', '.join(sorted(kernels)) or 'an unknown processor'}"
    if KERNEL_VARIABLE not in os.environ:
        return Finding("linear algebra", found)
    forced = f"{found}, forced by the environment variable {KERNEL_VARIABLE}"
    cure = f"Run `unset {KERNEL_VARIABLE}`: OpenBLAS then chooses the kernels for this processor."
    return Finding("linear algebra", forced, cure)


def _compiled_code() -> Finding:
    """Check whether compiled code can be stored on disk for later processes."""
    from rl_runner.compiled import cache_folder

    if (folder := cache_folder("code")) is None:
        cure = "Set XDG_CACHE_HOME to a folder that can be written to."
        return Finding("compiled code", "cannot be stored, so each process compiles again", cure)
    return Finding("compiled code", f"stored in {folder}")


def _space_for_results(runs_dir: Path) -> Finding:
    folder = runs_dir.absolute()
    # The folder may not exist yet: look at the closest parent that does.
    try:
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        cure = "Choose another folder (`--runs-dir`)."
        return Finding("results", f"cannot be written to {runs_dir}: {error.strerror}", cure)
    free = shutil.disk_usage(folder).free
    found = f"{runs_dir}, {free / 1e9:.1f} GB free"
    cure = "Free some space, or choose another folder (`--runs-dir`)."
    return Finding("results", found, cure if free < MIN_FREE_SPACE else "")


def _video() -> Finding:
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return Finding("videos", "GIF; for MP4 `pip install 'rl-runner[video]'`")
    return Finding("videos", "GIF and MP4")
