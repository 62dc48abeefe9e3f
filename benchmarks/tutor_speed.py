"""Learner steps a second of Tutor-v0 on one core, and the environment's share of training PPO.

python benchmarks/tutor_speed.py [config]

Times are of the processor, not of the clock, so that other work on the machine disturbs little; the
median and the best of five measurements are shown. Actions are random and drawn beforehand. The
share is what ``VecEnv.step`` takes, with SB3's infos and episode statistics, of a short training
with the config (default: configs/tutor/ppo.yaml), without its evaluations.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from rl_runner.agents.build import build_agent
from rl_runner.agents.registry import find_algorithm
from rl_runner.config import load_config
from rl_runner.envs import build_training_env
from rl_runner.envs.tutor.env import TutorEnv
from rl_runner.envs.tutor.vector import TutorVectorEnv
from rl_runner.seeding import SeedTree
from rl_runner.training.resolve import resolve

CONFIG = Path(__file__).parents[1] / "configs/tutor/ppo.yaml"
TRAINED_STEPS = 100_000
WARM_STEPS = 10_000  # what is compiled or loaded at first use is not training
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
    print_share(Path(sys.argv[1]) if len(sys.argv) > 1 else CONFIG)


def print_share(path: Path) -> None:
    """Train for a while and print how much of the time went into the environment."""
    config = resolve(load_config(path)).config
    seeds = SeedTree(0)
    env = build_training_env(config.env, config.algo, seeds)
    step, spent = env.step, 0.0

    def timed(actions: np.ndarray) -> VecEnvStepReturn:
        nonlocal spent
        started = time.process_time()
        result = step(actions)
        spent += time.process_time() - started
        return result

    env.step = timed  # type: ignore[method-assign]  # to be timed is what it is for
    algorithm, algo = find_algorithm(config.algo.name), config.algo
    agent = build_agent(algorithm, algo.hyperparameters, env, seeds.model, algo.engine)
    agent.learn(WARM_STEPS)
    started, spent, begun_at = time.process_time(), 0.0, agent.num_timesteps
    agent.learn(TRAINED_STEPS, reset_num_timesteps=False)
    seconds, steps = time.process_time() - started, agent.num_timesteps - begun_at
    print(
        f"\n{path.name}, {config.env.n_envs} learners, {steps:,} steps: {spent / seconds:.1%} of"
        f" {seconds:.1f} s in VecEnv.step, {1e6 * spent / steps * config.env.n_envs:.0f} µs a call"
    )


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
