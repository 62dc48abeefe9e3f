import importlib.metadata
import importlib.util
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from rl_runner import compiled
from rl_runner.training.commands import installation
from rl_runner.training.commands.installation import Finding, examine_installation


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    return tmp_path / "not" / "there"


def looked_at(what: str, runs_dir: Path) -> Finding:
    return next(found for found in examine_installation(runs_dir) if found.what == what)


def test_everything_is_looked_at_and_nothing_is_left(runs_dir: Path, tmp_path: Path):
    assert [finding.what for finding in examine_installation(runs_dir)] == [
        "packages",
        "processor",
        "torch",
        "linear algebra",
        "compiled code",
        "results",
        "videos",
    ]
    assert list(tmp_path.iterdir()) == []


def test_the_environment_of_the_tests_has_the_right_packages(runs_dir: Path):
    assert looked_at("packages", runs_dir).cure == ""


def test_a_package_of_a_wrong_version_and_a_missing_one_are_named(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda _: ["numpy<1", "nowhere>=2", "pytest<1; extra=='x'"]
    )
    found = looked_at("packages", runs_dir)
    assert found.found.startswith(
        f"numpy {importlib.metadata.version('numpy')} (numpy<1 is required"
    )
    assert found.found.endswith("nowhere is missing (nowhere>=2 is required)")
    assert "requirements.lock" in found.cure


def test_a_checkout_that_is_not_installed_is_named(runs_dir: Path, monkeypatch: pytest.MonkeyPatch):
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    found = looked_at("packages", runs_dir)
    assert "rl-runner itself is not installed" in found.found
    assert "pip install -e ." in found.cure


def test_the_range_of_optuna_begins_where_its_constraints_of_a_trial_do():
    root = Path(__file__).parents[3]
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (optuna,) = (r for r in map(Requirement, project["dependencies"]) if r.name == "optuna")
    assert "4.9.0" not in optuna.specifier  # no Trial.set_constraint
    assert "5.0.0" in optuna.specifier


def test_kernels_that_the_environment_demands_are_noticed(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    assert "unset OPENBLAS_CORETYPE" in looked_at("linear algebra", runs_dir).cure
    monkeypatch.delenv("OPENBLAS_CORETYPE")
    assert looked_at("linear algebra", runs_dir).cure == ""


def test_machine_code_that_cannot_be_kept_is_noticed(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(compiled, "cache_folder", lambda _: None)
    assert "XDG_CACHE_HOME" in looked_at("compiled code", runs_dir).cure


@pytest.mark.parametrize(("free", "enough"), [(2e9, True), (1e6, False)])
def test_little_space_is_noticed(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch, free: float, enough: bool
):
    monkeypatch.setattr(installation.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert (looked_at("results", runs_dir).cure == "") == enough


def test_a_place_that_cannot_be_written_is_noticed(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    found = looked_at("results", tmp_path / "file" / "runs")
    assert "Not a directory" in found.found
    assert "--runs-dir" in found.cure


def test_a_place_that_cannot_even_be_looked_for_is_noticed(tmp_path: Path):
    found = looked_at("results", tmp_path / ("a" * 300))
    assert "name too long" in found.found
    assert "Free some space" not in found.cure


@pytest.mark.parametrize(("n", "message"), [(1, "1 core"), (2, "2 cores")])
def test_cores_are_counted(runs_dir: Path, monkeypatch: pytest.MonkeyPatch, n: int, message: str):
    monkeypatch.setattr(installation, "usable_cores", lambda: n)
    monkeypatch.setattr("os.cpu_count", lambda: n)
    assert looked_at("processor", runs_dir).found.endswith(f", {message}")


def test_films_say_what_mp4_needs(runs_dir: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "rl-runner[video]" in looked_at("videos", runs_dir).found
