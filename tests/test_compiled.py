import importlib.util
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from rl_runner import compiled as module
from rl_runner.compiled import (
    KEPT_DAYS,
    cache_folder,
    compiled,
    delete_unused,
    source_digest,
    sources_of,
)


def successor(number: int) -> int:
    return number + 1


def test_a_compiled_function_computes_the_same_and_divides_as_numpy_does():
    def ratio(a: float, b: float) -> float:
        return a / b

    assert compiled(successor)(1) == 2
    assert compiled(ratio)(1.0, 0.0) == float("inf")


def test_without_a_writable_place_code_is_compiled_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_code_folder", lambda _room: None)
    assert compiled(successor)(1) == 2


def test_a_place_that_cannot_be_written_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    assert cache_folder("tutor") == tmp_path / "here" / "rl_runner" / "tutor"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_folder("tutor") is None


def test_code_that_no_version_has_asked_for_in_weeks_is_deleted(tmp_path: Path):
    used, unused, other_version, other_package = (
        tmp_path / name for name in ("fast-1", "fast-2", "fast-3", "tutor-4")
    )
    weeks_ago = time.time() - (KEPT_DAYS + 1) * 24 * 3600
    for folder in (used, unused, other_version, other_package):
        folder.mkdir()
        (folder / "code.nbi").touch()
        if folder != other_version:
            os.utime(folder, (weeks_ago, weeks_ago))
    delete_unused(used)
    assert sorted(tmp_path.iterdir()) == [used, other_version, other_package]
    assert (used / "code.nbi").exists()


def test_to_use_code_is_to_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    package = tmp_path / "package"
    package.mkdir()
    module._code_folder.cache_clear()
    folder = module._code_folder(package)
    assert folder is not None
    os.utime(folder, (0.0, 0.0))
    module._code_folder.cache_clear()  # the next process
    assert module._code_folder(package) == folder
    assert folder.stat().st_mtime > 0.0


def test_the_digest_is_of_contents(tmp_path: Path):
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("A = 1\n")
    other.write_text("A = 1\n")
    assert source_digest([one]) == source_digest([other])
    other.write_text("A = 2\n")
    assert source_digest([one]) != source_digest([other])


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("envs/tutor/planning/qmdp.py", "envs/tutor"),  # calls envs/tutor/simulator
        ("envs/tutor/planning/lookahead.py", "envs/tutor"),
        ("envs/tutor/simulator/kernel.py", "envs/tutor"),
        ("envs/vectorized/cartpole_dynamics.py", "envs/vectorized"),
        ("agents/fast/kernels/acting.py", "agents/fast"),
    ],
)
def test_code_is_kept_by_all_sources_of_its_package_and_the_packages_inside(
    file: str, folder: str, tmp_path: Path
):
    root = Path(module.__file__).parent
    assert sources_of(root / file) == root / folder
    assert sources_of(tmp_path / file) == (tmp_path / file).parent


def test_a_change_in_a_package_inside_gives_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    inner = tmp_path / "package" / "inner"
    inner.mkdir(parents=True)
    folders = set()
    for step in (1, 2):
        (inner / "constants.py").write_text(f"STEP = {step}\n")
        module._code_folder.cache_clear()  # the next process
        folders.add(module._code_folder(tmp_path / "package"))
    assert len(folders) == 2


def test_a_constant_of_another_file_is_never_stale(tmp_path: Path):
    """Numba alone would go on using the old machine code."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "callers.py").write_text(
        textwrap.dedent("""
            from constants import STEP
            from rl_runner.compiled import compiled

            @compiled
            def advance(number):
                return number + STEP

            print(advance(1))
        """)
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    rl_runner = importlib.util.find_spec("rl_runner")
    assert rl_runner is not None
    assert rl_runner.origin is not None
    environment["PYTHONPATH"] = str(Path(rl_runner.origin).parents[1])
    printed = []
    for step in (1, 10):
        (package / "constants.py").write_text(f"STEP = {step}\n")
        done = subprocess.run(
            [sys.executable, "callers.py"],
            cwd=package,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        printed.append(done.stdout.strip())
    assert printed == ["2", "11"]


def test_a_clone_uses_the_code_that_another_has_compiled(tmp_path: Path):
    """The place of the sources does not matter, nor do the times of their files."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment["PYTHONPATH"] = str(Path(module.__file__).parents[1])
    hits = []
    for age, clone in enumerate(("one", "other")):
        package = tmp_path / clone / "package"
        package.mkdir(parents=True)
        (package / "doubling.py").write_text(
            "from rl_runner.compiled import compiled\n"
            "@compiled\n"
            "def double(number):\n"
            "    return 2 * number\n"
            "assert double(2) == 4\n"
            "print(sum(double.stats.cache_hits.values()))\n"
        )
        os.utime(package / "doubling.py", (age, age))
        done = subprocess.run(
            [sys.executable, package / "doubling.py"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        hits.append(done.stdout.strip())
    assert hits == ["0", "1"]
