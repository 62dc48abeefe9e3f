"""What summary.json says of a hyperparameter search; :mod:`rl_runner.tuning` writes it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rl_runner.runs.json_objects import JsonObject

FORMAT = 2  # of summary.json; increase it when the content changes
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ObjectiveSummary(JsonObject):
    """One objective: the score of a run, and how the scores of several seeds are combined."""

    measure: str
    last: int  # evaluations, for `last_mean`
    threshold: float | None  # of `time_to_threshold`
    over_seeds: str
    direction: str  # maximize or minimize
    description: str


@dataclass(frozen=True, kw_only=True)
class TrialSummary(JsonObject):
    """One trial of the search."""

    number: int
    outcome: str
    values: Mapping[str, Any]  # hyperparameters by dotted name
    scores: tuple[float, ...]  # one per objective; empty if it is not complete
    seeds: tuple[tuple[float, ...], ...]  # the score of each seed, per objective
    curve: tuple[tuple[int, float], ...]  # (timesteps counted through the seeds, mean return)
    seconds: float
    cause: str | None = None  # why it has no score

    @property
    def score(self) -> float:
        """The score for the first objective, of a complete trial."""
        return self.scores[0]


@dataclass(frozen=True, kw_only=True)
class ConfirmedSummary(JsonObject):
    """A candidate's results on fresh seeds. Intervals, gain and optimism are those of the mean."""

    candidate: str
    values: Mapping[str, Any]  # that differ from the starting config
    search_scores: tuple[float, ...] | None  # None: the starting config, which was not searched
    scores: tuple[float, ...]  # one per objective; empty if a run failed
    seeds: tuple[tuple[float, ...], ...]
    mean: float | None
    ci95: Interval | None
    gain: float | None  # over the starting config
    gain_ci95: Interval | None
    optimism: float | None  # by how much its mean was better in the search
    optimism_ci95: Interval | None
    failures: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StudySummary(JsonObject):
    """The results of a search, all that its pictures and its part of a report need."""

    format: int = FORMAT
    study: str
    path: str
    stopped: bool  # interrupted before its end
    total_timesteps: int  # of one run
    seeds_per_trial: int
    objectives: tuple[ObjectiveSummary, ...]
    search_space: Mapping[str, Mapping[str, Any]]  # as the config's `tune.search_space`
    n_trials: Mapping[str, int]  # by outcome
    best_trial: int | None
    pareto_front: tuple[int, ...] | None  # numbers of trials; None with one objective
    winner: str | None  # a candidate
    best_config: str | None  # the path of best.yaml
    confirmed: tuple[ConfirmedSummary, ...]
    importances: Mapping[str, float]  # by hyperparameter
    trials: tuple[TrialSummary, ...]

    @property
    def complete(self) -> list[TrialSummary]:
        """The complete trials, in order."""
        return [trial for trial in self.trials if trial.outcome == "complete"]

    @property
    def confirmed_winner(self) -> ConfirmedSummary | None:
        """The winner's results on fresh seeds; None without a winner."""
        return next((item for item in self.confirmed if item.candidate == self.winner), None)

    def describe_gain(self, number: Callable[[float], str]) -> str:
        """Say how the winner's mean differs from the starting config's, and what that shows.

        It is *better* only if the interval of the gain lies above 0. A winner by another measure
        over seeds may have the worse mean.

        :param number: formats a number
        :return: the end of a sentence that names the winner; empty without a gain
        """
        winner = self.confirmed_winner
        if winner is None or winner.gain is None:
            return ""
        gain, ends = winner.gain, winner.gain_ci95
        size, interval = number(abs(gain)), _interval_text("gain", ends, number)
        if ends is not None and ends[0] > 0:
            return f", {size} better than the starting config{interval}"
        if ends is not None and ends[1] < 0:
            return f", though its mean is {size} worse than the starting config's{interval}"
        than = f"{size} {self._direction(gain)} than"
        return f": its mean is {than} the starting config's{interval}, {_not_a_claim(ends)}"

    def describe_optimism(self, number: Callable[[float], str]) -> str:
        """Say in a sentence how the winner's mean in the search differs from that on fresh seeds.

        :param number: formats a number
        :return: empty without an optimism
        """
        winner = self.confirmed_winner
        if winner is None or winner.optimism is None or not winner.search_scores:
            return ""
        optimism, ends = winner.optimism, winner.optimism_ci95
        size, interval = number(abs(optimism)), _interval_text("optimism", ends, number)
        had = f"In the search it had {number(winner.search_scores[0])}"
        if ends is not None and ends[0] > 0:
            return f"{had}, which was too optimistic by {size}{interval}."
        than = f"{size} {self._direction(optimism)} than on fresh seeds"
        if ends is not None and ends[1] < 0:
            return f"{had}; its mean there was {than}{interval}."
        return f"{had}; its mean there was {than}{interval}, {_not_a_claim(ends)}."

    def _direction(self, improvement: float) -> str:
        """Return whether a mean that is better by this much is higher or lower."""
        is_maximized = self.objectives[0].direction == "maximize"
        return "higher" if (improvement >= 0) == is_maximized else "lower"


def _interval_text(name: str, ends: Interval | None, number: Callable[[float], str]) -> str:
    if ends is None:
        return ""
    return f" (95 % interval of the {name} {number(ends[0])} to {number(ends[1])})"


def _not_a_claim(ends: Interval | None) -> str:
    """Say why a difference is no claim: its interval includes 0, or it has none."""
    return "from too few seeds for a claim" if ends is None else "but a difference is not shown"
