"""What a trained tutor does, compared with the mastery-gated curriculum and the oracle.

python benchmarks/tutor_behaviour.py runs/tutor-ppo-… [runs/tutor-a2c-… …] [--picture FILE]

Every policy plays the same learners with the same random numbers; the finished seeds of an
experiment are pooled. A reaction is the next action after something that the agent has observed;
engagement is its own noisy reading. ``same topic`` is a module of the topic last suggested (in the
first step: of the first topic), ``other topic`` one of another.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tutor_episodes import PolicyFactory
from tutor_table import FIRST_SEED, agent_in, progress

from rl_runner.envs.tutor.options import TutorOptions
from rl_runner.envs.tutor.planning import policies
from rl_runner.envs.tutor.planning.oracle import Oracle, load_values
from rl_runner.envs.tutor.simulator import model
from rl_runner.envs.tutor.simulator.model import CLARIFY, N_TOPICS, QUIZ, RESOURCE
from rl_runner.envs.tutor.simulator.observation import SLICES
from rl_runner.envs.tutor.vector import TutorVectorEnv
from rl_runner.runs.find import find_runs
from rl_runner.runs.record import RunRecord, read_record

KINDS = ("same topic", "other topic", "resource", "question", "quiz")
COLOURS = ("#2c7fb8", "#a6cee3", "#33a02c", "#ff7f00", "#6a3d9a")
LOW, HIGH = 0.25, 0.75  # readings of engagement, of 1
SPANS = ((1, 5), (6, 10), (11, 20), (21, 40))  # steps


@dataclass(frozen=True)
class Steps:
    """Every step of every first episode, in no order; m steps of n learners."""

    seen: np.ndarray  # (m, 47) what the agent saw
    actions: np.ndarray  # (m,)
    steps: np.ndarray  # (m,) the number of the step, from 1
    ends: Mapping[str, float]  # means over episodes

    @property
    def kinds(self) -> np.ndarray:
        """(m,) indices of KINDS: the topic is the same as that last suggested, or another one."""
        focus = self.part("focus").argmax(axis=1)
        suggested = np.where(self.actions == focus, 0, 1)
        return np.where(self.actions < N_TOPICS, suggested, self.actions - RESOURCE + 2)

    def part(self, name: str) -> np.ndarray:
        """Return a slice of the observations."""
        return self.seen[:, SLICES[name]]

    def after(self, response: int) -> np.ndarray:
        """Return (m,) bool: the learner's last response was this one."""
        return self.part("response")[:, response] == 1.0


def main() -> None:
    """Play everything, print the tables and draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs="+", type=Path)
    parser.add_argument("--episodes", type=int, default=1000, help="of each policy and seed")
    parser.add_argument("--picture", type=Path, help="a .png or .svg to write")
    arguments = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.episodes)
    options = TutorOptions()
    values = load_values(options, progress)
    played = {
        "mastery": observe(lambda *_: policies.Mastery(), options, seeds),
        "oracle": observe(lambda o, states: Oracle(o, states, values), options, seeds),
    }
    for experiment in arguments.experiments:
        runs = [run for run in find_runs(experiment) if finished(run)]
        name = experiment.name.rpartition("-")[0]
        played[name] = together([observe(agent_in(run), options, seeds) for run in runs])
    print_ends(played)
    print_actions(played)
    print_reactions(played)
    print_questions(played)
    if arguments.picture is not None:
        draw(played, arguments.picture)


def finished(run: Path) -> bool:
    """Whether a run has come to its end."""
    return (read_record(run) or RunRecord()).is_finished


def observe(factory: PolicyFactory, options: TutorOptions, seeds: range) -> Steps:
    """Play one episode per seed and keep what was seen and done."""
    n = len(seeds)
    env = TutorVectorEnv(n, **vars(options))
    policy = factory(options, env.full_states)
    observations, _ = env.reset(seed=list(seeds))
    state, started, open_ = None, np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    seen, done, times = [], [], []
    totals = dict.fromkeys(("return", *model.REWARD_TERMS, "graduated", "left", "steps"), 0.0)
    while open_.any():
        actions, state = policy.predict(observations, state, started, deterministic=True)
        seen.append(observations[open_])
        done.append(np.asarray(actions)[open_])
        times.append(np.full(open_.sum(), len(times) + 1))
        observations, rewards, terminated, truncated, infos = env.step(actions)
        about = {"return": rewards, "steps": open_, **infos["reward_terms"]}
        about |= {name: infos[name] for name in ("graduated", "left")}
        for name, value in about.items():
            totals[name] += float(value[open_].sum()) / n
        started = terminated | truncated
        open_ &= ~started
    return Steps(np.concatenate(seen), np.concatenate(done), np.concatenate(times), totals)


def together(parts: list[Steps]) -> Steps:
    """Take the seeds of an experiment together."""
    ends = {name: float(np.mean([part.ends[name] for part in parts])) for name in parts[0].ends}
    arrays = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("seen", "actions", "steps")
    )
    return Steps(*arrays, ends)


def reactions(steps: Steps) -> dict[str, np.ndarray]:
    """Return (m,) bool by the situation that a step was an answer to."""
    engagement = steps.part("engagement")[:, 0]
    begun = steps.part("action").any(axis=1)
    return {
        "first step": ~begun,
        "failed quiz": steps.after(model.FAILED),
        "skip": steps.after(model.SKIPPED),
        "stopped module": steps.after(model.STOPPED),
        "completed module": steps.after(model.COMPLETED),
        f"engagement ≤ {LOW}": begun & (engagement <= LOW),
        f"engagement ≥ {HIGH}": begun & (engagement >= HIGH),
    }


def shares(kinds: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return (5,) how often each of KINDS was done in the chosen steps; NaN if there are none."""
    counts = np.bincount(kinds[chosen], minlength=len(KINDS))
    return counts / counts.sum() if counts.sum() else np.full(len(KINDS), np.nan)


