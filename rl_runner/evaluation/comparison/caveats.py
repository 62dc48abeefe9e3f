"""The limits of a comparison: one sentence for each thing that weakens its numbers."""

from collections.abc import Iterator, Sequence

from rl_runner.evaluation.comparison.compare import Comparison, Row
from rl_runner.evaluation.comparison.pairs import format_seeds
from rl_runner.evaluation.comparison.scores import describe_equal_scores
from rl_runner.evaluation.statistics.ranks import FEWEST_FOR_RANKS

ENOUGH_SEEDS = FEWEST_FOR_RANKS
MOST_NAMED = 5  # seeds listed one by one


def caveats(comparison: Comparison) -> list[str]:
    """Return one sentence for each limitation that a reader of the table must know."""
    return [
        *_missing_runs(comparison),
        *_without_best_agent(comparison),
        *_partly_exact(comparison),
        *_undecided(comparison),
        *_separated(comparison),
        *_few_seeds(comparison.rows),
        *_equal_runs(comparison),
        *_without_bounds(comparison),
        *_unequal(comparison),
        *_different_versions(comparison.rows),
        *_different_unlisted_code(comparison.rows),
        *_incomplete_curves(comparison.rows),
        *_no_scale(comparison),
    ]


def _missing_runs(comparison: Comparison) -> Iterator[str]:
    for row in comparison.rows:
        experiment = row.experiment
        if not experiment.missing:
            continue
        total = len(experiment.runs)
        named = "; ".join(
            f"seed {run.seed} {run.problem}" for run in experiment.missing[:MOST_NAMED]
        )
        more = "; …" if len(experiment.missing) > MOST_NAMED else ""
        effect = "which may make it look better than it is"
        if not experiment.finished:
            effect = "so it has no score"
        yield (
            f"{row.label}: {len(experiment.missing)} of {total} seeds have no result and are left "
            f"out, {effect} ({named}{more})."
        )


def _without_best_agent(comparison: Comparison) -> Iterator[str]:
    for row in comparison.rows:
        runs = row.experiment.finished
        without = [run.seed for run in runs if run.result(comparison.agent) is None]
        if without:
            yield (
                f"{row.label}: the {comparison.agent} agent of seed {_seeds(without)} has no "
                "result and is left out, which may make the result look better than it is."
            )


def _partly_exact(comparison: Comparison) -> Iterator[str]:
    """Name the runs without exact returns, if others have them: sampled ones are then compared."""
    if comparison.measure == "exact":
        return
    # Count the exact results, and list the seeds without one.
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
            "Sampled returns are compared, although some runs have exact ones, because these runs "
            f"have none: {'; '.join(lacking)}."
        )


def _seeds(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds[:MOST_NAMED])) + (", …" if len(seeds) > MOST_NAMED else "")


def _undecided(comparison: Comparison) -> Iterator[str]:
    open_pairs = [pair for pair in comparison.pairs if pair.verdict == "not shown"]
    if not open_pairs:
        return
    of = f"{len(open_pairs)} of {len(comparison.pairs)} differences are"
    them, differences, ones = "them", "differences are", "ones"
    if len(open_pairs) == 1:
        of = f"1 of {len(comparison.pairs)} differences is"
        them, differences, ones = "it", "difference is", "one"
    if len(comparison.pairs) == 1:
        of = "The difference is"
    needed = [pair.seeds_needed for pair in open_pairs if pair.seeds_needed is not None]
    text = f"{of} not shown by these seeds."
    if needed:
        few, many = format_seeds(min(needed)), format_seeds(max(needed))
        count = few if few == many else f"{few} to {many}"
        text += f" About {count} seeds of each would show {them} with a probability of 80 %, if the"
        text += f" observed {differences} the true {ones}."
    yield text


