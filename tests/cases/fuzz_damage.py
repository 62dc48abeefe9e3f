"""Random damage to configs and run folders, repeatable by its seed.

Each mutation changes one thing in an otherwise sound input and runs one command on it. A command
may accept what it is given or refuse it; it may not end in a traceback or with an exit code that is
not documented, and runs beside the damaged one stay as they were. As a script:

    python tests/cases/fuzz_damage.py --configs 2000 --folders 1000
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import textwrap
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner

import rl_runner.training.commands.check as check_module
from rl_runner import train
from rl_runner.cli.app import app
from rl_runner.errors import RunnerError

HANG_SECONDS = 300  # in the tests, on machines that do other work as well

CONFIGS = {
    "ppo": """
        name: ppo
        env: {id: CartPole-v1, n_envs: 2, normalize: {observations: true}}
        algo:
          name: ppo
          n_steps: 16
          batch_size: 16
          n_epochs: 1
          learning_rate: {schedule: linear, initial: 1e-3}
          policy_kwargs: {net_arch: [8], activation_fn: Tanh}
        train: {total_timesteps: 64, seeds: 2}
        eval: {every: 32, n_episodes: 2, final_episodes: 2}
        checkpoint: {every: 32}
    """,
    "q_learning": """
        name: q_learning
        env: {id: FrozenLake-v1, kwargs: {is_slippery: false}, time_limit: 20}
        algo: {name: q_learning, exploration_fraction: 0.5}
        train: {total_timesteps: 100, seeds: 2}
        eval: {every: 50, n_episodes: 2, final_episodes: 2}
        checkpoint: {every: 50}
    """,
    "reinforce": """
        name: reinforce
        env: {id: CartPole-v1, time_limit: 10}
        algo: {name: reinforce, n_episodes: 2}
        train: {total_timesteps: 60, seeds: 2}
        eval: {every: 30, n_episodes: 2, final_episodes: 2}
        checkpoint: {every: 30}
    """,
    "td3": """
        name: td3
        env: {id: Pendulum-v1, time_limit: 10, wrappers: [gymnasium.wrappers.TimeAwareObservation]}
        algo:
          name: td3
          buffer_size: 100
          learning_starts: 20
          batch_size: 8
          action_noise: {noise: normal, sigma: 0.1}
          policy_kwargs: {net_arch: {pi: [4], qf: [4]}}
        train: {total_timesteps: 60, seeds: 2}
        eval: {every: 30, n_episodes: 2, final_episodes: 2, deterministic: false}
        checkpoint: {every: 30, keep_last: 2}
    """,
}
SCALARS = [
    *("0", "1", "2", "-1", "3", "7", "64", "0.5", "-0.5", "1e-3", "1e3", "1e99", ".nan", ".inf"),
    *("null", "true", "no", "''", "' '", "'1'", "x", "é", "💥", "-", "=", "9" * 30, "a.b", "a:b.C"),
    *("auto", "MlpPolicy", "CnnPolicy", "MultiInputPolicy", "LinearPolicy", "linear", "[]", "{}"),
    *("CartPole-v1", "Pendulum-v1", "FrozenLake-v1", "Blackjack-v1", "nosuchpackage:A-v0", "A-v0"),
    *("ppo", "a2c", "dqn", "sac", "q_learning", "reinforce", "trpo", "ars", "maskable_ppo", "td3"),
    *("Tanh", "torch.nn.ReLU", "SGD", "SparseAdam", "CombinedExtractor", "NatureCNN", "LBFGS"),
    *(".relative", "gymnasium.Wrapper", "subproc", "batched", "cpu", "cuda", "step", "episode"),
    *("[1, episode]", "[3, 3]", "{x: 1}", "{schedule: cosine, initial: 0.1}", "[0.5]", "[null]"),
    *("{noise: ornstein_uhlenbeck, sigma: 0.1}", "!!python/name:os.system", "'open", "# gone"),
    *("gymnasium.wrappers.FlattenObservation", "[gymnasium.wrappers.NormalizeReward]", "1e20"),
]
KEYS = [
    *("env.kwargs.x", "env.n_envs", "env.frame_stack", "env.normalize", "env.vec", "env.wrappers"),
    *("env.time_limit", "algo.name", "algo.policy", "algo.gamma", "algo.engine", "algo.device"),
    *(
        "algo.learning_rate",
        "algo.batch_size",
        "algo.n_steps",
        "algo.policy_kwargs",
        "algo.use_sde",
    ),
    *("algo.policy_kwargs.optimizer_class", "algo.policy_kwargs.net_arch", "algo.train_freq"),
    *("algo.policy_kwargs.optimizer_kwargs", "algo.policy_kwargs.log_std_init", "algo.ent_coef"),
    *("algo.policy_kwargs.features_extractor_class", "algo.action_noise", "algo.target_kl"),
    *("train.seeds", "train.total_timesteps", "train.max_hours", "eval.every", "eval.n_episodes"),
    *("eval.n_envs", "eval.final_episodes", "checkpoint.every", "checkpoint.keep_last", "name"),
    *(
        "algo.use_sde",
        "algo.gradient_steps",
        "algo.learning_starts",
        "algo.max_grad_norm",
        "algo.clip_range",
    ),
]
# Values that are right for some keys, so that more than the first checks are reached
LIKELY = ["1", "2", "4", "16", "0.5", "0.9", "1e-3", "true", "false", "null", "auto", "1.0", "20"]
CHARACTERS = "{}[]:,-&*!|>'\"#%@` \n\t\\~?<=x5é\x00\x85"
JSON_VALUES: list[Any] = [
    *(None, True, 0, -1, 1.5, 10**30, 10**400, float("nan"), float("inf"), "", "x", "💥", "\ud800"),
    *([], [1], [[]], {}, {"a": 1}, "../..", "/etc/passwd", "\x1b[2J", ["x"], {"": None}),
]


@dataclass(frozen=True)
class Trial:
    """A mutation, the command that was run on it, and what came of it."""

    number: int
    mutation: str
    command: str
    outcome: str  # accepted, refused, or how a resumed run ended
    wrong: str  # what should not have happened; empty if all was well

    def __str__(self) -> str:
        return f"#{self.number}: {self.command} after {self.mutation}\n{self.wrong}"


def write_configs(folder: Path) -> dict[str, Path]:
    """Write every base config into a folder."""
    paths = {}
    for name, text in CONFIGS.items():
        paths[name] = folder / f"{name}.yaml"
        paths[name].write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    return paths


# --- how things are damaged -----------------------------------------------------------------------


def damage_yaml(text: str, rng: random.Random) -> str:
    """Change, delete, double or swap lines, or insert a character."""
    lines = text.splitlines(keepends=True) or [""]
    i = rng.randrange(len(lines))
    match rng.choice(["value", "value", "value", "key", "character", "delete", "double", "swap"]):
        case "value" if ":" in lines[i]:
            parts = lines[i].split(":")
            j = rng.randrange(1, len(parts))
            after = parts[j].partition(",")
            parts[j] = f" {rng.choice(SCALARS)}{after[1]}{after[2]}"
            lines[i] = ":".join(parts).rstrip("\n") + "\n"
        case "key":
            lines[i] = f"{rng.choice(SCALARS)}: {lines[i].partition(':')[2].lstrip()}"
        case "delete":
            del lines[i]
        case "double":
            lines.insert(i, lines[i])
        case "swap":
            j = rng.randrange(len(lines))
            lines[i], lines[j] = lines[j], lines[i]
        case _:
            at = rng.randrange(len(lines[i]) + 1)
            lines[i] = lines[i][:at] + rng.choice(CHARACTERS) + lines[i][at:]
    return "".join(lines)


def damage_json(value: Any, rng: random.Random) -> Any:
    """Replace, remove or add a value somewhere in a document."""
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key = rng.choice(list(value))
        changed = dict(value)
        match rng.choice(["inside", "inside", "remove", "add"]):
            case "inside":
                changed[key] = damage_json(value[key], rng)
            case "remove":
                del changed[key]
            case "add":
                changed[rng.choice(["x", "__class__", "policy", "format", key + "x"])] = rng.choice(
                    JSON_VALUES
                )
        return changed
    return rng.choice(JSON_VALUES)


def damage_arrays(path: Path, rng: random.Random) -> None:
    """Write an npz file again with one array of another type, shape or name."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    name = rng.choice(list(arrays))
    array = arrays[name]
    match rng.choice(["type", "shape", "name", "value", "object", "scalar"]):
        case "type":
            arrays[name] = array.astype("U8")
        case "shape":
            arrays[name] = np.concatenate([array.ravel(), [0]])
        case "name":
            arrays[name + "x"] = arrays.pop(name)
        case "value":
            arrays[name] = np.full(array.shape, np.nan)
        case "object":
            arrays[name] = np.array([{}], dtype=object)
        case _:
            arrays[name] = np.array(7)
    with path.open("wb") as out:
        np.savez(out, **arrays)  # type: ignore[arg-type]


