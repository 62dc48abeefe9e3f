import json
import random
from collections import Counter, OrderedDict, defaultdict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.callbacks import BaseCallback, EveryNTimesteps

from rl_runner import config_from_dict, train
from rl_runner.errors import ConfigError, EnvError, RunnerError
from rl_runner.training.observers.plain_state import restore_state, state_of
from rl_runner.training.reporting import Reporter
from rl_runner.training.resolve import resolve

SOURCE = """
from stable_baselines3.common.callbacks import BaseCallback


class Breaks(BaseCallback):
    def _on_step(self):
        raise LookupError("no such table")


class Enough(BaseCallback):
    def __init__(self, calls=50):
        super().__init__()
        self.calls = calls

    def _on_step(self):
        return self.n_calls < self.calls


class Keeps(BaseCallback):
    def _on_training_start(self):
        self.connection = object()

    def _on_step(self):
        return True


class Loop(BaseCallback):
    def _on_step(self):
        return bool(self.locals["infos"])


class Refuses(BaseCallback):
    def _on_step(self):
        return True

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        raise LookupError("too old")


class NotOne:
    pass
"""
CONFIG: dict[str, Any] = {
    "env": {"id": "CartPole-v1"},
    "algo": {"name": "ppo", "n_steps": 20, "batch_size": 20, "policy_kwargs": {"net_arch": [4]}},
    "train": {"total_timesteps": 120, "seeds": [0]},
    "eval": {"every": 60, "n_episodes": 2, "final_episodes": 2},
    "checkpoint": {"every": 60},
}


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "watchers_of_tests.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


class Notes(Reporter):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def config_with(callback: Any, **algo: Any):
    return config_from_dict({**CONFIG, "algo": {**CONFIG["algo"], **algo}, "callbacks": [callback]})


def test_an_exception_names_the_callback_and_the_users_line(tmp_path: Path) -> None:
    (run,) = train(config_with("watchers_of_tests:Breaks"), runs_dir=tmp_path / "runs").runs
    assert run.status == "failed"
    assert "`watchers_of_tests:Breaks` raised an exception in _on_step" in str(run.record.error)
    assert "watchers_of_tests.py:7, in _on_step" in str(run.record.error)


def test_a_callback_can_end_training_and_the_run_is_finished(tmp_path: Path) -> None:
    notes = Notes()
    config = config_with("watchers_of_tests:Enough")
    (run,) = train(config, runs_dir=tmp_path / "runs", reporter=notes).runs
    assert run.status == "finished"
    assert run.record.timesteps == 50
    assert any("ended training after 50 of 120" in note for note in notes.notes)
    (again,) = train(config, runs_dir=tmp_path / "runs").runs
    assert again.was_finished


def test_what_no_checkpoint_can_hold_is_named_once(tmp_path: Path) -> None:
    notes = Notes()
    train(config_with("watchers_of_tests:Keeps"), runs_dir=tmp_path / "runs", reporter=notes)
    (note,) = [note for note in notes.notes if "`connection`" in note]
    assert "`watchers_of_tests:Keeps`" in note


def test_the_loop_of_sb3_is_used_if_a_callback_reads_its_variables_and_said() -> None:
    resolution = resolve(config_with("watchers_of_tests:Loop"))
    assert resolution.config.algo.engine == "stock"
    assert any("uses `self.locals`" in note for note in resolution.notes)
    with pytest.raises(ConfigError, match="`engine: fast` is not available"):
        resolve(config_with("watchers_of_tests:Loop", engine="fast"))


@pytest.mark.parametrize(
    ("callback", "kind", "text"),
    [
        ("watchers_of_tests:Enogh", EnvError, "Did you mean `Enough`"),
        ("watchers_of_tests:NotOne", EnvError, "is not a callback"),
        ("no_such_module:Enough", EnvError, "no module `no_such_module`"),
        (
            {"name": "watchers_of_tests:Enough", "kwargs": {"call": 3}},
            ConfigError,
            "Did you mean `calls`",
        ),
        ("stable_baselines3.common.callbacks:EvalCallback", ConfigError, "by itself"),
        ({"kwargs": {}}, ConfigError, "`name` is missing"),
    ],
)
def test_what_cannot_be_built_is_refused(callback: Any, kind: type[RunnerError], text: str) -> None:
    with pytest.raises(kind, match=text):
        resolve(config_with(callback))


def test_callbacks_belong_to_the_experiment_and_their_source_too() -> None:
    from rl_runner.config import experiment_hash

    plain = resolve(config_from_dict(CONFIG)).config
    assert "callbacks" not in plain.to_dict()
    watched = resolve(config_with("watchers_of_tests:Enough")).config
    assert experiment_hash(plain) != experiment_hash(watched)
    assert watched.code is not None
    assert list(watched.code.modules) == ["watchers_of_tests"]
    assert resolve(watched).config == watched


