"""How much faster `rl eval` is than SB3's evaluate_policy with one environment, on the same seeds.

python benchmarks/evaluation.py RUN [n_episodes] [n_timed]

plays the first episodes with both and compares the returns one by one; then times a few.
Processor time is taken, not wall time, so that other work on the machine counts less.
"""

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from rl_runner.envs import make_single_env
from rl_runner.envs.seeded import EpisodeSeeds
from rl_runner.evaluation.episodes import play_episodes
from rl_runner.evaluation.saved_agent import Run, build_evaluation_env, load_run
from rl_runner.seeding import SeedTree


def main() -> None:
    """Print both ways' returns if they differ, and the time per environment step of each."""
    run = load_run(sys.argv[1])
    n_episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    n_timed = int(sys.argv[3]) if len(sys.argv) > 3 else 5
    torch.set_num_threads(1)
    seeds = SeedTree(run.seed).final_evaluation(n_episodes)

    ours = play_vectorised(run, seeds)
    theirs = play_with_sb3(run, seeds)
    different = sum(a != b for a, b in zip(ours[0], theirs[0], strict=True))
    print(f"{n_episodes} episodes: {different} returns differ")

    ratios = []
    for i in range(n_timed):
        few = seeds[i * 10 : i * 10 + 10]
        ratios.append(seconds_per_step(play_with_sb3, run, few) / (ours[1] / ours[2]))
    for name, (_, seconds, steps) in (("rl eval", ours), ("evaluate_policy", theirs)):
        print(f"{name}: {seconds:.1f} s, {1e6 * seconds / steps:.1f} µs a step")
    print(f"speed-up, whole: {theirs[1] / theirs[2] * ours[2] / ours[1]:.1f}")
    print(f"speed-up, median of {n_timed} short timings of SB3: {median(ratios):.1f}")


Played = tuple[list[float], float, int]  # returns, processor seconds, environment steps


def play_vectorised(run: Run, seeds: list[int]) -> Played:
    """Play as `rl eval` does, building the environments included."""
    started = time.process_time()
    env = build_evaluation_env(run.config, seeds)
    episodes = play_episodes(run.agent, env, seeds)
    env.close()
    seconds = time.process_time() - started
    return episodes.returns.tolist(), seconds, int(episodes.lengths.sum())


def play_with_sb3(run: Run, seeds: list[int]) -> Played:
    """Play with one environment, whose episodes begin on the same seeds."""
    env = Monitor(EpisodeSeeds(make_single_env(run.config.env), seeds))
    started = time.process_time()
    returns, lengths = evaluate_policy(run.agent, env, len(seeds), return_episode_rewards=True)  # type: ignore[arg-type]
    seconds = time.process_time() - started
    env.close()
    return [float(each) for each in returns], seconds, sum(lengths)  # type: ignore[union-attr, arg-type]


def seconds_per_step(play: Callable[[Run, list[int]], Any], run: Run, seeds: list[int]) -> float:
    """Time some episodes."""
    _, seconds, steps = play(run, seeds)
    return float(seconds / steps)


if __name__ == "__main__":
    main()