def print_ends(played: Mapping[str, Steps]) -> None:
    """Print how episodes went, per episode."""
    header("policy", "return", "graduated", "left", "steps", "modules", "skips", "quizzes / module")
    for name, steps in played.items():
        ends = steps.ends
        episodes = len(steps.steps) / ends["steps"]
        quizzes = (steps.actions == QUIZ).sum() / episodes
        row(
            name,
            f"{ends['return']:.2f}",
            f"{ends['graduated']:.0%}",
            f"{ends['left']:.0%}",
            f"{ends['steps']:.1f}",
            f"{ends['module_completed']:.2f}",
            f"{-ends['module_skipped']:.2f}",
            f"{quizzes / ends['module_completed']:.2f}",
        )


def print_actions(played: Mapping[str, Steps]) -> None:
    """Print the share of each action among all steps."""
    header("policy", *model.ACTIONS)
    for name, steps in played.items():
        counts = np.bincount(steps.actions, minlength=model.N_ACTIONS)
        row(name, *(f"{share:.1%}" for share in counts / counts.sum()))


def print_reactions(played: Mapping[str, Steps]) -> None:
    """Print the next action after what was observed."""
    header("after", "policy", "of all steps", *KINDS)
    for situation in reactions(next(iter(played.values()))):
        for name, steps in played.items():
            chosen = reactions(steps)[situation]
            cells = (f"{share:.0%}" for share in shares(steps.kinds, chosen))
            row(situation, name, f"{chosen.mean():.0%}", *cells)


def print_questions(played: Mapping[str, Steps]) -> None:
    """Print how often clarifying questions are asked, early and late."""
    header("questions in steps", *(f"{first} to {last}" for first, last in SPANS))
    for name, steps in played.items():
        row(name, *(f"{question_share(steps, first, last):.1%}" for first, last in SPANS))


def question_share(steps: Steps, first: int, last: int) -> float:
    """Return the share of clarifying questions among the steps of this span."""
    inside = (steps.steps >= first) & (steps.steps <= last)
    return float((steps.actions[inside] == CLARIFY).mean()) if inside.any() else np.nan


def draw(played: Mapping[str, Steps], path: Path) -> None:
    """Draw a panel for each situation: what each policy does next, as one bar."""
    from matplotlib.figure import Figure

    situations = ["all steps", *reactions(next(iter(played.values())))]
    figure = Figure(figsize=(10.5, 1.2 + 0.55 * len(played) * 2), layout="constrained")
    grid = figure.subplots(2, 4, sharex=True, sharey=True)
    for axes, situation in zip(grid.flat, situations, strict=True):
        draw_situation(axes, played, situation)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(KINDS), frameon=False)
    figure.savefig(path, dpi=130)
    print(f"\n{path}")


def draw_situation(axes: Any, played: Mapping[str, Steps], situation: str) -> None:
    """Draw one panel; a policy that never was in the situation has no bar."""
    for place, steps in enumerate(played.values()):
        everything = np.ones(len(steps.actions), dtype=bool)
        chosen = {"all steps": everything, **reactions(steps)}[situation]
        left = 0.0
        for kind, share in enumerate(np.nan_to_num(shares(steps.kinds, chosen))):
            label = KINDS[kind] if place == 0 else None
            axes.barh(place, share, left=left, color=COLOURS[kind], height=0.72, label=label)
            left += share
    axes.set(title=situation, xlim=(0.0, 1.0), xticks=(0.0, 0.5, 1.0))
    axes.set_ylim(len(played) - 0.5, -0.5)  # the first on top
    axes.set_yticks(range(len(played)), list(played))
    axes.title.set_fontsize(10)


def header(*cells: str) -> None:
    """Begin a table."""
    print(f"\n| {' | '.join(cells)} |\n|{'---|' * len(cells)}")


def row(*cells: str) -> None:
    """Print one row of a table."""
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