def damage_file(path: Path, rng: random.Random) -> str:  # noqa: C901 - a list of ways
    """Damage one file; return how."""
    content = path.read_bytes()
    ways = ["bit", "bit", "cut", "empty", "delete", "zeros", "folder", "noise"]
    ways += ["structure"] * 8 if path.suffix in {".json", ".npz", ".yaml"} else []
    way = rng.choice(ways)
    if not content and way in {"bit", "cut", "zeros", "structure"}:
        way = "noise"
    match way:
        case "bit":
            changed = bytearray(content)
            changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            path.write_bytes(changed)
        case "cut":
            path.write_bytes(content[: rng.randrange(len(content))])
        case "empty":
            path.write_bytes(b"")
        case "delete":
            path.unlink()
        case "zeros":
            at = rng.randrange(len(content))
            path.write_bytes(content[:at] + b"\0" * 16 + content[at + 16 :])
        case "folder":
            path.unlink()
            path.mkdir()
        case "noise":
            path.write_bytes(rng.randbytes(rng.choice([1, 20, 6000])))
        case _ if path.suffix == ".json":
            path.write_text(json.dumps(damage_json(json.loads(content), rng)), encoding="utf-8")
        case _ if path.suffix == ".npz":
            damage_arrays(path, rng)
        case _:
            text = damage_yaml(content.decode(), rng)
            path.write_text(text, encoding="utf-8", errors="replace")
    return way


