"""Compares the memory of training with stock SB3's, as the kernel counts it (Linux only).

Our runs are forked from a process that has torch loaded already, so they share pages with it, and
one number cannot say it all. Four are taken, each at its peak:

* RSS of a training process: every page that it sees, however many others see it;
* PSS of a training process: of a page that n processes see an nth;
* USS of a training process: the pages that nobody else sees;
* PSS of all processes together: the command's, the fork server's and the runs', which is what the
  machine has to hold.
"""

import concurrent.futures
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.1
MEGABYTE = 1024  # in the kernel's kB
KINDS = {"rss": "RSS", "pss": "PSS", "uss": "USS", "together": "all processes, PSS"}


@dataclass
class Memory:
    """Peaks in megabytes: of the largest training process, and of all processes together."""

    rss: float = 0.0
    pss: float = 0.0
    uss: float = 0.0
    together: float = 0.0

    def take_peaks(self, other: "Memory") -> None:
        """Keep the larger of both, number by number."""
        for field in fields(self):
            larger = max(getattr(self, field.name), getattr(other, field.name))
            setattr(self, field.name, larger)


def watch(work: Callable[[], Any], root: int) -> Memory:
    """Return the peaks of the processes below ``root`` while the work is done in a thread."""
    peaks = Memory()
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        done = thread.submit(work)
        while not done.done():
            peaks.take_peaks(look(root))
            time.sleep(POLL_SECONDS)
        done.result()
    return peaks


def look(root: int) -> Memory:
    """Measure the processes below ``root`` now."""
    now = Memory()
    for pid, parent in below(root):
        try:
            command, above = command_of(pid), command_of(parent)
            memory = measure(pid)
        except (OSError, KeyError):  # it has ended, or is about to: a zombie has no memory
            continue
        now.together += memory.pss
        if "stock_sb3.py" in command or "multiprocessing.forkserver" in above:
            now.take_peaks(memory)
    return now


def below(root: int) -> Iterator[tuple[int, int]]:
    """Yield the processes that ``root`` has started, and those that they have, with parents."""
    parents = {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(file.parent.name)] = int(file.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    found: set[int] = set()
    new = {root}
    while new:
        found |= new
        new = {pid for pid, parent in parents.items() if parent in found} - found
    yield from ((pid, parents[pid]) for pid in found if pid != root)


def command_of(pid: int) -> str:
    """Return a process's command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def measure(pid: int) -> Memory:
    """Read one process's memory in megabytes; RSS is its highest so far."""
    rows = dict(numbers(Path(f"/proc/{pid}/smaps_rollup").read_text()))
    rows |= dict(numbers(Path(f"/proc/{pid}/status").read_text()))
    own = rows["Private_Clean"] + rows["Private_Dirty"]
    return Memory(rows["VmHWM"] / MEGABYTE, rows["Pss"] / MEGABYTE, own / MEGABYTE)


def numbers(text: str) -> Iterator[tuple[str, int]]:
    """Yield the rows ``name: number kB``."""
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if rest.endswith(" kB"):
            yield name, int(rest.split()[0])


def print_memory(works: Iterable[tuple[str, Memory, Memory]]) -> list[dict[str, Any]]:
    """Print ours against stock SB3's; return the rows."""
    print("\n| work | memory | ours | stock SB3 | ratio |\n|---|---|---|---|---|")
    rows: list[dict[str, Any]] = []
    for work, ours, theirs in works:
        rows.append({"work": work, "ours": asdict(ours), "stock SB3": asdict(theirs)})
        for kind, name in KINDS.items():
            our, their = getattr(ours, kind), getattr(theirs, kind)
            told = f"{our:.0f} MB | {their:.0f} MB | {our / their:.2f} ×"
            print(f"| {work} | {name} | {told} |", flush=True)
    return rows
