import ast
import subprocess
import sys
from pathlib import Path

import pytest

from rl_runner.envs.tutor import compiled as module
from rl_runner.envs.tutor.compiled import SHARED_SOURCES, cache_folder, compiled, source_digest

FOLDER = Path(module.__file__).parent
NOT_COMPILED = {"baselines.py", "view.py"}  # classes and names; no compiled code looks at them


def compiled_modules() -> list[Path]:
    texts = {path: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py")}
    return [
        path for path, text in texts.items() if "\n@compiled\n" in text or "\n@inlined\n" in text
    ]


def siblings_of(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    prefix = "rl_runner.envs.tutor."
    return {f"{name.removeprefix(prefix)}.py" for name in names if name.startswith(prefix)}


@pytest.mark.parametrize("path", compiled_modules(), ids=lambda path: path.name)
def test_what_compiled_code_builds_on_is_in_the_digest(path: Path):
    """Otherwise machine code made from an older version of it would be used."""
    assert siblings_of(path) - NOT_COMPILED <= set(SHARED_SOURCES)


def test_every_shared_source_exists_and_counts():
    digests = {source_digest((name,)) for name in SHARED_SOURCES}
    assert len(digests) == len(SHARED_SOURCES)
    assert len(compiled_modules()) >= 8


def test_a_place_that_cannot_be_written_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here" / "rl_runner" / "tutor"
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert cache_folder() is None


def test_without_a_writable_place_code_is_compiled_anew(monkeypatch: pytest.MonkeyPatch):
    def successor(number: int) -> int:
        return number + 1

    monkeypatch.setattr(module, "_code_folder", lambda: None)
    assert compiled(successor)(1) == 2


def test_neither_importing_nor_making_the_environment_loads_numba():
    code = (
        "import sys, gymnasium, rl_runner.envs; gymnasium.make('Tutor-v0');"
        "print([name for name in ('numba', 'torch', 'pygame') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
