import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rl_runner.runs.provenance import PACKAGES, now, with_provenance
from rl_runner.runs.record import GitState, RunRecord

GIT = shutil.which("git")
needs_git = pytest.mark.skipif(GIT is None, reason="git is not installed")


def _here() -> RunRecord:
    return with_provenance(RunRecord())


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rl_runner.runs.provenance.CODE", tmp_path / "installed")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):  # set while a git hook runs tests
        monkeypatch.delenv(name, raising=False)


def _git(*arguments: str) -> str:
    assert GIT is not None
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    command = [GIT, *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _commit_a_file() -> str:
    _git("init", "--quiet")
    Path("a.txt").write_text("one")
    _git("add", "a.txt")
    _git("-c", "commit.gpgsign=false", "commit", "--quiet", "--no-verify", "-m", "first")
    return _git("rev-parse", "HEAD")


@needs_git
def test_a_clean_repository_is_named_by_its_commit():
    commit = _commit_a_file()
    assert _here().git == GitState(commit=commit, dirty=False, of="working directory")


@needs_git
@pytest.mark.parametrize("change", ["a.txt", "new.txt"])
def test_changed_and_new_files_make_a_repository_dirty(change: str):
    commit = _commit_a_file()
    Path(change).write_text("two")
    assert _here().git == GitState(commit=commit, dirty=True, of="working directory")


@needs_git
def test_the_code_of_a_checkout_counts_before_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    _commit_a_file()
    code = tmp_path / "checkout"
    code.mkdir()
    (code / "__init__.py").touch()
    monkeypatch.setattr("rl_runner.runs.provenance.CODE", code)
    assert _here().git.of == "working directory"  # not tracked
    _git("add", "checkout")
    assert _here().git.of == "rl_runner"


@needs_git
def test_a_repository_without_a_commit_names_none():
    _git("init", "--quiet")
    assert _here().git is None


def test_outside_a_repository_there_is_no_commit():
    assert _here().git is None


def test_a_machine_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _here().git is None


def test_versions_are_those_of_the_installed_packages():
    versions = _here().versions
    assert set(versions) == {"python", *PACKAGES}
    assert versions["python"] == platform.python_version()
    for package in PACKAGES:
        assert versions[package] == importlib.metadata.version(package)


def test_a_package_that_is_missing_is_said_to_be(monkeypatch: pytest.MonkeyPatch):
    def missing(package: str) -> str:
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert _here().versions["torch"] == "not installed"


def test_the_command_can_be_pasted_into_a_shell(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/rl", "train", "my config.yaml", "--seeds=2"])
    assert _here().command == "rl train 'my config.yaml' --seeds=2"


def test_the_command_of_a_package_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/rl_runner/__main__.py", "train", "a.yaml"])
    assert _here().command == "python -m rl_runner train a.yaml"


def test_the_machine_is_described():
    machine = _here().machine
    assert machine["cores"] == os.cpu_count()
    assert platform.system() in machine["system"]
    assert isinstance(machine["processor"], str)


def test_the_processor_is_named_without_a_proc_file_system(monkeypatch: pytest.MonkeyPatch):
    def missing(path: Path, **_: object) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", missing)
    assert _here().machine["processor"] == platform.processor()


def test_provenance_is_plain_json():
    description = _here().to_json()
    assert json.loads(json.dumps(description)) == description
    assert set(description) == {"format", "status", "command", "versions", "git", "machine"}


def test_now_is_the_present_time_in_utc_to_the_second():
    before = datetime.now(UTC).replace(microsecond=0)
    time = datetime.fromisoformat(now())
    assert time.utcoffset() == timedelta(0)
    assert time.microsecond == 0
    assert before <= time <= datetime.now(UTC)
