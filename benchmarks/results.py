"""Trains the shipped configs, records their results, and writes them into README and docs.

    python benchmarks/results.py list             what there is to train, and what is trained
    python benchmarks/results.py run [PART ...]   train it, on one commit; run it again to resume
    python benchmarks/results.py write            docs/results.json, then figures and pictures

``make results`` does all of it. Everything comes from one state of the package: the runs are in a
folder named by it, and runs of another one, or of code that was not committed, are refused. (A
commit that changes only documents or tests is the same state.) A config that was changed is another
experiment, which is trained anew. A part whose runs are missing is left out of the documents'
tables, which say so.

Between ``<!-- results: NAME -->`` and ``<!-- end of results -->`` the documents have what
:func:`render` returns. tests/test_results.py compares them with docs/results.json.
"""

import argparse
import hashlib
import json
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from results_pictures import draw_pictures

from rl_runner.config import EnvConfig, ExperimentConfig, load_config
from rl_runner.evaluation.comparison.pairs import compare_pairs
from rl_runner.evaluation.comparison.scores import summarize_scores
from rl_runner.evaluation.play.return_bounds import return_bounds
from rl_runner.layout import recorded_runs
from rl_runner.runs.record import AgentResult, RunRecord, read_record
from rl_runner.training.environment_task import experiment_folder
from rl_runner.training.resolve import resolve

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
RECORDED = ROOT / "docs" / "results.json"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "results.md")
MARKED = re.compile(r"(<!-- results: (.+?) -->\n)(.*?)(<!-- end of results -->)", re.DOTALL)
CARTPOLE = EnvConfig(id="CartPole-v1", time_limit=500)
SOLVED = {"cartpole": 475.0}  # by part: the environment's own reward threshold
IMAGES = ROOT / "docs" / "images"


@dataclass(frozen=True)
class Part:
    """Configs that are trained on the same number of seeds."""

    configs: tuple[str, ...]  # below configs/, without .yaml
    seeds: int


PARTS = {
    "cartpole": Part(
        tuple(f"cartpole/{n}" for n in ("ppo", "a2c", "dqn", "qrdqn", "trpo", "ars", "reinforce")),
        seeds=20,
    ),
    "frozenlake": Part(
        (
            "frozenlake/q_learning",
            "frozenlake/q_learning_not_slippery",
            "frozenlake/dqn",
            "frozenlake8x8/q_learning",
        ),
        seeds=20,
    ),
}


@dataclass(frozen=True)
class Recorded:
    """The results of one experiment, as docs/results.json has them."""

    part: str
    timesteps: int  # the largest of its runs
    is_exact: bool
    last: tuple[float, ...]  # by seed
    best: tuple[float, ...]
    mean: float  # of the last agents
    ci95: tuple[float, float] | None
    best_mean: float
    seconds: float | None = None  # that a run took, the median

    @property
    def digits(self) -> int:
        """How many decimals its returns are shown with."""
        return 3 if max(map(abs, self.last)) < 10 else 1


# --- training -------------------------------------------------------------------------------------


def list_parts(parts: Sequence[str], runs: Path) -> None:
    """Print what each part takes: runs, timesteps and, where some are trained, hours of a core."""
    print(f"{'config':40} {'seeds done':>11} {'timesteps each':>15} {'hours left':>11}")
    unknown = total = 0.0
    for part in parts:
        for name in PARTS[part].configs:
            config = _config(name)
            n = PARTS[part].seeds
            records = [record for record in _records(runs, name) if record.is_finished]
            left = max(0, n - len(records))
            seconds = _seconds_of_a_run(records, config.name)
            hours = 0.0 if left == 0 else None if seconds is None else left * seconds / 3600
            total += hours or 0.0
            unknown += hours is None
            shown = "not measured" if hours is None else f"{hours:.1f}"
            steps = f"{config.train.total_timesteps:,}"
            print(f"{name:40} {f'{len(records)} of {n}':>11} {steps:>15} {shown:>11}")
    print(f"Hours of one core left: {total:.1f}, and {unknown:.0f} configs not measured yet.")


def _seconds_of_a_run(records: Sequence[RunRecord], name: str) -> float | None:
    """Return what a run takes: those that are there, else those recorded last time; or None."""
    measured = [record.seconds for record in records if record.seconds is not None]
    if measured:
        return statistics.median(measured)
    if not RECORDED.is_file():
        return None
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))["experiments"]
    return _read(recorded[name]).seconds if name in recorded else None


def train(parts: Sequence[str], runs: Path, jobs: int | None) -> None:
    """Train the configs of these parts; what is finished is kept, what began is resumed.

    One seed of each config comes first, so that :func:`list_parts` knows how long the rest takes.
    """
    commit = _clean_commit()
    print(f"Training on commit {commit} in {runs}")
    in_rounds = [*((part, 1) for part in parts), *((part, PARTS[part].seeds) for part in parts)]
    for part, seeds in in_rounds:
        files = [str(CONFIGS / f"{name}.yaml") for name in PARTS[part].configs]
        options = ["--seeds", str(seeds), "--runs-dir", str(runs)]
        options += [] if jobs is None else ["--jobs", str(jobs)]
        command = [sys.executable, "-m", "rl_runner", "train", *files, *options]
        print(f"$ rl train {' '.join(files + options)}", flush=True)
        if code := subprocess.run(command, check=False, cwd=ROOT).returncode:  # noqa: S603 - ours
            sys.exit(code)
        if seeds == 1:
            list_parts([part], runs)


