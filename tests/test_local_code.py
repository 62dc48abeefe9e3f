"""Which sources belong to an experiment, and what of them counts."""

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner import local_code
from rl_runner.errors import CodeError
from rl_runner.local_code import is_local, source_hashes
from rl_runner.sources import hash_source

SOURCE = 'MAP = """\n# # #\n\n#S G\n"""\n\n\ndef pay(x):\n    return x + 1\n'


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(local_code, "_folders", [])
    monkeypatch.setattr(local_code, "_first_hash", {})
    monkeypatch.setattr(local_code, "_loaded_before", set())
    monkeypatch.setattr(sys, "path", sys.path.copy())
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


comments = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=20)


@given(comments, st.integers(0, 3))
def test_comments_and_blank_lines_do_not_count(comment: str, blank: int) -> None:
    lines = SOURCE.split("\n")
    lines[6:6] = [f"# {comment}", *[""] * blank]
    lines[-2] += f"  # {comment}"
    assert hash_source("\n".join(lines).encode()) == hash_source(SOURCE.encode())


def test_line_ends_do_not_count() -> None:
    crlf = SOURCE.replace("\n", "\r\n").encode()
    assert hash_source(crlf) == hash_source(SOURCE.encode())


@pytest.mark.parametrize(
    ("before", "after"),
    [("x + 1", "x + 2"), ("# # #", "# ###"), ("\n\n#S G", "\n#S G"), ("    return", "     return")],
)
def test_everything_else_counts_also_inside_texts(before: str, after: str) -> None:
    assert hash_source(SOURCE.replace(before, after).encode()) != hash_source(SOURCE.encode())


def test_what_is_not_python_is_hashed_as_it_is() -> None:
    assert hash_source(b"\x7fELF\x00\xff") != hash_source(b"\x7fELF\x00\xfe")


@pytest.mark.parametrize("name", ["numpy", "gymnasium.envs", "os", "rl_runner.envs", "no_such"])
def test_installed_modules_are_not_local(name: str) -> None:
    assert not is_local(name)


def write(folder: Path, **sources: str) -> None:
    for name, source in sources.items():
        file = folder / (name.replace("__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source)


def test_the_sources_that_a_module_imports_count_also_inside_functions(tmp_path: Path) -> None:
    write(
        tmp_path,
        law_root="import numpy\nfrom law_pkg import inner\n\ndef f():\n    import law_late\n",
        law_late="X = 1\n",
        law_unused="X = 1\n",
        law_pkg__inner="from . import sibling\nfrom ..nowhere import x\n",
        law_pkg__sibling="",
    )
    (tmp_path / "law_pkg" / "__init__.py").write_text("")
    local_code.add_code_folders([tmp_path])
    assert list(source_hashes(["law_root"])) == [
        "law_late",
        "law_pkg",
        "law_pkg.inner",
        "law_pkg.sibling",
        "law_root",
    ]
    assert "law_late" not in sys.modules


def test_a_folder_inside_a_folder_needs_no_init_to_count(tmp_path: Path) -> None:
    write(tmp_path, law_spaced="import law_ns.inner.mod\n", law_ns__inner__mod="X = 1\n")
    local_code.add_code_folders([tmp_path])
    assert list(source_hashes(["law_spaced"])) == ["law_ns.inner.mod", "law_spaced"]
    assert "law_ns" not in sys.modules


def test_a_source_that_changes_under_a_process_is_refused(tmp_path: Path) -> None:
    write(tmp_path, law_moving="X = 1\n")
    local_code.add_code_folders([tmp_path])
    source_hashes(["law_moving"])
    write(tmp_path, law_moving="X = 2\n")
    with pytest.raises(CodeError, match="has changed while this process was using it"):
        source_hashes(["law_moving"])


def test_two_folders_with_a_module_of_the_same_name_are_refused(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 2)):
        write(tmp_path / name, law_twice=f"X = {value}\n")
        local_code.add_code_folders([tmp_path / name])
    importlib.import_module("law_twice")
    with pytest.raises(CodeError, match="Two folders have a module `law_twice`"):
        source_hashes(["law_twice"])


def test_only_loaded_modules_of_the_code_folders_that_are_not_listed_are_unlisted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(local_code.SWITCH, raising=False)

    def load(name: str, folder: Path) -> None:
        write(folder, **{name: "PAY = 1\n"})
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        assert spec is not None
        monkeypatch.setitem(sys.modules, name, importlib.util.module_from_spec(spec))

    load("unlisted_script", tmp_path / "code")  # before the folder is known
    local_code.add_code_folders([tmp_path / "code"])
    load("unlisted_computed", tmp_path / "code")
    load("unlisted_named", tmp_path / "code")
    load("unlisted_elsewhere", tmp_path / "elsewhere")
    local_code.add_code_folders([tmp_path / "other"])
    load("unlisted_other", tmp_path / "other")  # another experiment's
    load("unlisted_installed", tmp_path / "code" / "site-packages")
    found = local_code.unlisted_hashes(["unlisted_named"])
    assert found == {"unlisted_computed": hash_source(b"PAY = 1")}
    assert local_code.unlisted_hashes([]) == {}  # the experiment has no local code
