"""Prints the exact values of the recommender's policies, and estimates of them from logs.

python benchmarks/recommender_ladder.py [interactions] [replicates]

Logs are simulated, uniformly random; every learner sees the same ones, a new log per replicate.
Values are exact: sums over the simulated people, no sampling.
"""

import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from rl_runner.envs.recommender.domain import N_STATES
from rl_runner.envs.recommender.exact import exact_model
from rl_runner.envs.recommender.policies import POLICIES, random_policy, with_exploration
from rl_runner.evaluation.statistics.summary import summarize
from rl_runner.offline.judging.judgement import judge
from rl_runner.offline.learning.log_q_learning import LogQLearning
from rl_runner.offline.learning.reward_regression import RewardRegression
from rl_runner.offline.logs.interactions import Interactions, read_interactions
from rl_runner.offline.logs.log_files import LogReader, write_log
from rl_runner.offline.logs.simulation import LogPlan, simulate_log

STATES = np.arange(N_STATES)
LEARNERS = {
    "Q-learning from the log, γ = .95": LogQLearning,
    "the same, γ = 0": lambda: LogQLearning(gamma=0.0),
    "the same, γ = .95, α = .1 throughout": lambda: LogQLearning(0.1, 0.0),
    "the same, γ = .95, almost no back-off": lambda: LogQLearning(shrinkage=0.1),
    "reward regression": RewardRegression,
}


def main() -> None:
    """Print both tables."""
    interactions = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    replicates = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    model = exact_model()
    uniform = model.occupancy(random_policy())
    values = {name: model.mean_return(make()) for name, make in POLICIES.items()}
    gap = values["optimal"] - values["random"]
    print("| policy | reward of a session | of the gap | reward on a random log's states |")
    print("|---|---|---|---|")
    for name, make in POLICIES.items():
        share, once = (values[name] - values["random"]) / gap, model.mean_reward(make(), uniform)
        print(f"| {name} | {values[name]:.3f} | {share:.1%} | {once:.3f} |")
    learned: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for seed in range(replicates):
        log = simulated(interactions, seed)
        for name, make in LEARNERS.items():
            learner = make()
            learner.learn(log)
            greedy = learner.q_values(STATES).argmax(axis=1)
            pair = model.mean_return(greedy), model.mean_reward(greedy, uniform)
            learned[name].append(pair)
    for name, pairs in learned.items():
        session, once = np.mean(pairs, axis=0)
        summary = summarize([pair[0] for pair in pairs])
        interval = "" if summary.ci95 is None else f" ({summary.ci95[0]:.3f}–{summary.ci95[1]:.3f})"
        share = (session - values["random"]) / gap
        print(f"| {name} | {session:.3f}{interval} | {share:.1%} | {once:.3f} |")
    estimators(log)


def estimators(log: Interactions) -> None:
    """Judge policies by the last 300,000 interactions of the last log."""
    model = exact_model()
    uniform = model.occupancy(random_policy())
    rows = log.take(np.arange(max(0, len(log) - 300_000), len(log)))
    print("\n| policy | truth | IPS | SNIPS | DM | DR | SWITCH-DR | effective sample |")
    print("|---|---|---|---|---|---|---|---|")
    for name in POLICIES:
        policy = with_exploration(POLICIES[name](), 0.05)
        judgement = judge(rows, policy)
        cells = [
            f"{e.value:.3f} ({e.ci95[0]:.3f}–{e.ci95[1]:.3f})" for e in judgement.estimates.values()
        ]
        truth = model.mean_reward(policy, uniform)
        sample = f"{judgement.support.effective_sample:,.0f}"
        print(f"| {name}, ε = .05 | {truth:.3f} | {' | '.join(cells)} | {sample} |")
    few = judge(log.take(np.arange(1000)), with_exploration(POLICIES["optimal"](), 0.0))
    print(f"\n{few.refusal}")


def simulated(interactions: int, seed: int) -> Interactions:
    """Return a uniformly random log, as it is read back from disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.parquet"
        write_log(simulate_log(random_policy(), LogPlan(interactions, seed=seed)), path)
        return read_interactions([path], LogReader())


if __name__ == "__main__":
    main()
