"""The options of ``Tutor-v0``, checked, and the model that the kernel derives from them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

from rl_runner.envs.tutor.simulator import model
from rl_runner.errors import EnvError, Problem, did_you_mean

PRESETS: Final[Mapping[str, float]] = {"committed": 1.0, "open course": 5.0}
LEARNERS: Final = ("bkt", "half_life")
LONGEST_HORIZON: Final = 10_000
MOST_MODULES: Final = 4


class Model(NamedTuple):
    """The part of the learner model that depends on the options, as arguments of the kernel."""

    n_levels: int  # modules per topic, and levels of knowledge above none
    horizon: int  # the observed time is steps / horizon
    limit: int  # steps after which an episode is truncated
    hazard: tuple[float, ...]  # 5: P(leave) by engagement
    forget: tuple[float, ...]  # P(forget a level) by modules completed + quiz passed


@dataclass(frozen=True)
class TutorOptions:
    """The options of ``Tutor-v0``.

    :param dropout_scale: factor of the hazard of leaving, or a preset: ``committed`` (1) or
        ``open course`` (5)
    :param horizon: steps after which an episode is truncated, 1..10,000
    :param modules_per_topic: 1..4
    :param reveal_hidden: put the learner's hidden state into ``info["hidden"]``
    :param learner: ``bkt`` forgets at a small constant rate; ``half_life`` forgets exponentially,
        with a half-life that doubles with each module completed and quiz passed in the topic
    :raises EnvError: if an option is unknown, of the wrong type or out of range
    """

    dropout_scale: float | str = "committed"
    horizon: int = 40
    modules_per_topic: int = 2
    reveal_hidden: bool = False
    learner: str = "bkt"

    @classmethod
    def from_keywords(cls, keywords: Mapping[str, Any]) -> Self:
        """Build options from ``env.kwargs``; raises EnvError as the class does."""
        known = cls.__dataclass_fields__
        unknown = [
            _problem(
                name, "Unknown option.", did_you_mean(name, known) or f"Known: {', '.join(known)}."
            )
            for name in keywords
            if name not in known
        ]
        if unknown:
            raise EnvError(*unknown)
        return cls(**keywords)

    def __post_init__(self) -> None:
        problems = [
            *_scale_problems(self.dropout_scale),
            *_whole_number_problems("horizon", self.horizon, LONGEST_HORIZON),
            *_whole_number_problems("modules_per_topic", self.modules_per_topic, MOST_MODULES),
        ]
        if not isinstance(self.reveal_hidden, bool):
            problems.append(
                _problem("reveal_hidden", f"{self.reveal_hidden!r} is not true or false.")
            )
        if self.learner not in LEARNERS:
            cure = did_you_mean(self.learner, LEARNERS) or f"Known: {', '.join(LEARNERS)}."
            problems.append(_problem("learner", f"There is no learner `{self.learner}`.", cure))
        if problems:
            raise EnvError(*problems)

    @property
    def dropout_factor(self) -> float:
        """The factor that :attr:`dropout_scale` names or is."""
        scale = self.dropout_scale
        return PRESETS[scale] if isinstance(scale, str) else float(scale)

    def build_model(self, limit: int | None = None) -> Model:
        """Return the model for the kernel.

        :param limit: truncate episodes after so many steps, if that is before :attr:`horizon`
        """
        hazard = tuple(self.dropout_factor * hazard for hazard in model.HAZARDS)
        practices = range(MOST_MODULES + 2)
        forget = tuple(model.FORGET for _ in practices)
        if self.learner == "half_life":
            # Settles & Meeder (2016): recall 2^(−Δ/h) with h = 2^(θ·x), x counting practice
            forget = tuple(1.0 - 2.0 ** (-1.0 / (model.HALF_LIFE * 2.0**n)) for n in practices)
        last = self.horizon if limit is None else min(limit, self.horizon)
        return Model(self.modules_per_topic, self.horizon, last, hazard, forget)


def _problem(option: str, what: str, cure: str = "") -> Problem:
    return Problem(what, f"env.kwargs.{option}", cure)


def _scale_problems(scale: object) -> list[Problem]:
    highest = 1.0 / max(model.HAZARDS)
    if isinstance(scale, str):
        if scale in PRESETS:
            return []
        cure = did_you_mean(scale, PRESETS) or f"Presets: {', '.join(PRESETS)}."
        return [_problem("dropout_scale", f"There is no preset `{scale}`.", cure)]
    if (
        isinstance(scale, bool)
        or not isinstance(scale, int | float)
        or not math.isfinite(scale)
        or not 0.0 <= scale <= highest
    ):
        what = f"{scale!r} is not a number from 0 to {highest:.3g}."
        cure = "With more than that, the probability of leaving would exceed 1."
        return [_problem("dropout_scale", what, cure)]
    return []


def _whole_number_problems(option: str, value: object, highest: int) -> list[Problem]:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= highest:
        return []
    return [_problem(option, f"{value!r} is not a whole number from 1 to {highest}.")]
