import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import rl_runner

PACKAGE = Path(rl_runner.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
IDS = [str(path.relative_to(PACKAGE)) for path in MODULES]
THE_ONE_THAT_PRINTS = PACKAGE / "cli" / "display" / "console.py"
LONGEST = 340

LINT = """
import sys
from importlinter.cli import lint_imports_command
sys.argv = ["lint-imports", "--no-cache"]
lint_imports_command()
"""

every_module = pytest.mark.parametrize("path", MODULES, ids=IDS)


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _calls(source: ast.Module) -> Iterator[str]:
    """Yield what is called, as it is written: ``print``, ``sys.stdout.write``."""
    for node in ast.walk(source):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def _imported(source: ast.Module) -> Iterator[str]:
    for node in ast.walk(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _prints(source: ast.Module) -> list[str]:
    printing = {"print", "pprint", "pprint.pprint", "sys.stdout.write", "sys.stderr.write"}
    printing |= {"sys.stdout.writelines", "sys.stderr.writelines", "rich.print"}
    printing |= {"typer.echo", "typer.secho", "click.echo"}
    return sorted(printing & set(_calls(source)))


def _dangers(source: ast.Module) -> list[str]:
    calls = {"eval", "exec", "compile", "builtins.eval", "builtins.exec", "os.system", "os.popen"}
    calls |= {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}
    modules = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    found = calls & set(_calls(source))
    return sorted(found | (modules & {name.partition(".")[0] for name in _imported(source)}))


def test_packages_import_only_from_the_layers_below_them():
    command = [sys.executable, "-c", LINT]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken." in done.stdout


def test_the_contract_names_every_package():
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (layers,) = (
        contract["layers"]
        for contract in pyproject["tool"]["importlinter"]["contracts"]
        if contract["type"] == "layers"
    )
    named = {part.strip().removeprefix("rl_runner.") for row in layers for part in row.split("|")}
    parts = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    parts |= {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}
    assert parts <= named


@every_module
def test_no_file_is_too_long(path: Path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= LONGEST


@pytest.mark.parametrize("path", [path for path in MODULES if path != THE_ONE_THAT_PRINTS], ids=str)
def test_only_the_console_prints(path: Path):
    assert _prints(_tree(path)) == []


@every_module
def test_nothing_evaluates_text_or_unpickles(path: Path):
    assert _dangers(_tree(path)) == []


@every_module
def test_torch_loads_weights_only(path: Path):
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"torch.load", "th.load"}:
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert keywords.get("weights_only") == "True"


@every_module
def test_numpy_loads_no_objects(path: Path):
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert keywords.get("allow_pickle") == "False"


@every_module
def test_every_module_says_what_it_is(path: Path):
    assert ast.get_docstring(_tree(path))


@pytest.mark.parametrize(
    "path", sorted((PACKAGE / "cli").rglob("*.py")), ids=lambda path: path.name
)
def test_a_command_imports_torch_only_when_it_runs(path: Path):
    at_module_level = ast.Module(
        [node for node in _tree(path).body if isinstance(node, ast.Import | ast.ImportFrom)], []
    )
    heavy = {"torch", "stable_baselines3", "sb3_contrib", "gymnasium", "matplotlib"}
    assert heavy.isdisjoint({name.partition(".")[0] for name in _imported(at_module_level)})


def test_the_scanners_find_what_they_look_for():
    source = """
import sys, pickle
from cloudpickle import loads
def f(text):
    print(text)
    sys.stdout.write(text)
    return eval(text)
"""
    tree = ast.parse(source)
    assert _prints(tree) == ["print", "sys.stdout.write"]
    assert _dangers(tree) == ["cloudpickle", "eval", "pickle"]
    assert len(MODULES) > 40
    assert _prints(_tree(THE_ONE_THAT_PRINTS)) == ["sys.stdout.write"]


def test_no_two_test_files_share_a_name():
    """Pytest imports them by their names alone."""
    names = [path.name for path in (ROOT / "tests").rglob("*.py") if path.name != "conftest.py"]
    assert sorted(set(names)) == sorted(names)
