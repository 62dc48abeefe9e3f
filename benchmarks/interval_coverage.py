"""Coverage and width of 95 % intervals over a few runs, and error rates of the repeatable tests.

    python benchmarks/interval_coverage.py

Prints the tables of docs/comparing.md. Takes about fifteen minutes. Coverage is unconditional:
samples without any spread count as well, and an interval that is not given covers nothing, except
that it is shown as a dash where too few runs never have one.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rl_runner.evaluation.statistics.bounds import Bounds
from rl_runner.evaluation.statistics.differences import p_value_of_equal_means
from rl_runner.evaluation.statistics.dirichlet_means import bounded_mean_interval
from rl_runner.evaluation.statistics.means import mean_interval
from rl_runner.evaluation.statistics.ranks import (
    FEWEST_FOR_RANKS,
    interquartile_mean,
    interquartile_mean_interval,
    median_interval,
    probability_of_improvement,
)
from rl_runner.evaluation.statistics.sequential import betting_e_value, e_value

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
Ends = tuple[np.ndarray, np.ndarray]

CARTPOLE = Bounds(1.0, 500.0, "environment")
# The last agents of the DQN and QR-DQN runs on CartPole in docs/results.md
DQN_RUNS = (500.0, 500.0, 277.5, 500.0, 500.0, 500.0, 487.9, 500.0, 500.0, 397.3)


@dataclass(frozen=True)
class Returns:
    """A distribution of the runs' mean returns, and its bounds if they are taken as known."""

    draw: Draw
    bounds: Bounds | None = None


def bimodal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw runs of which 60 % succeed and the others fail."""
    return np.where(rng.random(shape) < 0.6, rng.normal(450, 20, shape), rng.normal(100, 20, shape))


def clipped(draw: Draw) -> Draw:
    """Return the draws, cut to CartPole's bounds."""
    return lambda rng, shape: np.clip(draw(rng, shape), CARTPOLE.low, CARTPOLE.high)


BOUNDED = {
    "500 in 80 % of runs, else 10": Returns(
        lambda rng, shape: np.where(rng.random(shape) < 0.8, 500.0, 10.0), CARTPOLE
    ),
    "500 in 35 % of runs, else 10": Returns(
        lambda rng, shape: np.where(rng.random(shape) < 0.35, 500.0, 10.0), CARTPOLE
    ),
    "half of runs at 500": Returns(clipped(lambda rng, s: rng.normal(500, 60, s)), CARTPOLE),
    "bimodal, 60 % near 450": Returns(clipped(bimodal), CARTPOLE),
    "DQN runs on CartPole": Returns(lambda rng, shape: rng.choice(DQN_RUNS, shape), CARTPOLE),
    "normal, 200 ± 60": Returns(clipped(lambda rng, s: rng.normal(200, 60, s)), CARTPOLE),
    "exponential, mean 50": Returns(clipped(lambda rng, s: rng.exponential(50, s)), CARTPOLE),
}
UNBOUNDED = {
    "normal": Returns(lambda rng, shape: rng.normal(200, 60, shape)),
    "log-normal, σ .5": Returns(lambda rng, shape: rng.lognormal(0, 0.5, shape)),
    "exponential": Returns(lambda rng, shape: rng.exponential(1, shape)),
    "log-normal, σ 1": Returns(lambda rng, shape: rng.lognormal(0, 1, shape)),
    "half of runs at 500": Returns(BOUNDED["half of runs at 500"].draw),
    "500 in 80 % of runs, else 10": Returns(BOUNDED["500 in 80 % of runs, else 10"].draw),
}
N_SAMPLES = 4000
N_DIFFERENCES = 1000
N_RESAMPLED = 1000
SIZES = (3, 5, 10, 20)
LOOKS = range(5, 31, 5)


def share(covered: np.ndarray | list[bool]) -> str:
    """Return how many intervals hold the truth, as a table has it."""
    return f"{np.mean(covered):.3f}".removeprefix("0")


def coverage(truth: float, ends: Ends) -> str:
    """Return the share of intervals that hold the truth; rounding at an end does not count."""
    low, high = ends
    slack = 1e-9 * max(1.0, abs(truth))
    return share((low - slack <= truth) & (truth <= high + slack))


def with_width(truth: float, ends: Ends) -> str:
    """Return coverage and mean width."""
    return f"{coverage(truth, ends)} / {np.mean(ends[1] - ends[0]):.3g}"


def bootstrap(values: np.ndarray) -> Ends:
    """Return the percentile bootstrap's interval of the mean of the first samples."""
    n, rng = len(values), np.random.default_rng(0)
    drawn = rng.integers(n, size=(1000, n))
    means = values[:, :N_RESAMPLED][drawn].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    return low, high


def medians(values: np.ndarray) -> Ends:
    """Return the intervals of the medians."""
    ends = np.array([median_interval(sample) for sample in values.T])
    return ends[:, 0], ends[:, 1]


def improvements(a: np.ndarray, b: np.ndarray) -> Ends:
    """Return the intervals of the probabilities of improvement."""
    ends = np.array([probability_of_improvement(x, y)[1] for x, y in zip(a.T, b.T, strict=True)])
    return ends[:, 0], ends[:, 1]


def difference_coverage(a: np.ndarray, b: np.ndarray, bounds: Bounds | None) -> str:
    """Return how often the interval of the difference of equal means contains zero."""
    pairs = zip(a.T[:N_DIFFERENCES], b.T, strict=False)
    p_values = [p_value_of_equal_means(x, y, bounds) for x, y in pairs]
    return share([p is None or p >= 0.05 for p in p_values])


