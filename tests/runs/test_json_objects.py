import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_runner.runs.json_objects import JsonObject


@dataclass(frozen=True, kw_only=True)
class Leaf(JsonObject):
    """Every kind of plain value."""

    number: float
    whole: int | None
    label: Literal["a", "b"] = "a"
    seen: bool = True


@dataclass(frozen=True, kw_only=True)
class Tree(JsonObject):
    """Every kind of container."""

    ALWAYS: ClassVar = frozenset({"flag"})
    pair: tuple[int, str]
    leaves: tuple[Leaf, ...] = ()
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    mixed: Mapping[str, str | int | None] = field(default_factory=dict)
    flag: bool = False
    note: str | None = None


finite = st.floats(allow_nan=False)
wholes = st.integers(-(2**62), 2**62)
leaves = st.builds(
    Leaf, number=finite, whole=st.none() | wholes, label=st.sampled_from("ab"), seen=st.booleans()
)
trees = st.builds(
    Tree,
    pair=st.tuples(wholes, st.text()),
    leaves=st.lists(leaves).map(tuple),
    by_name=st.dictionaries(st.text(), leaves),
    mixed=st.dictionaries(st.text(), st.text() | wholes | st.none()),
    flag=st.booleans(),
    note=st.none() | st.text(),
)


@given(trees)
def test_an_object_survives_json(tree: Tree):
    assert Tree.from_json(json.loads(json.dumps(tree.to_json()))) == tree


def test_what_says_nothing_by_default_is_left_out_and_all_else_is_written():
    leaf = Leaf(number=0, whole=None, seen=False)
    assert leaf.to_json() == {"number": 0, "whole": None, "label": "a", "seen": False}
    assert Tree(pair=(1, "x")).to_json() == {"pair": [1, "x"], "flag": False}


def test_unknown_keys_are_kept_wherever_they_are():
    leaf = {"number": 1.5, "whole": 2, "label": "b", "seen": True, "later": [1, {"x": None}]}
    raw = {"pair": [1, "x"], "leaves": [leaf], "by_name": {"n": leaf}, "flag": False, "new": 5}
    assert Tree.from_json(raw).to_json() == raw


def test_null_is_the_default_where_there_is_one():
    tree = Tree.from_json({"pair": [1, "x"], "leaves": None, "flag": None})
    assert tree == Tree(pair=(1, "x"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pair": None}, "`at.pair` is not a list of 2."),
        ({"pair": [1]}, "`at.pair` is not a list of 2."),
        ({"pair": [1.5, "x"]}, "`at.pair.0` is not a whole number."),
        ({"leaves": {}}, "`at.leaves` is not a list."),
        ({"leaves": [{"number": 1.0}]}, "`at.leaves.0.whole` is missing."),
        ({"leaves": [{"number": True, "whole": 1}]}, "`at.leaves.0.number` is not a number."),
        ({"leaves": [{"number": 10**400, "whole": 1}]}, "`at.leaves.0.number` is not a number."),
        ({"by_name": {"n": []}}, "`at.by_name.n` is not an object."),
        ({"mixed": {"k": 1.5}}, "`at.mixed.k` is not a text."),
        ({"flag": 1}, "`at.flag` is not true or false."),
    ],
)
def test_what_is_wrong_is_named_by_its_path(changes: dict[str, Any], message: str):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Tree.from_json({"pair": [1, "x"], **changes}, "at")


@pytest.mark.parametrize("raw", [None, [], "text", 5])
def test_a_document_that_is_not_an_object_is_refused(raw: object):
    with pytest.raises(ValueError, match=r"^It is not an object\.$"):
        Leaf.from_json(raw)