def _clean_commit() -> str:
    """Return the commit of this checkout; exit if files differ from it."""
    if _git("status", "--porcelain", "--", "rl_runner", "configs"):
        sys.exit("rl_runner or configs differ from the commit: results would belong to no commit.")
    return _git("rev-parse", "HEAD")


def code_of(commit: str) -> str:
    """Return what identifies the package at a commit."""
    return _git("rev-parse", f"{commit}:rl_runner")[:12]


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 - git


# --- recording ------------------------------------------------------------------------------------


def record(runs: Path) -> dict[str, Any]:
    """Return what docs/results.json says: the results of every part whose runs are all finished."""
    experiments: dict[str, Recorded] = {}
    of_runs: list[RunRecord] = []
    for part, described in PARTS.items():
        found = {name: _finished(runs, name, described.seeds) for name in described.configs}
        if all(found.values()):
            for name, records in found.items():
                config = _config(name)
                experiments[config.name] = _recorded(part, records, config.env)
                of_runs += records
    if not of_runs:
        sys.exit(f"No part is complete in {runs}: `python benchmarks/results.py run` trains it.")
    first = of_runs[0]
    return {
        "commit": _common_commit(of_runs),
        "date": max(record.finished or "" for record in of_runs)[:10],
        "versions": {
            name: first.versions[name]
            for name in ("python", "stable-baselines3", "torch", "gymnasium")
            if name in first.versions
        },
        "experiments": {name: asdict(found) for name, found in experiments.items()},
        "pictures": {},
    }


@cache
def _config(name: str) -> ExperimentConfig:
    """Return the config in configs/NAME.yaml, resolved."""
    return resolve(load_config(CONFIGS / f"{name}.yaml")).config


def _folder(runs: Path, name: str) -> Path | None:
    """Return the folder of the experiment that configs/NAME.yaml is; None if there is none."""
    folder = experiment_folder(_config(name), runs).path
    return folder if folder.is_dir() else None


def _records(runs: Path, name: str) -> list[RunRecord]:
    """Return the records of a config's runs."""
    folder = _folder(runs, name)
    places = [] if folder is None else recorded_runs(folder)
    return [read_record(run) or RunRecord() for run in places]


def _finished(runs: Path, name: str, n: int) -> list[RunRecord]:
    """Return the records of a config's first ``n`` seeds; empty unless all of them are finished."""
    records = [r for r in _records(runs, name) if r.is_finished and r.seed in range(n)]
    return records if len(records) == n else []


def _common_commit(records: Sequence[RunRecord]) -> str:
    """Return the newest commit that runs ran on; exit if they ran different code."""
    latest_first = sorted(records, key=lambda record: record.finished or "", reverse=True)
    states = {(r.git.commit, r.git.dirty) if r.git else (None, True): None for r in latest_first}
    commits = [commit for commit, is_dirty in states if commit is not None and not is_dirty]
    if len(commits) < len(states) or len(set(map(code_of, commits))) > 1:
        sys.exit(f"The runs are of different code, or of code that has no commit: {list(states)}")
    return commits[0]


def _recorded(part: str, records: Sequence[RunRecord], env: EnvConfig) -> Recorded:
    last = tuple(_reward(each.last) for each in records)
    best = tuple(_reward(each.best) for each in records)
    found = summarize_scores(
        [each.last.mean_reward for each in records],
        [each.last.exact_mean_reward for each in records],
        env,
    )
    if found is None:
        sys.exit(f"{records[0].name} has no results.")
    return Recorded(
        part,
        max(each.timesteps or 0 for each in records),
        found.measure == "exact",
        last,
        best,
        found.summary.mean,
        found.summary.ci95,
        sum(best) / len(best),
        statistics.median(each.seconds or 0.0 for each in records),
    )


def _reward(result: AgentResult) -> float:
    """Return the exact mean return if there is one, else the held-out mean."""
    value = result.exact_or_mean_reward
    return float("nan") if value is None else value


# --- writing --------------------------------------------------------------------------------------


def write(runs: Path) -> None:
    """Record the results, draw the pictures, and bring the documents up to date."""
    document = record(runs)
    for picture in draw_pictures(lambda name: _folder(runs, name), IMAGES):
        document["pictures"][picture.relative_to(ROOT).as_posix()] = digest(picture)
    RECORDED.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    update_documents(document)