def _separated(comparison: Comparison) -> Iterator[str]:
    """Explain pairs whose runs do not overlap, although no difference of means is shown."""
    bounds = comparison.bounds
    separated = [
        pair
        for pair in comparison.pairs
        if pair.verdict == "not shown" and pair.probability_of_improvement.value in {0.0, 1.0}
    ]
    if separated and bounds is not None:
        pairs = "; ".join(f"{pair.first} and {pair.second}" for pair in separated[:MOST_NAMED])
        yield (
            f"{pairs}: all runs of one are better than all runs of the other. Their means can "
            f"still be equal: returns can be as low as {bounds.low:g} and as high as "
            f"{bounds.high:g}, and results too rare for these seeds can outweigh the difference."
        )


def _few_seeds(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        n = len(row.scores)
        if n == 1:
            yield f"{row.label}: a single seed says nothing about other seeds, so no interval."
        elif 1 < n < ENOUGH_SEEDS:
            runs = ", ".join(f"{score:g}" for score in row.scores)
            yield (
                f"{row.label}: {n} seeds are too few for a claim ({runs}). Comparisons need "
                f"{ENOUGH_SEEDS}, and so do the intervals of the median and the interquartile mean."
            )


def _equal_runs(comparison: Comparison) -> Iterator[str]:
    for row in comparison.rows:
        if said := describe_equal_scores(row.scores.tolist(), comparison.bounds):
            yield f"{row.label}: {said}."


def _without_bounds(comparison: Comparison) -> Iterator[str]:
    if comparison.bounds is None:
        yield (
            f"No bounds of returns are known for {comparison.environment.id}: intervals"
            " and tests assume that these runs show how much returns vary, so rare failures can"
            " be missed. `env.return_bounds: [low, high]` in the configs would give it."
        )


def _unequal(comparison: Comparison) -> Iterator[str]:
    configs = [row.experiment.config for row in comparison.rows]
    # Budgets
    budgets = sorted({config.train.total_timesteps for config in configs})
    if len(budgets) > 1:
        yield (
            f"The budgets differ, from {budgets[0]:,} to {budgets[-1]:,} timesteps: the table "
            "compares final results, the learning curves results at equal timesteps."
        )
    # Environments; a difference in anything but the wrappers has been refused already
    wrappers = {tuple(wrapper.name for wrapper in config.env.wrappers) for config in configs}
    if len(wrappers) > 1:
        yield (
            "The environments' wrappers differ. If one of them changes rewards, these returns are "
            "not comparable."
        )
    codes = [{} if config.code is None else config.code.modules for config in configs]
    if any(code != codes[0] for code in codes):
        differing = sorted(
            {name for code in codes for name in code if code[name] != codes[0].get(name)}
            | {name for name in codes[0] if any(name not in code for code in codes)}
        )
        yield (
            f"The experiments ran different code ({', '.join(differing)}). If it changes the "
            "environment, these returns are not comparable."
        )
    # Evaluation settings
    if len({config.eval.deterministic for config in configs}) > 1:
        yield "Some agents were evaluated with deterministic actions and others with sampled ones."
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


def _different_unlisted_code(rows: Sequence[Row]) -> Iterator[str]:
    """Name modules of computed names, and files of data, that the runs had in several versions."""
    runs = [run for row in rows for run in row.experiment.finished]
    names = sorted({name for run in runs for name in run.unlisted_code})
    found = {name: {run.unlisted_code.get(name) for run in runs} - {None} for name in names}
    if differing := [f"`{name}`" for name in names if len(found[name]) > 1]:
        yield (
            f"The runs used different versions of {', '.join(differing)}. If it changes the "
            "environment, their returns do not belong together."
        )


def _incomplete_curves(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        without = [run.seed for run in row.experiment.finished if run.curve is None]
        if without:
            seeds = ", ".join(map(str, without))
            yield (
                f"{row.label}: the periodic evaluations of seed {seeds} cannot be read or are not "
                "finite numbers; they are left out of the learning curve."
            )


def _no_scale(comparison: Comparison) -> Iterator[str]:
    if comparison.scale is None:
        why = f": {comparison.scale_problem}" if comparison.scale_problem else "."
        yield f"Returns are not normalised, because the random policy could not be measured{why}"
    elif comparison.scale.best is None:
        yield (
            f"No optimum and no reward threshold is known for {comparison.environment.id}, so "
            "returns are not normalised."
        )
