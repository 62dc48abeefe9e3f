"""Coverage of 95 % intervals over a few runs, and error rates of the sequential test.

    python benchmarks/interval_coverage.py

Prints the tables of docs/comparing.md. Takes about a minute.
"""

from collections.abc import Callable

import numpy as np
from scipy import stats

from rl_runner.evaluation.statistics.differences import welch
from rl_runner.evaluation.statistics.means import mean_interval
from rl_runner.evaluation.statistics.probabilities import probability_of_improvement
from rl_runner.evaluation.statistics.ranks import (
    interquartile_mean,
    interquartile_mean_interval,
    median_interval,
)
from rl_runner.evaluation.statistics.sequential import e_value

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Ends = tuple[np.ndarray, np.ndarray]

RETURNS: dict[str, Draw] = {
    "normal": lambda rng, shape: rng.normal(200, 60, shape),
    "log-normal, σ .5": lambda rng, shape: rng.lognormal(0, 0.5, shape),
    "exponential": lambda rng, shape: rng.exponential(1, shape),
    "ceiling, a third of runs at 500": lambda rng, shape: np.minimum(
        500, rng.normal(475, 60, shape)
    ),
    "ceiling, half at 500": lambda rng, shape: np.minimum(500, rng.normal(500, 60, shape)),
    "log-normal, σ 1": lambda rng, shape: rng.lognormal(0, 1, shape),
}
N_SAMPLES = 8000
N_RESAMPLED = 2000
LOOKS = range(5, 31, 5)


def students(values: np.ndarray) -> Ends:
    """Return Student's interval of the mean."""
    n = len(values)
    half = stats.t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return values.mean(axis=0) - half, values.mean(axis=0) + half


def bootstrap(values: np.ndarray, *, corrected: bool) -> Ends:
    """Return the percentile bootstrap's interval of the mean, or BCa's, of the first samples."""
    result = stats.bootstrap(
        (values[:, :N_RESAMPLED],),
        np.mean,
        n_resamples=1000,
        method="BCa" if corrected else "percentile",
        rng=np.random.default_rng(0),
    )
    return result.confidence_interval.low, result.confidence_interval.high


def coverage(truth: float, ends: Ends) -> str:
    """Return how many intervals hold the truth, as a table has it."""
    low, high = ends
    return f"{np.mean((low <= truth) & (truth <= high)):.3f}".removeprefix("0")


def medians(values: np.ndarray) -> Ends:
    """Return the intervals of the medians."""
    ends = np.array([median_interval(sample) for sample in values.T])
    return ends[:, 0], ends[:, 1]


def differences(a: np.ndarray, b: np.ndarray) -> Ends:
    """Return Welch's intervals of the differences of means."""
    tests = [welch(x, y) for x, y in zip(a.T, b.T, strict=True)]
    ends = np.array([(test.low, test.high) for test in tests if test is not None])
    return ends[:, 0], ends[:, 1]


def improvements(a: np.ndarray, b: np.ndarray) -> Ends:
    """Return the intervals of the probabilities of improvement."""
    pairs = zip(a.T[:N_RESAMPLED], b.T, strict=False)
    ends = np.array([probability_of_improvement(x, y)[1] for x, y in pairs])
    return ends[:, 0], ends[:, 1]


def print_coverage(n: int) -> None:
    """Print a table of all intervals at n runs."""
    rng = np.random.default_rng(n)
    names = ("ours", "Student", "bootstrap", "BCa", "median", "IQM", "difference", "P(better)")
    print(f"\n{n} runs\n\n| returns | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for name, draw in RETURNS.items():
        values, population = draw(rng, (n, N_SAMPLES)), draw(rng, (4_000_000,))
        other = draw(rng, (n, N_SAMPLES))
        values, other = (x[:, np.ptp(x, axis=0) > 0] for x in (values, other))
        m = min(values.shape[1], other.shape[1])
        iqm = interquartile_mean_interval(values)
        assert iqm is not None  # noqa: S101 - five runs have one
        truth = float(population.mean())
        cells = (
            coverage(truth, mean_interval(values)),
            coverage(truth, students(values)),
            coverage(truth, bootstrap(values, corrected=False)),
            coverage(truth, bootstrap(values, corrected=True)),
            coverage(float(np.median(population)), medians(values)),
            coverage(float(interquartile_mean(population)), iqm),
            coverage(0.0, differences(values[:, :m], other[:, :m])),
            coverage(0.5, improvements(values[:, :m], other[:, :m])),
        )
        print(f"| {name} | {' | '.join(cells)} |")


def print_sequential() -> None:
    """Print how often equal means are called different over six looks, and the seeds it takes."""
    rng = np.random.default_rng(0)
    shape = (30, 20_000)
    small = rng.normal(0, 0.2, shape)
    nulls = {f"both {name}": draw(rng, shape) - draw(rng, shape) for name, draw in RETURNS.items()}
    nulls["both 500 in 80 % of runs, else 10"] = np.where(
        rng.random(shape) < 0.8, 500.0, 10.0
    ) - np.where(rng.random(shape) < 0.8, 500.0, 10.0)
    nulls["log-normal σ .5, normal σ .2"] = rng.lognormal(0, 0.5, shape) - np.exp(0.125) - small
    nulls["exponential, normal σ .2"] = rng.exponential(1, shape) - 1 - small
    header = "| equal means | looks every 5 seeds | after every seed | t test, every 5 |"
    print(f"\n{header}\n|---|---|---|---|")
    for name, values in nulls.items():
        every_5 = np.max([e_value(values[:n]) for n in LOOKS], axis=0) > 20
        every_1 = np.max([e_value(values[:n]) for n in range(5, 31)], axis=0) > 20
        with np.errstate(invalid="ignore"):
            p_values = [stats.ttest_1samp(values[:n], 0.0).pvalue for n in LOOKS]
        fixed = np.nanmin(p_values, axis=0) < 0.05
        rates = " | ".join(f"{np.mean(x):.3f}".removeprefix("0") for x in (every_5, every_1, fixed))
        print(f"| {name} | {rates} |")
    print(
        "\n| difference in standard deviations | decided by 30 | mean seeds of each |"
        "\n|---|---|---|"
    )
    for effect in (0.5, 1.0, 1.5, 2.0, 3.0, 5.0):
        values = rng.normal(effect, 1, shape) - rng.normal(0, 1, shape)
        decided = np.array([e_value(values[:n]) > 20 for n in LOOKS])
        first = np.where(decided.any(axis=0), np.array(LOOKS)[decided.argmax(axis=0)], 30)
        print(f"| {effect:g} | {decided.any(axis=0).mean():.2f} | {first.mean():.1f} |")


if __name__ == "__main__":
    for n_runs in (5, 10):
        print_coverage(n_runs)
    print_sequential()
