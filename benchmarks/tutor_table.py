"""The table of docs/tutor.md: baselines, bounds and every finished run of Tutor-v0.

python benchmarks/tutor_table.py [runs] [--episodes 4000] [--options '{"learner": "half_life"}']

Every policy plays the same learners with the same random numbers. A score is 0 for random actions
and 1 for the oracle's exact value. A baseline's interval is over episodes; that of an experiment
with two seeds or more is over its seeds, as ``rl compare`` computes it. The last column is paired:
the difference from the mastery-gated curriculum, learner by learner. ``--options`` gives the
learners other options than those that the agents were trained with.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tutor_episodes import Played, PolicyFactory, play

from rl_runner.config import load_config
from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning import policies
from rl_runner.envs.tutor.planning.bandit import train_bandit
from rl_runner.envs.tutor.planning.lookahead import Lookahead
from rl_runner.envs.tutor.planning.oracle import Oracle, load_values, start_value
from rl_runner.envs.tutor.planning.qmdp import QMDP
from rl_runner.evaluation.play.loaded_run import load_run
from rl_runner.evaluation.statistics.summary import summarize
from rl_runner.runs.index import runs_below
from rl_runner.runs.record import RunRecord, read_record

FIRST_SEED = 10**6  # far from the seeds that anything was trained or chosen on
HEADER = """\
| policy | return | score | graduated | left | steps | minus mastery |
|---|---|---|---|---|---|---|"""


def main() -> None:
    """Play everything and print the table."""
    arguments = parse()
    options = TutorOptions.from_keywords(json.loads(arguments.options))
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.episodes)
    values = load_values(options, progress)
    top = start_value(options, values)
    references = {name: play(f, options, seeds) for name, f in ladder(values).items()}
    few = seeds[: arguments.qmdp_episodes]
    if few:
        references["qmdp"] = play(lambda o, _: QMDP(o, values), options, few)
        references["lookahead"] = play(lambda o, _: Lookahead(o, values), options, few)
    bottom = references["random"].returns.mean()
    mastery = references["mastery"].returns

    def score(mean: float) -> float:
        return (mean - bottom) / (top - bottom)

    print(f"oracle, exact: {top:.2f}; {arguments.episodes} learners; options {options}\n")
    print(HEADER)
    for name, played in references.items():
        difference = played.returns - mastery[: len(played.returns)]
        print_row(name, interval(played.returns), score, [played], interval(difference))
    for name, runs in trained(Path(arguments.runs), options, seeds):
        means = summarize([played.returns.mean() for played in runs])
        low, high = means.ci95 or interval(runs[0].returns)[1:]
        paired = np.mean([played.returns for played in runs], axis=0) - mastery
        label = f"{name} ({means.n} seeds)"
        print_row(label, (means.mean, low, high), score, runs, interval(paired))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="?", default="runs")
    parser.add_argument("--episodes", type=int, default=4000)
    parser.add_argument(
        "--qmdp-episodes",
        type=int,
        default=1000,
        help="of QMDP and the lookahead, which are slow; 0: none",
    )
    parser.add_argument("--options", default="{}", help="JSON, as env.kwargs")
    return parser.parse_args()


def ladder(values: np.ndarray) -> dict[str, PolicyFactory]:
    """Return the baselines by name."""
    return {
        "round robin": lambda *_: policies.RoundRobin(),
        "random": lambda *_: policies.Random(0),
        "quiz farming": lambda *_: policies.QuizFarmer(),
        "LinUCB bandit": lambda options, _: train_bandit(options, seed=0),
        "greedy knowledge gap": lambda *_: policies.GreedyGap(),
        "fixed curriculum": lambda *_: policies.FixedCurriculum(),
        "mastery": lambda *_: policies.Mastery(),
        "oracle": lambda options, states: Oracle(options, states, values),
    }


def trained(
    folder: Path, options: TutorOptions, seeds: range
) -> Iterator[tuple[str, list[Played]]]:
    """Yield the experiments on Tutor-v0 with all of their finished runs played."""
    experiments: dict[str, list[Path]] = defaultdict(list)
    for run in runs_below(folder):
        if (read_record(run.path) or RunRecord()).is_finished:
            config = load_config(run.path.parent)
            if config.env.id.endswith("Tutor-v0") and config.env.frame_stack == 1:
                experiments[run.experiment].append(run.path)
    for name, paths in experiments.items():
        yield name.rpartition("-")[0], [play(agent_in(path), options, seeds) for path in paths]


def agent_in(path: Path) -> PolicyFactory:
    """Return a finished run's last agent, behind its frozen normalisation if it has one."""
    agent = load_run(path).agent
    normalisation = agent.get_vec_normalize_env()

    class Normalised:
        def predict(self, observation: Any, *arguments: Any, **keywords: Any) -> Any:
            seen = normalisation.normalize_obs(observation)
            return agent.predict(seen, *arguments, **keywords)

    return lambda *_: agent if normalisation is None else Normalised()


def interval(returns: np.ndarray) -> tuple[float, float, float]:
    """Return the mean over episodes and its 95 % interval."""
    mean, half = returns.mean(), 1.96 * returns.std(ddof=1) / np.sqrt(len(returns))
    return float(mean), float(mean - half), float(mean + half)


def print_row(
    name: str,
    returns: tuple[float, float, float],
    score: Any,
    played: list[Played],
    paired: tuple[float, float, float],
) -> None:
    """Print one row of the table."""
    mean, low, high = returns
    cells = (
        name,
        f"{mean:.2f} ({low:.2f} to {high:.2f})",
        f"{score(mean):.3f} ({score(low):.3f} to {score(high):.3f})",
        f"{np.mean([p.graduated.mean() for p in played]):.0%}",
        f"{np.mean([p.left.mean() for p in played]):.0%}",
        f"{np.mean([p.lengths.mean() for p in played]):.1f}",
        f"{paired[0]:+.2f} ({paired[1]:+.2f} to {paired[2]:+.2f})",
    )
    print(f"| {' | '.join(cells)} |", flush=True)


def progress(done: int, total: int) -> None:
    """Show how far the oracle's values are."""
    if done % 20 == 0 or done == total:
        print(f"\rsolving: {done}/{total}", end="\n" if done == total else "", file=sys.stderr)


if __name__ == "__main__":
    main()
