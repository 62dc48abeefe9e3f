"""The rows of a log that were refused: how many, why, and the first of them by line."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rl_runner.errors import DataError, Problem

EXAMPLES = 5  # of refused rows that are told by line
TOLERATED = 0.5  # a file with a larger share of bad rows is refused whole


@dataclass
class Refusals:
    """What was refused of one or several files."""

    n_rows: int = 0  # that the files hold
    reasons: Counter[str] = field(default_factory=Counter)  # without the values
    examples: list[tuple[str, int, str]] = field(default_factory=list)  # file, line, reason
    by_file: Counter[str] = field(default_factory=Counter)
    rows_by_file: Counter[str] = field(default_factory=Counter)

    @property
    def n_refused(self) -> int:
        """How many rows were refused."""
        return sum(self.reasons.values())

    def count_rows(self, file: Path, n_rows: int) -> None:
        """Note that a file holds so many rows."""
        self.n_rows += n_rows
        self.rows_by_file[str(file)] += n_rows

    def add(self, file: Path, lines: list[int], reasons: list[str]) -> None:
        """Note refused rows."""
        self.reasons.update(_kind(reason) for reason in reasons)
        self.by_file[str(file)] += len(lines)
        for line, reason in zip(lines, reasons, strict=True):
            if len(self.examples) >= EXAMPLES:
                break
            self.examples.append((str(file), line, reason))

    def refuse_mostly_bad_files(self) -> None:
        """Raise DataError if more than half of a file's rows were refused."""
        for file, n_bad in self.by_file.items():
            n_rows = self.rows_by_file[file]
            if n_bad > TOLERATED * n_rows:
                listed = "; ".join(self.told())
                what = f"{n_bad:,} of {n_rows:,} rows are bad. {listed}."
                cure = (
                    "Correct the file, or leave it out of `data.path`. Nothing was learned from it."
                )
                raise DataError(Problem(what, file, cure))

    def told(self) -> list[str]:
        """Return one line per kind of refusal, the most frequent first, then examples."""
        counted = [f"{n:,} × {reason}" for reason, n in self.reasons.most_common(8)]
        places = [f"{Path(file).name}:{line}: {reason}" for file, line, reason in self.examples]
        return counted + places

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for run.json."""
        return {
            "rows": self.n_rows,
            "refused": self.n_refused,
            "reasons": dict(self.reasons.most_common()),
            "examples": [
                {"file": Path(file).name, "line": line, "reason": reason}
                for file, line, reason in self.examples
            ],
        }


def _kind(reason: str) -> str:
    """Return a reason without the value that it is about, so that alike ones count together."""
    if reason.startswith("schema version"):
        return reason
    head, _, tail = reason.partition(" is ")
    if tail.startswith(("not ", "in the future", "below")):
        name = head.split(" ")[0]
        return f"{name} is {tail.partition(':')[0]}"
    if reason.startswith("unknown "):
        return " ".join(reason.split(" ")[:2])
    for what in (" has no time zone", " does not exist in "):
        if reason.startswith("timestamp ") and what in reason:
            return f"timestamp{what}{reason.partition(what)[2]}"
    return reason
