"""What each measure of rl_runner/startup.py saves, in processor time.

usage: python benchmarks/startup.py [--rounds 10]

Every round starts one process of each kind, so that all kinds meet the same load of the machine.
Processor time is shown because it depends little on what else is running. A process that has to
wait for nothing else takes about as long on an idle machine.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys

LOAD = "import rl_runner.training.run; mark('load')\n"
OPTIMIZER = "import torch; torch.optim.Adam([torch.zeros(1)]); mark('optimizer')\n"
COMMAND = "startup.collect_rarely()\n"
SERVER = "startup.prepare_fork_server()\n"

# `mark` notes the processor time since the mark before; the last line of output is all of them.
HEADER = """
import json, time
from rl_runner import startup
marks, last = {}, time.process_time()
def mark(name):
    global last
    now = time.process_time()
    marks[name], last = now - last, now
"""
FOOTER = "print(json.dumps({**marks, 'total': time.process_time()}), flush=True)\n"

KINDS = {
    "default": LOAD,
    "command": COMMAND + LOAD,
    "server": SERVER + LOAD,
    "shared": SERVER
    + LOAD
    + "from rl_runner.agents.registry import ALGORITHMS\n"
    + "ALGORITHMS['ppo'].load_fast_class(); mark('twin')\n"
    + "import rl_runner.agents.fast.warm_up; mark('numba')\n"
    + "import torch._dynamo; mark('compiler')\n",
    "optimizer": COMMAND + LOAD + OPTIMIZER,
    "optimizer without compiler": COMMAND + LOAD + "startup.skip_torch_compiler()\n" + OPTIMIZER,
}

Marks = dict[str, float]


def measure(kind: str) -> Marks:
    """Run one process; return the seconds of its marks, and of its exit."""
    before = _children_seconds()
    code = HEADER + KINDS[kind] + FOOTER
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    marks: Marks = json.loads(done.stdout.splitlines()[-1])
    total = marks.pop("total")
    return {**marks, "exit": _children_seconds() - before - total}


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(rounds: list[dict[str, Marks]]) -> None:
    """Print the medians, and what each measure saves."""

    def median(kind: str, mark: str) -> float:
        return 1000 * statistics.median(r[kind][mark] for r in rounds)

    def saved(one: str, other: str, mark: str) -> float:
        return 1000 * statistics.median(r[one][mark] - r[other][mark] for r in rounds)

    print(f"{len(rounds)} rounds; medians in milliseconds of processor time")
    for kind in KINDS:
        of_kind = ", ".join(f"{mark} {median(kind, mark):.0f}" for mark in rounds[0][kind])
        print(f"  {kind}: {of_kind}")
    rows = {
        "collect_rarely, while the command loads": saved("default", "command", "load"),
        "collect_rarely, at exit": saved("default", "command", "exit"),
        "prepare_fork_server, while it loads": saved("default", "server", "load"),
        "prepare_fork_server, at exit": saved("default", "server", "exit"),
        "skip_torch_compiler": saved("optimizer", "optimizer without compiler", "optimizer"),
        "forking instead of importing, each run": median("default", "load"),
        "the twin imported before, each run": median("shared", "twin"),
        "warm_up before, each run of a twin": median("shared", "numba"),
        "torch's compiler imported before, each run of stock": median("shared", "compiler"),
    }
    for name, milliseconds in rows.items():
        print(f"{name:55} {milliseconds:6.0f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10)
    n_rounds = parser.parse_args().rounds
    for kind in KINDS:  # fill the caches of the disk and of compiled code
        measure(kind)
    show([{kind: measure(kind) for kind in KINDS} for _ in range(n_rounds)])


if __name__ == "__main__":
    main()
