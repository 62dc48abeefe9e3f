"""Learner steps a second of Tutor-v0, batched and single, on one core.

python benchmarks/tutor_speed.py

Times are of the processor, not of the clock, so that other work on the machine disturbs little; the
median and the best of five measurements are shown. Actions are random and drawn beforehand.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np

from rl_runner.envs.tutor.env import TutorEnv
from rl_runner.envs.tutor.vector import TutorVectorEnv

REPEATS = 5
SECONDS = 0.2


def main() -> None:
    """Print one row per batch size, then the single environment."""
    print("| learners | M steps/s, median | best | µs a call |")
    print("|---|---|---|---|")
    for n in (1, 16, 64, 256, 1024, 4096):
        env = TutorVectorEnv(n)
        env.reset(seed=0)
        actions = np.random.default_rng(0).integers(6, size=(64, n))
        row(str(n), n, lambda k, env=env, actions=actions: env.step(actions[k % 64]))
    single, random = TutorEnv(), np.random.default_rng(0)
    single.reset(seed=0)

    def step(_: int) -> None:
        _, _, terminated, truncated, _ = single.step(random.integers(6))
        if terminated or truncated:
            single.reset()

    row("1 (TutorEnv)", 1, step)


def row(label: str, n: int, step: Callable[[int], object]) -> None:
    """Time ``step`` and print its row."""
    calls = 100
    for k in range(calls):
        step(k)
    calls = max(20, int(calls * SECONDS / measure(step, calls)))
    times = sorted(measure(step, calls) / calls for _ in range(REPEATS))
    median, best = statistics.median(times), times[0]
    cells = (f"{n / median / 1e6:.2f}", f"{n / best / 1e6:.2f}", f"{median * 1e6:.0f}")
    print(f"| {label} | {' | '.join(cells)} |", flush=True)


def measure(step: Callable[[int], object], calls: int) -> float:
    """Return the processor seconds of this many calls."""
    started = time.process_time()
    for k in range(calls):
        step(k)
    return time.process_time() - started


if __name__ == "__main__":
    main()
