"""What a comparison's numbers cannot carry, said in words."""

from collections.abc import Iterator, Sequence

import numpy as np

from rl_runner.evaluation.comparison.compare import Comparison, Pair, Row
from rl_runner.evaluation.statistics.intervals import FEWEST_FOR_RANKS

ENOUGH_SEEDS = FEWEST_FOR_RANKS
MANY_SEEDS = 10_000
NAMED = 5  # so many seeds are named one by one


def caveats(comparison: Comparison) -> list[str]:
    """Return one sentence for each thing that a reader of the table must know."""
    return [
        *_missing_runs(comparison),
        *_without_best_agent(comparison),
        *_partly_exact(comparison),
        *_undecided(comparison),
        *_few_seeds(comparison.rows),
        *_equal_runs(comparison.rows),
        *_unequal(comparison),
        *_different_versions(comparison.rows),
        *_incomplete_curves(comparison.rows),
        *_no_scale(comparison),
    ]


def verdict(pair: Pair) -> str:
    """Say what the runs of a pair can carry: never more than the interval and the test allow."""
    if pair.p_value is None:
        if min(pair.n) < 2:
            return "a single seed cannot tell"
        if pair.difference == 0.0:
            return "every run came out the same"
        return "no spread between runs to judge it by"
    if pair.is_decided:
        return "decided"
    if pair.seeds_needed is None:
        return "not decided"
    return f"not decided (~{_count(pair.seeds_needed)} seeds)"


def _count(seeds: int) -> str:
    return f"{seeds:,}" if seeds < MANY_SEEDS else f"more than {MANY_SEEDS:,}"


def _missing_runs(comparison: Comparison) -> Iterator[str]:
    for row in comparison.rows:
        experiment = row.experiment
        if not experiment.missing:
            continue
        total = len(experiment.runs)
        named = "; ".join(f"seed {run.seed} {run.problem}" for run in experiment.missing[:NAMED])
        more = "; …" if len(experiment.missing) > NAMED else ""
        effect = "which may flatter it" if experiment.finished else "so it has no score"
        yield (
            f"{row.label}: {len(experiment.missing)} of {total} seeds have no result and are in no "
            f"figure here, {effect} ({named}{more})."
        )


def _without_best_agent(comparison: Comparison) -> Iterator[str]:
    for row in comparison.rows:
        runs = row.experiment.finished
        without = [run.seed for run in runs if run.result(comparison.agent) is None]
        if without:
            yield (
                f"{row.label}: the {comparison.agent} agent of seed {_seeds(without)} has no "
                "finite return and is in no figure here, which may flatter it."
            )


def _partly_exact(comparison: Comparison) -> Iterator[str]:
    """Name the runs for want of whose exact returns sampled ones are compared."""
    if comparison.measure == "exact":
        return
    lacking, n_exact = [], 0
    for row in comparison.rows:
        results = [(run.seed, run.result(comparison.agent)) for run in row.experiment.finished]
        known = [(seed, result) for seed, result in results if result is not None]
        without = [seed for seed, result in known if result.exact_mean_reward is None]
        n_exact += len(known) - len(without)
        if without:
            lacking.append(f"{row.label} seed {_seeds(without)}")
    if n_exact and lacking:
        yield (
            "Sampled returns are compared although some runs have exact ones, because others have "
            f"none: {'; '.join(lacking)}."
        )


def _seeds(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds[:NAMED])) + (", …" if len(seeds) > NAMED else "")


def _undecided(comparison: Comparison) -> Iterator[str]:
    open_pairs = [pair for pair in comparison.pairs if not pair.is_decided]
    if not open_pairs:
        return
    of = f"{len(open_pairs)} of {len(comparison.pairs)} differences"
    if len(comparison.pairs) == 1:
        of = "The difference"
    needed = [pair.seeds_needed for pair in open_pairs if pair.seeds_needed is not None]
    text = f"{of} cannot be claimed from these seeds."
    if needed:
        few, many = _count(min(needed)), _count(max(needed))
        count = few if few == many else f"{few} to {many}"
        text += f" About {count} seeds each would show them with a probability of 80 %, were the"
        text += " differences seen the true ones."
    yield text


def _few_seeds(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        n = len(row.scores)
        if n == 1:
            yield f"{row.label}: a single seed says nothing about the next one; no interval."
        elif 1 < n < ENOUGH_SEEDS:
            yield (
                f"{row.label}: {n} seeds are too few for a claim; with {ENOUGH_SEEDS} the median "
                "and the interquartile mean get intervals too."
            )


def _equal_runs(rows: Sequence[Row]) -> Iterator[str]:
    """Say how many runs may still differ when none has yet: 1 − .05^(1/n), Clopper and Pearson."""
    equal: dict[int, list[str]] = {}
    for row in rows:
        if len(row.scores) > 1 and np.ptp(row.scores) == 0.0:
            equal.setdefault(len(row.scores), []).append(row.label)
    for n, labels in equal.items():
        share = 1 - 0.05 ** (1 / n)
        yield (
            f"{', '.join(labels)}: all {n} runs came out the same, so the intervals have no width. "
            f"Up to {share:.0%} of further runs could still differ (at 95 %)."
        )


def _unequal(comparison: Comparison) -> Iterator[str]:
    configs = [row.experiment.config for row in comparison.rows]
    budgets = sorted({config.train.total_timesteps for config in configs})
    if len(budgets) > 1:
        yield (
            f"The budgets differ, from {budgets[0]:,} to {budgets[-1]:,} timesteps: the table "
            "compares what each reached at its own end, the learning curves at equal timesteps."
        )
    wrappers = {tuple(wrapper.name for wrapper in config.env.wrappers) for config in configs}
    if len(wrappers) > 1:
        yield (
            "The environments' wrappers differ. If one of them changes rewards, these returns are "
            "not comparable."
        )
    if len({config.eval.deterministic for config in configs}) > 1:
        yield "Some agents were judged by their likeliest actions and others by sampled ones."
    episodes = sorted({config.eval.final_episodes for config in configs})
    if len(episodes) > 1 and comparison.measure == "held-out":
        yield f"The held-out episodes per run differ, from {episodes[0]:,} to {episodes[-1]:,}."


def _different_versions(rows: Sequence[Row]) -> Iterator[str]:
    runs = [run for row in rows for run in row.experiment.finished]
    packages = sorted({package for run in runs for package in run.versions})
    differing = []
    for package in packages:
        found = sorted({run.versions[package] for run in runs if package in run.versions})
        if len(found) > 1:
            differing.append(f"{package} {', '.join(found)}")
    if differing:
        yield f"The runs were made with different versions: {'; '.join(differing)}."


def _incomplete_curves(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        without = [run.seed for run in row.experiment.finished if run.curve is None]
        if without:
            seeds = ", ".join(map(str, without))
            yield (
                f"{row.label}: the periodic evaluations of seed {seeds} cannot be read or are not "
                "finite numbers; its learning curve is without them."
            )


def _no_scale(comparison: Comparison) -> Iterator[str]:
    if comparison.scale is None:
        yield "The random policy could not be measured here, so nothing is normalised."
    elif comparison.scale.best is None:
        yield (
            f"No optimum and no reward threshold is known for {comparison.environment.id}, so "
            "nothing is normalised."
        )
