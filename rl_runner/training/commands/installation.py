"""What of this machine and installation decides whether results are right and quick."""

import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rl_runner.runs.machine import processor_name, usable_cores

DISTRIBUTION = "rl-runner"
LITTLE_SPACE = 1e9  # bytes
KERNEL_VARIABLE = "OPENBLAS_CORETYPE"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    found: str
    cure: str = ""  # empty: nothing is wrong with it


def examine_installation(runs_dir: Path) -> Iterator[Finding]:
    """Look at everything, one thing after another; leaves nothing on disk.

    :param runs_dir: where results are to be written; it need not exist
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
    """Compare installed versions with the ranges that rl_runner was made for."""
    from packaging.requirements import Requirement

    try:
        listed = map(Requirement, importlib.metadata.requires(DISTRIBUTION) or ())
    except importlib.metadata.PackageNotFoundError:  # `python -m rl_runner` in a checkout
        found = f"{DISTRIBUTION} itself is not installed: nothing tells what it needs"
        return Finding("packages", found, "`pip install -e .` where its pyproject.toml is.")
    needed = [r for r in listed if r.marker is None or r.marker.evaluate({"extra": ""})]
    wrong = [f"{told} ({r} is needed)" for r in needed if (told := _unfit(r.name, r.specifier))]
    cure = "`pip install -r requirements.lock`"
    if wrong:
        return Finding("packages", ", ".join(wrong), cure)
    return Finding("packages", f"{len(needed)}, all within their ranges")


def _unfit(name: str, versions: object) -> str | None:
    """Return what is installed, if it is not one of ``versions``."""
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
    others = f" ({n_others} more may not be used)" if n_others else ""
    cores = "1 core" if n_cores == 1 else f"{n_cores} cores"
    return Finding("processor", f"{processor_name()}, {cores}{others}")


def _torch() -> Finding:
    import torch

    if not torch.version.cuda:
        return Finding("torch", f"{torch.__version__}, for processors only")
    seen = "a GPU is seen" if torch.cuda.is_available() else "no GPU is seen"
    return Finding("torch", f"{torch.__version__}, for CUDA {torch.version.cuda}; {seen}")


def _linear_algebra() -> Finding:
    """Look at the library that compiled agents multiply matrices with."""
    import scipy.linalg.cython_blas  # noqa: F401 - what compiled code calls; loaded, to be seen
    from threadpoolctl import threadpool_info

    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    kernels = {info.get("architecture") or info["internal_api"] for info in libraries}
    found = f"BLAS with kernels for {', '.join(sorted(kernels)) or 'an unknown processor'}"
    if KERNEL_VARIABLE not in os.environ:
        return Finding("linear algebra", found)
    told = f"{found}, which {KERNEL_VARIABLE} in the environment demands"
    cure = f"`unset {KERNEL_VARIABLE}`, unless you know better than OpenBLAS which are quickest."
    return Finding("linear algebra", told, cure)


def _compiled_code() -> Finding:
    """Look whether machine code can be kept between processes."""
    from rl_runner.compiled import cache_folder

    if (folder := cache_folder("code")) is None:
        cure = "Give XDG_CACHE_HOME a folder that can be written; each process compiles anew."
        return Finding("compiled code", "cannot be kept", cure)
    return Finding("compiled code", f"kept in {folder}")


def _space_for_results(runs_dir: Path) -> Finding:
    folder = runs_dir.absolute()
    try:
        while not folder.exists():
            folder = folder.parent
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")
    except OSError as error:
        cure = "Choose another place (`--runs-dir`)."
        return Finding("results", f"cannot be written to {runs_dir}: {error.strerror}", cure)
    free = shutil.disk_usage(folder).free
    found = f"{runs_dir}, {free / 1e9:.1f} GB free"
    cure = "Free some space, or choose another place (`--runs-dir`)."
    return Finding("results", found, cure if free < LITTLE_SPACE else "")


def _video() -> Finding:
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return Finding("videos", "GIF; for MP4 `pip install 'rl-runner[video]'`")
    return Finding("videos", "GIF and MP4")
