"""What a result depends on besides its config: package versions, machine, commit, command."""

import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rl_runner.redaction import redacted_arguments
from rl_runner.runs.record import GitState, RunRecord

CODE = Path(__file__).parents[1]  # of rl_runner
PACKAGES = (
    "rl-runner",
    "stable-baselines3",
    "sb3-contrib",
    "gymnasium",
    "torch",
    "numpy",
    "numba",
)


def with_provenance(record: RunRecord) -> RunRecord:
    """Add to a record what this process runs: command, versions, commit, machine."""
    return replace(
        record,
        command=_command(),
        versions={"python": platform.python_version(), **_package_versions()},
        git=_git_state(),
        machine={
            "system": platform.platform(terse=True),
            "processor": processor_name(),
            "cores": os.cpu_count(),
        },
    )


def _command() -> str:
    """Return the command to paste into a shell, without this machine's paths and any secrets."""
    program = Path(sys.argv[0])
    is_package = program.name == "__main__.py"  # python -m package
    words = ["python", "-m", program.parent.name] if is_package else [program.name]
    return shlex.join([*words, *redacted_arguments(sys.argv[1:])])


def now() -> str:
    """Return the time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _package_versions() -> dict[str, str]:
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return versions


def _git_state() -> GitState | None:
    """Return the commit of rl_runner's code, or else of the working directory; None without one.

    An installed copy may lie inside another repository, which does not track it.
    """
    tracked = _git(CODE, "ls-files", "--error-unmatch", "__init__.py") is not None
    of, folder = ("rl_runner", CODE) if tracked else ("working directory", Path())
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    dirty = bool(_git(folder, "status", "--porcelain", "."))
    return GitState(commit=commit, dirty=dirty, of=of)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - the user's git, wherever it is
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor_name() -> str:
    """Return the processor's own name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
