import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from rl_runner.agents.registry import ALGORITHMS
from rl_runner.cli.app import COMMANDS, app
from rl_runner.config import load_config
from rl_runner.training.resolve import resolve

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rl_runner"
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def marked_block(name: str) -> str:
    found = re.search(rf"<!-- tested: {name} -->\n```\w+\n(.*?)```", README, flags=re.DOTALL)
    assert found, f"README.md has no tested block `{name}`"
    return found[1]


def test_the_readme_config_is_valid_and_is_the_shipped_one(tmp_path):
    (tmp_path / "readme.yaml").write_text(marked_block("config"), encoding="utf-8")
    shown = resolve(load_config(tmp_path / "readme.yaml")).config
    assert shown == resolve(load_config(ROOT / "configs/cartpole/ppo.yaml")).config


def shown_commands() -> list[str]:
    lines = marked_block("commands").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("line", shown_commands())
def test_every_command_of_the_readme_parses(line):
    program, command, *arguments = shlex.split(line)
    assert program == "rl"
    click_app = typer.main.get_command(app)
    parser = click_app.get_command(None, command)  # type: ignore[attr-defined]
    assert parser is not None
    parser.make_context(command, arguments)  # raises on an unknown option or a missing argument


def test_the_readme_shows_every_command():
    shown = {shlex.split(line)[1] for line in shown_commands()}
    assert shown == set(COMMANDS)


@pytest.mark.slow
def test_the_python_of_the_readme_runs(tmp_path):
    code = marked_block("python").replace("configs/", f"{ROOT.as_posix()}/configs/")
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Summary(mean=" in result.stdout
    assert (tmp_path / "runs").is_dir()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_the_documents_leads_somewhere(document):
    text = document.read_text(encoding="utf-8")
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in t]
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing


def test_the_help_of_every_command_has_an_example():
    runner = CliRunner()
    for name in COMMANDS:
        help_text = runner.invoke(app, [name, "--help"], env={"COLUMNS": "200"}).output
        assert "Example: rl " + name in help_text


def leaf_commands(command, path):
    if not isinstance(command, typer.core.TyperGroup):
        return [(path, command)]
    return [
        leaf
        for name, each in command.commands.items()
        for leaf in leaf_commands(each, f"{path} {name}")
    ]


@pytest.mark.parametrize(
    "command", [pytest.param(each, id=path) for path, each in leaf_commands(get_command(app), "rl")]
)
def test_every_option_is_explained_in_its_help(command):
    unexplained = [parameter.name for parameter in command.params if not parameter.help]
    assert unexplained == []


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_algorithm_is_documented_and_has_a_config(name):
    assert f"`{name}`" in (ROOT / "docs/algorithms.md").read_text(encoding="utf-8")
    named = [p for p in ROOT.glob("configs/**/*.yaml") if load_config(p).algo.name == name]
    assert named


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+(?:\.py|/))`", CONTRIBUTING))))
def test_every_file_that_contributing_names_exists(name):
    places = [ROOT / name, PACKAGE / name, *PACKAGE.glob(f"*/{name}")]
    assert any(place.exists() for place in places)


@pytest.mark.parametrize(
    ("file", "function"),
    re.findall(r"^\| \d+ \| `([\w/]+\.py)` \| `(\w+)` \|", CONTRIBUTING, flags=re.MULTILINE),
)
def test_every_function_on_the_way_of_rl_train_exists(file, function):
    text = (PACKAGE / file).read_text(encoding="utf-8")
    assert re.search(rf"^ *(def|class) {function}\b", text, flags=re.MULTILINE)


def test_help_names_no_python_types():
    runner = CliRunner()
    for name in COMMANDS:
        outcome = runner.invoke(app, [name, "--help"], env={"COLUMNS": "200"})
        assert outcome.exit_code == 0
        help_text = outcome.output
        assert "--help" in help_text
        found = re.findall(r"<(?:bool|int|float|str|path|list)[^>]*>|INTEGER|FLOAT", help_text)
        assert found == [], name
