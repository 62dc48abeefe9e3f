"""Compares the speed of `rl eval` with SB3's evaluate_policy, on the same seeds.

python benchmarks/evaluation.py RUN [n_episodes] [n_compared]

plays the held-out episodes as `rl eval` does, the first of them with SB3 too, and compares returns.
Processor time is taken, not wall time, so that other work on the machine counts less.
"""

import sys
import time

import torch
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from rl_runner.envs import build_evaluation_env, make_single_env
from rl_runner.envs.episode_layers import EpisodeSeeds
from rl_runner.evaluation.play.episodes import play_episodes
from rl_runner.evaluation.play.loaded_run import Run, load_run
from rl_runner.seeding import SeedTree


def main() -> None:
    """Print how many returns differ, and the time per environment step of each way."""
    run = load_run(sys.argv[1])
    n_episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    n_compared = int(sys.argv[3]) if len(sys.argv) > 3 else n_episodes
    torch.set_num_threads(1)
    seeds = SeedTree(run.seed).final_evaluation(n_episodes)
    play_vectorised(run, seeds[:10])  # compiles what is compiled
    ours = play_vectorised(run, seeds)
    theirs = play_with_sb3(run, seeds[:n_compared])
    different = sum(a != b for a, b in zip(ours[0], theirs[0], strict=False))
    print(f"{n_compared} of {n_episodes} episodes compared: {different} returns differ")
    for name, (returns, seconds, steps) in (("rl eval", ours), ("evaluate_policy", theirs)):
        speed = f"{seconds:.1f} s, {1e6 * seconds / steps:.1f} µs a step"
        print(f"{name}: {len(returns)} episodes in {speed}")
    print(f"speed-up: {theirs[1] / theirs[2] * ours[2] / ours[1]:.1f}")


Played = tuple[list[float], float, int]  # returns, processor seconds, environment steps


def play_vectorised(run: Run, seeds: list[int]) -> Played:
    """Play as `rl eval` does, building the environments included."""
    started = time.process_time()
    env = build_evaluation_env(run.config.env, seeds, run.config.eval.n_envs)
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


if __name__ == "__main__":
    main()