# --- running commands -----------------------------------------------------------------------------


def hung(signum: int, frame: object) -> None:
    """End a command that takes too long."""
    del signum, frame
    message = f"no end after {HANG_SECONDS} s"
    raise TimeoutError(message)


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Raise TimeoutError in what takes too long, and keep quiet about warnings."""
    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(HANG_SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def invoke(arguments: list[object]) -> tuple[str, str, str]:
    """Run a command in this process; return its outcome, what was wrong, and its output."""
    with limited():
        result = CliRunner().invoke(app, list(map(str, arguments)), prog_name="rl")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return "raised", "".join(traceback.format_exception(result.exception)), result.stdout
    wrong = ""
    if result.exit_code not in {0, 2}:
        wrong = f"exit code {result.exit_code}: {result.stderr}"
    elif result.exit_code == 2 and "╭" not in result.stderr and "Usage" not in result.stderr:
        wrong = f"exit code 2 without a panel: {result.stderr}"
    return "refused" if result.exit_code else "accepted", wrong, result.stdout


def resume(config: Path, runs_dir: Path) -> tuple[str, str]:
    """Train again in this process, as `rl train` does in others; return as :func:`invoke`."""
    try:
        with limited():
            result = train(config, runs_dir=runs_dir)
    except RunnerError:
        return "refused", ""
    except Exception:  # noqa: BLE001 - what is looked for
        return "raised", traceback.format_exc()
    # A run may fail with an error that says what is damaged, not with an exception's name.
    failed = [run.record for run in result.runs if run.status != "finished"]
    raw = [record for record in failed if record.error is None or "Error(" in record.error]
    wrong = "\n".join(str(record.traceback or record.error) for record in raw)
    return "failed" if failed else "finished", wrong


# --- the two kinds of mutations -------------------------------------------------------------------


def fuzz_configs(n: int, seed: int, folder: Path) -> Iterator[Trial]:
    """Damage a config ``n`` times and check it; yield every trial."""
    bases = write_configs(folder)
    check_module.PROBE_SECONDS, check_module.MAX_PROBE_SECONDS = 0.02, 0.5
    for number in range(n):
        rng = random.Random(f"{seed} config {number}")  # noqa: S311 - repeatable
        name = rng.choice(list(bases))
        text = bases[name].read_text(encoding="utf-8")
        path = folder / "damaged.yaml"
        arguments: list[object] = ["check", path]
        if rng.random() < 0.5:
            text = damage_yaml(text, rng)
        else:
            for _ in range(rng.choice([1, 1, 2])):
                value = rng.choice(LIKELY if rng.random() < 0.7 else SCALARS)
                arguments += ["--set", f"{rng.choice(KEYS)}={value}"]
        path.write_text(text, encoding="utf-8", newline="", errors="replace")
        outcome, wrong, _ = invoke(arguments)
        command = " ".join(map(str, arguments))
        yield Trial(number, f"{name}:\n{text}", command, outcome, wrong)


def train_base(folder: Path) -> Path:
    """Train every base config; return the folder of the experiments."""
    for path in write_configs(folder).values():
        train(path, runs_dir=folder / "base")
    return folder / "base"


def fuzz_folders(n: int, seed: int, folder: Path) -> Iterator[Trial]:
    """Damage a file of a run ``n`` times and use the run; yield as :func:`fuzz_configs`."""
    base = train_base(folder) if n else folder
    experiments = {path.name.rpartition("-")[0]: path for path in base.iterdir() if path.is_dir()}
    runs_dir = folder / "runs"
    for number in range(n):
        rng = random.Random(f"{seed} folder {number}")  # noqa: S311 - repeatable
        shutil.rmtree(runs_dir, ignore_errors=True)
        name = rng.choice(list(experiments))
        experiment = runs_dir / experiments[name].name
        shutil.copytree(experiments[name], experiment)
        files = [experiment / "config.yaml"] * 8
        files += [path for path in (experiment / "seed-0").rglob("*") if path.is_file()]
        file = rng.choice(files)
        how = damage_file(file, rng)
        mutation = f"{how} in {file.relative_to(runs_dir)}"
        neighbour = digest(experiment / "seed-1")
        command, outcome, wrong = use(rng, folder / f"{name}.yaml", runs_dir, experiment)
        if not wrong and digest(experiment / "seed-1") != neighbour:
            wrong = "the other seed's files were changed"
        yield Trial(number, mutation, command, outcome, wrong)


def use(rng: random.Random, config: Path, runs_dir: Path, experiment: Path) -> tuple[str, str, str]:
    """Run one command on a damaged experiment; return it, its outcome and what was wrong."""
    out = runs_dir.parent / "out"
    kind = rng.choice(["runs", "eval", "eval", "record", "compare", "report", "train", "train"])
    arguments: list[object] = []
    match kind:
        case "runs":
            arguments = ["runs", "--runs-dir", runs_dir, "--json"]
        case "eval":
            which = rng.choice(["last", "best", "halfway", "untrained"])
            arguments = ["eval", experiment, "--episodes", 1, "--checkpoint", which]
        case "record":
            arguments = ["record", experiment / "seed-0", "--out", out.with_suffix(".png")]
        case "compare":
            agent = rng.choice(["last", "best"])
            arguments = ["compare", experiment, "--checkpoint", agent, "--out", out]
        case "report":
            arguments = ["report", experiment, "--no-pictures", "--out", out.with_suffix(".html")]
        case _:
            if rng.random() < 0.7:  # then the run is completed again, or from a checkpoint
                for name in ("model.zip", "q_table.npz", "policy.pt"):
                    delete(experiment / "seed-0" / name)
            return kind, *resume(config, runs_dir)
    outcome, wrong, text = invoke(arguments)
    if kind == "runs" and not wrong:
        beside = [run for run in json.loads(text) if run["path"].endswith("seed-1")]
        if [run["status"] for run in beside] != ["finished"]:
            wrong = f"the other seed is not listed as finished: {text}"
    return " ".join(map(str, arguments)), outcome, wrong


def delete(path: Path) -> None:
    """Delete a file, or the empty folder that damage put in its place."""
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def digest(folder: Path) -> str:
    """Return a hash of every file below a folder but the lock."""
    total = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file() and file.name != ".lock":
            total.update(str(file.relative_to(folder)).encode() + file.read_bytes())
    return total.hexdigest()


def main() -> int:
    """Fuzz as the command line says, and print every finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configs", type=int, default=2000)
    parser.add_argument("--folders", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hang-seconds", type=int, default=30, help="what counts as a hang")
    arguments = parser.parse_args()
    global HANG_SECONDS  # noqa: PLW0603 - an option of the script
    HANG_SECONDS = arguments.hang_seconds
    n_wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # what a command writes by default is removed, too
        kinds = {
            "configs": fuzz_configs(arguments.configs, arguments.seed, Path(folder)),
            "folders": fuzz_folders(arguments.folders, arguments.seed, Path(folder)),
        }
        for kind, trials in kinds.items():
            outcomes: Counter[str] = Counter()
            for trial in trials:
                outcomes[f"{trial.command.partition(' ')[0]} {trial.outcome}"] += 1
                if trial.wrong:
                    n_wrong += 1
                    print(f"--- {kind} {trial}", flush=True)  # noqa: T201 - a script
            print(f"{kind}: {dict(outcomes)}; wrong so far: {n_wrong}", flush=True)  # noqa: T201
    return 1 if n_wrong else 0


if __name__ == "__main__":
    sys.exit(main())
