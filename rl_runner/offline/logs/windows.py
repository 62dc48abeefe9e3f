"""The split of a log by time into a training window and a held-out one, without overlap."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from rl_runner.config.data import DataConfig, parse_duration, parse_moment
from rl_runner.errors import DataError, Problem
from rl_runner.offline.logs.interactions import Interactions, moment


@dataclass(frozen=True)
class Window:
    """The time after ``start`` up to and including ``end``, in microseconds since 1970."""

    start: int
    end: int

    def mask(self, log: Interactions) -> np.ndarray:
        """Return (n,) whether each interaction lies within."""
        inside: np.ndarray = (log.ts > self.start) & (log.ts <= self.end)
        return inside

    @property
    def ends(self) -> tuple[str, str]:
        """The start and the end as text, to the second."""
        return _short(moment(self.start)), _short(moment(self.end))

    def __str__(self) -> str:
        return " to ".join(self.ends)


@dataclass(frozen=True)
class RareUsers:
    """The users with few interactions, who are left out of training."""

    users: int
    users_share: float
    interactions: int
    interactions_share: float


@dataclass(frozen=True)
class Split:
    """The training window with its interactions, and the window held out."""

    window: Window
    train: Interactions
    holdout: Window | None
    in_window: int  # interactions in the training window
    rare: RareUsers
    beyond_budget: int = 0  # interactions left out because they are older than the budget


def split(log: Interactions, config: DataConfig, already_learned: int | None = None) -> Split:
    """Split a log as a ``data`` section says.

    :param already_learned: the time, in microseconds, until which an earlier table has learned;
        earlier interactions are left out, so that none counts twice
    :raises DataError: if nothing is left to train on
    """
    # The windows, from the end backwards.
    end = microseconds(parse_moment(config.until)) if config.until else int(log.ts[-1])
    held = _span(config.holdout) if config.holdout else 0
    window = Window(end - held - _span(config.window), end - held)
    if already_learned is not None:
        window = Window(max(window.start, already_learned), window.end)
    if window.start >= window.end:
        what = f"The earlier table has already learned until {_short(moment(window.start))}."
        cure = "Give newer logs, or leave out `data.continue_from`."
        raise DataError(Problem(what, "data.continue_from", cure))
    # The interactions in the training window, without those of rare users.
    inside = log.take(window.mask(log))
    if len(inside) == 0:
        what = f"The window from {window} is empty."
        cure = f"The log reaches from {_short(log.first_time)} to {_short(log.last_time)}; "
        raise DataError(
            Problem(what, "data.window", cure + "change `data.window`, `holdout` or `until`.")
        )
    train, rare = without_rare_users(inside, config.min_interactions_per_user)
    holdout = Window(window.end, end) if held else None
    return Split(window, train, holdout, len(inside), rare)


def without_rare_users(log: Interactions, at_least: int) -> tuple[Interactions, RareUsers]:
    """Leave out users with few interactions; return the rest, and what was left out.

    :param at_least: the interactions that a user needs to be kept
    :raises DataError: if no user has so many
    """
    counts = np.bincount(log.user)
    present = counts > 0
    rare = present & (counts < at_least)
    left_out = RareUsers(
        users=int(rare.sum()),
        users_share=float(rare.sum() / present.sum()),
        interactions=int(counts[rare].sum()),
        interactions_share=float(counts[rare].sum() / len(log)),
    )
    if rare.sum() == present.sum():
        what = f"None of {present.sum():,} users has {at_least} interactions in the window."
        cure = f"The busiest has {counts.max()}: lower `data.min_interactions_per_user`, or widen "
        raise DataError(Problem(what, "data.min_interactions_per_user", cure + "`data.window`."))
    return (log if not rare.any() else log.take(~rare[log.user])), left_out


def evaluation_window(log: Interactions, span: str | None, learned_until: int) -> Window:
    """Return the last ``span`` of a log, without what was learned from.

    :param span: for example ``3d``; None means everything after what was learned from
    :raises DataError: if nothing is left
    """
    end = int(log.ts[-1])
    start = int(log.ts[0]) - 1 if span is None else end - _span(span)
    window = Window(max(start, learned_until), end)
    if window.start >= window.end or not window.mask(log).any():
        what = f"Nothing to judge by: the run has learned until {_short(moment(learned_until))}, "
        what += f"and the log ends on {_short(moment(end))}."
        raise DataError(Problem(what, "", "Give a log that continues after that time."))
    return window


def within_budget(parts: Split, at_most: int) -> Split:
    """Keep only the ``at_most`` newest interactions to train on."""
    beyond = max(0, len(parts.train) - at_most)
    train = parts.train.take(np.arange(beyond, len(parts.train))) if beyond else parts.train
    return replace(parts, train=train, beyond_budget=beyond)


def microseconds(when: datetime) -> int:
    """Return a time as microseconds since 1970."""
    return round(when.timestamp() * 1e6)


def _span(text: str) -> int:
    return round(parse_duration(text).total_seconds() * 1e6)


def _short(when: datetime) -> str:
    return when.isoformat(timespec="seconds").replace("+00:00", "Z")