class Holder(BaseCallback):
    def _on_step(self) -> bool:
        return True


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3)
        | st.builds(lambda items: deque(items, maxlen=2), st.lists(inner, max_size=3))
    ),
    max_leaves=8,
)


@given(plain_values)
def test_a_state_comes_back_from_json_as_it_was(value: Any) -> None:
    before, after = Holder(), Holder()
    before.value = value  # type: ignore[attr-defined]
    before.n_calls = 7
    state, lost = state_of(before)
    restore_state(after, json.loads(json.dumps(state)))
    assert lost == []
    assert after.n_calls == 7
    assert after.value == value  # type: ignore[attr-defined]
    assert type(after.value) is type(value)  # type: ignore[attr-defined]


def test_arrays_generators_and_callbacks_inside_come_back() -> None:
    before, after = (EveryNTimesteps(5, Holder()) for _ in range(2))
    before.extra = {  # type: ignore[attr-defined]
        "array": np.arange(6, dtype=np.int16).reshape(2, 3),
        "scalar": np.float32(0.1),
        "set": {1, 2},
        "random": random.Random(3),  # noqa: S311 - no cryptography
        "generator": np.random.default_rng(3),
    }
    before.last_time_trigger = 9
    before.callback.n_calls = 4
    state, lost = state_of(before)
    restore_state(after, json.loads(json.dumps(state)))
    assert lost == []
    assert after.last_time_trigger == 9
    assert after.callback.n_calls == 4
    mine, theirs = before.extra, after.extra  # type: ignore[attr-defined]
    assert theirs["array"].dtype == np.int16
    assert (theirs["array"] == mine["array"]).all()
    assert theirs["scalar"] == mine["scalar"]
    assert theirs["set"] == {1, 2}
    assert theirs["random"].random() == mine["random"].random()
    assert theirs["generator"].random() == mine["generator"].random()


class Counting(Holder):
    """Holds what is given back to the objects that a new callback has."""

    def __init__(self) -> None:
        super().__init__()
        self.visits: defaultdict[int, int] = defaultdict(int)
        self.words: Counter[str] = Counter()
        self.children = [Holder(), Holder()]
        self.late: OrderedDict[str, int] | None = None  # built while training


def test_other_dictionaries_keep_their_type_and_lists_of_callbacks_their_states() -> None:
    before, after = Counting(), Counting()
    before.visits[61] += 2
    before.words.update(["a", "a", "b"])
    before.late = OrderedDict(b=1, a=2)
    before.children[1].n_calls = 8
    state, lost = state_of(before)
    restore_state(after, json.loads(json.dumps(state)))
    assert lost == []
    after.visits[7] += 1  # still has its default
    assert dict(after.visits) == {61: 2, 7: 1}
    assert after.words.most_common(1) == [("a", 2)]
    assert type(after.late) is OrderedDict
    assert list(after.late.items()) == [("b", 1), ("a", 2)]
    assert [child.n_calls for child in after.children] == [0, 8]


def circular() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    "value",
    [
        random.SystemRandom(),
        circular(),
        [defaultdict(lambda: 0)],
        np.zeros(2, dtype=[("a", float)]),
        np.ma.masked_array([1.0, 2.0], mask=[True, False]),
        torch.zeros(2, dtype=torch.bfloat16),
        torch.eye(2).to_sparse(),
        torch.nn.Parameter(torch.zeros(2)),
    ],
    ids=["generator", "circular", "nested", "records", "masked", "bfloat16", "sparse", "parameter"],
)
def test_what_would_not_come_back_as_it_was_is_named(value: Any) -> None:
    holder = EveryNTimesteps(5, Holder())
    holder.callback.odd = value  # type: ignore[attr-defined]
    state, lost = state_of(holder)
    assert lost == ["callback.odd"]
    json.dumps(state)


def test_a_callback_may_say_itself_what_its_state_is() -> None:
    class OwnState(Holder):
        def __init__(self) -> None:
            super().__init__()
            self.helper = object()
            self.count = 0

        def state_dict(self) -> dict[str, int]:
            return {"count": self.count}

        def load_state_dict(self, state: dict[str, int]) -> None:
            self.count = state["count"] + 100

    before, after = OwnState(), OwnState()
    before.count = 5
    state, lost = state_of(before)
    restore_state(after, state)
    assert (lost, after.count) == ([], 105)


def test_a_state_that_cannot_be_restored_names_the_callback(tmp_path: Path) -> None:
    (run,) = train(config_with("watchers_of_tests:Refuses"), runs_dir=tmp_path / "runs").runs
    assert run.status == "failed"
    assert "`watchers_of_tests:Refuses` raised an exception while its state was restored" in str(
        run.record.error
    )
    assert "watchers_of_tests.py" in str(run.record.error)
