import ast
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import rl_runner

PACKAGE = Path(rl_runner.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
CONSOLE = PACKAGE / "cli" / "display" / "console.py"

LINT = """
import sys
from importlinter.cli import lint_imports_command
sys.argv = ["lint-imports", "--no-cache"]
lint_imports_command()
"""


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


def _findings(
    check: Callable[[ast.Module], list[str]], modules: Iterable[Path] = MODULES
) -> dict[str, list[str]]:
    """Return what a check finds, by module; empty if it finds nothing."""
    by_module = {str(path.relative_to(PACKAGE)): check(_tree(path)) for path in modules}
    return {module: found for module, found in by_module.items() if found}


def _loads_without(keyword: str, value: str, functions: set[str]) -> Callable[..., list[str]]:
    """Return a check for calls of ``functions`` that do not pass ``keyword=value``."""

    def check(source: ast.Module) -> list[str]:
        calls = [node for node in ast.walk(source) if isinstance(node, ast.Call)]
        return [
            ast.unparse(call)
            for call in calls
            if ast.unparse(call.func) in functions
            and {k.arg: ast.unparse(k.value) for k in call.keywords}.get(keyword) != value
        ]

    return check


torch_objects = _loads_without("weights_only", "True", {"torch.load", "th.load"})
numpy_objects = _loads_without("allow_pickle", "False", {"np.load"})


def _heavy_at_module_level(source: ast.Module) -> list[str]:
    imports = [node for node in source.body if isinstance(node, ast.Import | ast.ImportFrom)]
    heavy = {"torch", "stable_baselines3", "sb3_contrib", "gymnasium", "matplotlib"}
    names = _imported(ast.Module(imports, []))
    return sorted(heavy & {name.partition(".")[0] for name in names})


def test_only_the_console_prints():
    assert _findings(_prints, [path for path in MODULES if path != CONSOLE]) == {}


def test_nothing_evaluates_text_or_unpickles():
    assert _findings(_dangers) == {}


def test_torch_loads_weights_only():
    assert _findings(torch_objects) == {}


def test_numpy_loads_no_objects():
    assert _findings(numpy_objects) == {}


def test_commands_import_heavy_packages_only_when_they_run():
    assert _findings(_heavy_at_module_level, sorted((PACKAGE / "cli").rglob("*.py"))) == {}


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
    assert torch_objects(ast.parse("torch.load(path)")) == ["torch.load(path)"]
    assert torch_objects(ast.parse("torch.load(path, weights_only=True)")) == []
    assert numpy_objects(ast.parse("np.load(path, allow_pickle=True)"))
    assert _heavy_at_module_level(ast.parse("import torch.nn")) == ["torch"]
    assert _heavy_at_module_level(ast.parse("def f():\n    import torch")) == []
    assert len(MODULES) > 40


def test_no_two_test_files_share_a_name():
    """Pytest imports them by their names alone."""
    inputs = set((ROOT / "tests" / "cases").glob("*/*.py"))  # which pytest never imports
    files = set((ROOT / "tests").rglob("*.py")) - inputs
    names = [path.name for path in files if path.name != "conftest.py"]
    assert sorted(set(names)) == sorted(names)


def test_every_package_that_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {canonicalize_name(Requirement(line).name) for lines in lists for line in lines}
    declared |= {"pydantic-core", "pygame"}  # a part of pydantic; an extra of gymnasium
    imported = {name.partition(".")[0] for path in MODULES for name in _imported(_tree(path))}
    providers = packages_distributions()
    used = {
        canonicalize_name(providers[name][0])
        for name in imported - {"rl_runner"}
        if name in providers and name not in sys.stdlib_module_names
    }
    assert used - declared == set()
    assert {"optuna", "sqlalchemy", "torch"} <= used