def print_coverage(title: str, distributions: dict[str, Returns]) -> None:
    """Print a table of all intervals at all numbers of runs."""
    names = ("runs", "mean", "Hall's", "bootstrap", "median", "IQM", "difference", "P(better)")
    print(f"\n{title}\n\n| returns | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for name, returns in distributions.items():
        rng = np.random.default_rng(0)
        population = returns.draw(rng, (2_000_000,))
        mean, median = float(population.mean()), float(np.median(population))
        middle = float(interquartile_mean(population))
        for n in SIZES:
            if n < FEWEST_FOR_RANKS and returns.bounds is None:
                continue
            a, b = returns.draw(rng, (n, N_SAMPLES)), returns.draw(rng, (n, N_SAMPLES))
            cells = [str(n), "—", *([with_width(mean, mean_interval(a))] if n >= 5 else ["—"])]
            if returns.bounds is not None:
                cells[1] = with_width(mean, bounded_mean_interval(a, returns.bounds))
            cells.append(coverage(mean, bootstrap(a)))
            iqm = interquartile_mean_interval(a, returns.bounds)
            if iqm is None:
                cells += ["—"] * 4
            else:
                cells += [
                    coverage(median, medians(a)),
                    coverage(middle, iqm),
                    difference_coverage(a, b, returns.bounds),
                    coverage(0.5, improvements(a, b)),
                ]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


def print_unlike_pairs() -> None:
    """Print how often equal means of unlike distributions are called different."""
    failing = BOUNDED["500 in 80 % of runs, else 10"].draw
    rare: Draw = lambda rng, shape: np.where(rng.random(shape) < 0.95, 500.0, 10.0)
    pairs: dict[str, tuple[Draw, Draw]] = {
        "500 in 80 % of runs; normal 402 ± 20": (failing, lambda r, s: r.normal(402, 20, s)),
        "500 in 95 % of runs; normal 475.5 ± 5": (rare, lambda r, s: r.normal(475.5, 5, s)),
        "DQN runs; normal 466.3 ± 10": (
            BOUNDED["DQN runs on CartPole"].draw,
            lambda r, s: r.normal(np.mean(DQN_RUNS), 10, s),
        ),
    }
    print("\n| equal means | runs | bounds known | Welch |\n|---|---|---|---|")
    for name, (first, second) in pairs.items():
        for n in (5, 10, 20):
            rng = np.random.default_rng(n)
            a, b = first(rng, (n, N_DIFFERENCES)), clipped(second)(rng, (n, N_DIFFERENCES))
            cells = (difference_coverage(a, b, CARTPOLE), difference_coverage(a, b, None))
            print(f"| {name} | {n} | {' | '.join(cells)} |", flush=True)


def print_sequential() -> None:
    """Print how often equal means are called different over six looks, and the seeds it takes."""
    rng = np.random.default_rng(0)
    shape = (30, 20_000)
    cut = clipped
    rare = np.where(rng.random(shape) < 0.95, 500.0, 10.0)
    nulls = {
        f"both: {name}": returns.draw(rng, shape) - returns.draw(rng, shape)
        for name, returns in BOUNDED.items()
    }
    nulls["500 in 95 % of runs; normal 475.5 ± 5"] = rare - rng.normal(475.5, 5, shape)
    failing = BOUNDED["500 in 80 % of runs, else 10"].draw(rng, shape)
    nulls["500 in 80 % of runs; normal 402 ± 20"] = failing - rng.normal(402, 20, shape)
    dqn = BOUNDED["DQN runs on CartPole"].draw(rng, shape)
    nulls["DQN runs; normal 466.3 ± 10"] = dqn - rng.normal(np.mean(DQN_RUNS), 10, shape)
    print(
        "\n| equal means | bounds known | after every seed | normal assumed | t test, every 5 |"
        "\n|---|---|---|---|---|"
    )
    for name, values in nulls.items():
        bets = np.max([betting_e_value(values[:n], CARTPOLE.width) for n in LOOKS], axis=0)
        each = [betting_e_value(values[:n], CARTPOLE.width) for n in range(5, 31)]
        normal = np.max([e_value(values[:n]) for n in LOOKS], axis=0)
        with np.errstate(invalid="ignore"):
            p_values = [stats.ttest_1samp(values[:n], 0.0).pvalue for n in LOOKS]
        rates = (bets > 20, np.max(each, axis=0) > 20, normal > 20, np.nanmin(p_values, 0) < 0.05)
        print(f"| {name} | {' | '.join(share(rate) for rate in rates)} |", flush=True)
    print(
        "\n| difference | bounds known: decided by 30 | mean seeds | normal assumed | mean seeds |"
        "\n|---|---|---|---|---|"
    )
    for difference in (50, 100, 150, 200, 300, 400):
        low = 250 - difference / 2
        first = cut(lambda r, s, mean=low + difference: r.normal(mean, 40, s))(rng, (30, 4000))
        values = first - cut(lambda r, s, mean=low: r.normal(mean, 40, s))(rng, (30, 4000))
        cells = []
        for test in (lambda x: betting_e_value(x, CARTPOLE.width), e_value):
            decided = np.array([test(values[:n]) > 20 for n in LOOKS])
            at = np.where(decided.any(axis=0), np.array(LOOKS)[decided.argmax(axis=0)], 30)
            cells += [f"{decided.any(axis=0).mean():.2f}", f"{at.mean():.1f}"]
        print(f"| {difference} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    print_coverage("Bounds known (1 to 500)", BOUNDED)
    print_coverage("Bounds not known", UNBOUNDED)
    print_unlike_pairs()
    print_sequential()