def update_documents(document: Mapping[str, Any]) -> None:
    """Replace what is between the markers of README and docs."""
    for path in DOCUMENTS:
        before = path.read_text(encoding="utf-8")
        after = MARKED.sub(
            lambda found: f"{found[1]}{render(found[2], document)}\n{found[4]}", before
        )
        path.write_text(after, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'written' if after != before else 'unchanged'}")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def render(name: str, document: Mapping[str, Any]) -> str:
    """Return what a document says between the markers of this name.

    :raises KeyError: if there is no such name
    """
    experiments = {key: _read(value) for key, value in document["experiments"].items()}
    if name == "measured on":
        return _measured_on(document)
    kind, _, part = name.partition(" ")
    of_part = {key: found for key, found in experiments.items() if found.part == part}
    lines = {"summary": _summary, "seeds": _by_seed, "claims": _claims}[kind](of_part)
    return "\n".join(lines) if of_part else f"(`make results` has not trained the part {part} yet.)"


def _read(raw: Mapping[str, Any]) -> Recorded:
    ci95 = None if raw["ci95"] is None else (raw["ci95"][0], raw["ci95"][1])
    return Recorded(**{**raw, "last": tuple(raw["last"]), "best": tuple(raw["best"]), "ci95": ci95})


def _measured_on(document: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in document["versions"].items())
    if document["commit"] is None:
        return f"Measured on several commits until {document['date']}, with {versions}."
    return (
        f"Measured with the package of commit `{document['commit'][:12]}` ({document['date']}), "
        f"with {versions}."
    )


def _summary(found: Mapping[str, Recorded]) -> Iterator[str]:
    """Yield a table with a row per experiment: means, intervals, and how many seeds are good."""
    threshold = SOLVED.get(next((each.part for each in found.values()), ""))
    head = ["experiment", "timesteps", "seeds", "last agent", "95 % interval", "best agent"]
    if threshold is not None:
        head = [*head[:5], f"last ≥ {threshold:g}", "best agent", f"best ≥ {threshold:g}"]
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join(['---', *(['---:'] * 3), '---', *(['---:'] * len(head[5:]))])}|"
    for name, each in found.items():
        n = len(each.last)
        cells = [name, f"{each.timesteps:,}", f"{n}", _number(each.mean, each), _interval(each)]
        best = _number(each.best_mean, each)
        if threshold is None:
            cells.append(best)
        else:
            cells += [_share(each.last, threshold), best, _share(each.best, threshold)]
        yield f"| {' | '.join(cells)} |"


def _share(values: Sequence[float], threshold: float) -> str:
    return f"{sum(value >= threshold for value in values)} of {len(values)}"


def _by_seed(found: Mapping[str, Recorded]) -> Iterator[str]:
    """Yield a table with a row per experiment: every seed's last agent, worst first, and best."""
    yield "| experiment | timesteps | last agents | mean | 95 % interval | best agents |"
    yield "|---|---:|---|---:|---|---|"
    for name, each in found.items():
        cells = (
            name, f"{each.timesteps:,}", _counted(each.last, each), _number(each.mean, each),
            _interval(each), _counted(each.best, each),
        )  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def _claims(found: Mapping[str, Recorded]) -> Iterator[str]:
    """Yield a sentence about the differences of the last agents that these seeds show."""
    rows = [(name, np.array(each.last)) for name, each in found.items()]
    bounds = return_bounds(CARTPOLE, exact=False)
    pairs = compare_pairs(rows, bounds)
    shown = [
        f"{pair.first} over {pair.second}"
        if pair.verdict == "better"
        else f"{pair.second} over {pair.first}"
        for pair in pairs
        if pair.verdict in {"better", "worse"}
    ]
    seeds = min(len(each.last) for each in found.values())
    start = f"Pairwise differences that {seeds} seeds support:"
    count = f"{len(shown) or 'none'} of {len(pairs)}"
    yield f"{start} {count} ({', '.join(shown)})." if shown else f"{start} {count}."


def _counted(values: Sequence[float], of: Recorded) -> str:
    """List values in ascending order, equal ones once with their number."""
    shown = [_number(value, of) for value in sorted(values)]
    counts = {text: shown.count(text) for text in dict.fromkeys(shown)}
    return ", ".join(text if n == 1 else f"{n} × {text}" for text, n in counts.items())


def _number(value: float, of: Recorded) -> str:
    return f"{value:,.{of.digits}f}"


def _interval(each: Recorded) -> str:
    if each.ci95 is None:
        return "–"
    return f"{_number(each.ci95[0], each)} to {_number(each.ci95[1], each)}"


def main() -> None:
    """Run one of the steps."""
    parser = argparse.ArgumentParser(description="Results of the shipped configs.")
    parser.add_argument("step", choices=["list", "run", "write"])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of: {', '.join(PARTS)}")
    parser.add_argument("--runs-dir", type=Path, help="default: runs/results-CODE")
    parser.add_argument("--jobs", type=int, help="runs at a time; default: one per core")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    parts = given.parts or list(PARTS)
    runs = given.runs_dir or ROOT / "runs" / f"results-{code_of('HEAD')}"
    if given.step == "list":
        list_parts(parts, runs)
    elif given.step == "run":
        list_parts(parts, runs)
        train(parts, runs, given.jobs)
    else:
        write(runs)


if __name__ == "__main__":
    main()
