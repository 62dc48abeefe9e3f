"""Prints the exact values of trained agents in the recommender, over all simulated people.

python benchmarks/recommender_online.py runs/recommender-ppo-… runs/recommender-dqn-… …

Every finished run of these experiments is asked for its action in each of the 262,500 states; the
value of that policy is a sum, so that nothing but the training is random.
"""

import json
import sys
from pathlib import Path

import numpy as np

from rl_runner.agents.protocol import Agent
from rl_runner.envs.recommender.domain import N_STATES, state_parts
from rl_runner.envs.recommender.env import Observation, observe
from rl_runner.envs.recommender.exact import exact_model
from rl_runner.envs.recommender.policies import POLICIES
from rl_runner.evaluation.play.loaded_run import Run, load_run
from rl_runner.evaluation.statistics.summary import summarize
from rl_runner.runs.find import find_runs

AT_ONCE = 20_000


def main() -> None:
    """Print one line per experiment."""
    worst, best = (exact_model().mean_return(POLICIES[name]()) for name in ("random", "optimal"))
    print("| agent | timesteps | reward of a session | of the gap | each seed |")
    print("|---|---|---|---|---|")
    for experiment in map(Path, sys.argv[1:]):
        paths = [path for path in find_runs(experiment) if is_finished(path)]
        done = [load_run(path) for path in paths]
        values = [exact_model().mean_return(actions_of(run.agent, kind(run))) for run in done]
        told = summarize(values)
        interval = "" if told.ci95 is None else f" ({told.ci95[0]:.2f}–{told.ci95[1]:.2f})"
        share = (told.mean - worst) / (best - worst)
        each = ", ".join(f"{value:.2f}" for value in values)
        steps = f"{done[0].config.train.total_timesteps:,}"
        name = done[0].config.algo.name
        print(f"| {name} | {steps} | {told.mean:.2f}{interval} | {share:.1%} | {each} |")


def is_finished(run: Path) -> bool:
    """Tell whether a run has learned to the end."""
    status: str = json.loads((run / "run.json").read_text())["status"]
    return status == "finished"


def kind(run: Run) -> Observation:
    """Return what the run's agent observes of a state."""
    told: Observation = run.config.env.kwargs.get("observation", "discrete")
    return told


def actions_of(agent: Agent, observation: Observation) -> np.ndarray:
    """Return (262500,) the agent's deterministic action in each state."""
    actions = np.empty(N_STATES, dtype=np.int64)
    for first in range(0, N_STATES, AT_ONCE):
        states = np.arange(first, min(first + AT_ONCE, N_STATES))
        seen = observe(state_parts(states), observation)
        actions[states], _ = agent.predict(seen, deterministic=True)
    return actions


if __name__ == "__main__":
    main()
