"""The user's own callbacks: `callbacks` in a config, run so that a run still resumes exactly.

Each segment of a run (:mod:`rl_runner.training.resume.segments`) begins with callbacks that are
built anew from the config and given the state that the newest checkpoint holds, whether or not the
run was interrupted there. What a callback remembers and no checkpoint can hold is therefore lost at
a regular checkpoint of an uninterrupted run as well. Only an exit checkpoint, which an interruption
causes, loses it at another timestep.

The state is what :func:`.plain_state.state_of` finds: attributes that are numbers, texts, arrays
and collections of them, or what the callback's own ``state_dict`` returns.
"""

import ast
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback, EvalCallback

from rl_runner.agents.protocol import PacedCallback
from rl_runner.agents.registry import Algorithm
from rl_runner.config import ExperimentConfig
from rl_runner.config.environment import NamedClass
from rl_runner.envs.wrappers import fitted_arguments, load_class
from rl_runner.errors import (
    CodeError,
    ConfigError,
    Problem,
    RunnerError,
    describe_exception,
    did_you_mean,
    place_of,
)
from rl_runner.training.observers.plain_state import restore_state, state_of

KEY = "callbacks"
LOOP_VARIABLES = {"locals", "globals"}  # what SB3's loop passes to callbacks
PLAYED_ELSEWHERE = {"training_env", "model"}  # what tabular Q-learning's twin does not step or fill


class OwnCallback(BaseCallback):
    """Runs one callback of the user's, restores its state, and names it in errors.

    :param state: from a checkpoint; None in a run that begins
    """

    def __init__(self, config: NamedClass, state: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.name = config.name
        self.inner = build_callback(config)
        self.has_stopped = False  # whether it has asked to end training
        self._state = state
        if isinstance(self.inner, PacedCallback):
            self.next_timestep = self.inner.next_timestep

    def state(self) -> tuple[dict[str, Any], list[str]]:
        """Return what the callback remembers, for JSON, and the attributes that cannot be kept."""
        return state_of(self.inner)

    def _init_callback(self) -> None:
        self._call("in _init_callback", lambda: self.inner.init_callback(self.model))

    def _on_training_start(self) -> None:
        self._call(
            "in _on_training_start", lambda: self.inner.on_training_start(self.locals, self.globals)
        )
        # Afterwards, because `_on_training_start` usually sets counters to zero.
        if self._state is not None:
            state = self._state
            self._call("while its state was restored", lambda: restore_state(self.inner, state))

    def _on_rollout_start(self) -> None:
        self._call("in _on_rollout_start", self.inner.on_rollout_start)

    def update_child_locals(self, locals_: dict[str, Any]) -> None:
        """Pass on the variables of the learning loop."""
        self.inner.update_locals(locals_)

    def _on_step(self) -> bool:
        continues = self._call("in _on_step", self.inner.on_step)
        if isinstance(self.inner, PacedCallback):
            self.next_timestep = self.inner.next_timestep
        self.has_stopped = self.has_stopped or not continues
        return bool(continues)

    def _on_rollout_end(self) -> None:
        self._call("in _on_rollout_end", self.inner.on_rollout_end)

    def _on_training_end(self) -> None:
        self._call("in _on_training_end", self.inner.on_training_end)

    def _call(self, when: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except RunnerError:
            raise
        except (Exception, SystemExit) as error:
            what = f"The callback `{self.name}` raised an exception {when}: "
            raise CodeError(Problem(what + describe_exception(error), place_of(error))) from error


def build_callback(config: NamedClass) -> BaseCallback:
    """Import and build a callback.

    :raises EnvError: if it cannot be imported or is not a callback
    :raises ConfigError: if its constructor refuses the arguments
    """
    found = _load_callback_class(config.name)
    if issubclass(found, EvalCallback):
        what = f"`{config.name}` evaluates, which rl_runner does by itself."
        raise ConfigError(Problem(what, KEY, "Leave it out; the section `eval` says how often."))
    try:
        built: BaseCallback = found(**fitted_arguments(found, config.kwargs))
    except (Exception, SystemExit) as error:
        what = f"The callback `{config.name}` cannot be built: {describe_exception(error)}"
        where = f"{KEY}: {place_of(error)}" if not isinstance(error, TypeError) else KEY
        raise ConfigError(Problem(what, where, _known_arguments(found, config))) from error
    return built


def _load_callback_class(name: str) -> type[BaseCallback]:
    found: type[BaseCallback] = load_class(
        name, BaseCallback, "a callback of stable-baselines3", KEY
    )
    return found


def _known_arguments(found: type[BaseCallback], config: NamedClass) -> str:
    known = [name for name in inspect.signature(found).parameters if name != "self"]
    wrong = next((name for name in config.kwargs if name not in known), None)
    guess = "" if wrong is None else did_you_mean(wrong, known)
    listed = f"Its arguments are: {', '.join(f'`{name}`' for name in known) or 'none'}."
    return f"{guess} {listed} Give them as `kwargs`.".strip()


def check_callbacks(config: ExperimentConfig) -> None:
    """Build every callback of a config once, to refuse what cannot be built.

    :raises RunnerError: as :func:`build_callback` does, with the line in the config
    """
    for i, each in enumerate(config.callbacks):
        try:
            build_callback(each)
        except RunnerError as error:
            where = config.source.locate((KEY, i))
            problems = (
                Problem(p.what, p.where.replace(KEY, where, 1), p.cure) for p in error.problems
            )
            raise type(error)(*problems) from error.__cause__


def reason_for_stock_loop(config: ExperimentConfig, algorithm: Algorithm) -> str | None:
    """Return which callback needs the loop of stable-baselines3, and why; None if none does.

    A compiled twin calls callbacks as SB3 does, but its loop has other variables, and tabular
    Q-learning's twin does not step the environment.
    """
    unseen = LOOP_VARIABLES | (PLAYED_ELSEWHERE if algorithm.name == "q_learning" else set())
    for each in config.callbacks:
        found = _load_callback_class(each.name)
        used = unseen & _names_used_by(found)
        if used:
            return f"the callback `{each.name}` uses `self.{min(used)}`, which its compiled twin \
does not have"
    return None


@functools.cache
def _names_used_by(found: type[BaseCallback]) -> frozenset[str]:
    """Return every attribute that a callback, or a function of its modules, mentions.

    A function may be given the callback. Where there is no source, it may use anything.
    """
    names: set[str] = set()
    own_classes = {each.__name__ for each in found.__mro__}
    for each in found.__mro__:
        if each in BaseCallback.__mro__:
            continue
        try:
            source = inspect.getsource(inspect.getmodule(each) or each)
        except (OSError, TypeError):
            return frozenset(LOOP_VARIABLES | PLAYED_ELSEWHERE)
        for node in ast.parse(source).body:
            if not isinstance(node, ast.ClassDef) or node.name in own_classes:
                names.update(_names_in(node))
    return frozenset(names)


def _names_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value  # getattr(self, "locals")
