"""The table of cases in README.md names tests that exist, and every folder of a case."""

import re
from pathlib import Path

HERE = Path(__file__).parent
TABLE = (HERE / "README.md").read_text(encoding="utf-8")
DEFINED = {
    name
    for file in HERE.glob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
}


def test_the_tests_of_the_table_exist():
    named = set(re.findall(r"`(test_\w+)`", TABLE))
    assert len(named) > 60
    assert named - DEFINED == set()


def test_every_case_is_in_the_table():
    folders = {
        path.name for path in HERE.iterdir() if re.match(r"(attack|logs|train)-\d", path.name)
    }
    rows = set(re.findall(r"^\| ((?:attack|logs|train)-\S+) \|", TABLE, re.MULTILINE))
    assert folders - rows == set()
