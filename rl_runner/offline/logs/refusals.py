"""The rows of a log that were refused: how many, for which reasons, and examples."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from rl_runner.errors import DataError, Problem
from rl_runner.runs.log_results import RefusedRow, RefusedRows

EXAMPLES = 5  # refused rows that are listed with their lines
_EPOCH = re.compile(r": '?\d{9,19}(\.\d+)?'?$")
TOLERATED = 0.5  # a file with a larger share of bad rows is refused as a whole


@dataclass
class Refusals:
    """The refused rows of one or several files."""

    n_rows: int = 0  # of all files
    reasons: Counter[str] = field(default_factory=Counter)  # without the values that they quote
    examples: list[tuple[str, int, str]] = field(default_factory=list)  # file, line, reason
    by_file: Counter[str] = field(default_factory=Counter)
    rows_by_file: Counter[str] = field(default_factory=Counter)

    @property
    def n_refused(self) -> int:
        """The number of refused rows."""
        return sum(self.reasons.values())

    def count_rows(self, file: object, n_rows: int) -> None:
        """Add to the number of rows that a file holds."""
        self.n_rows += n_rows
        self.rows_by_file[str(file)] += n_rows

    def add(self, file: object, lines: list[int], reasons: list[str]) -> None:
        """Count refused rows of a file by their reasons, and keep the first as examples."""
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
                listed = "; ".join(self.lines())
                what = f"{n_bad:,} of {n_rows:,} rows are bad. {listed}."
                cure = self._cure()
                raise DataError(Problem(what, file, cure))

    def _cure(self) -> str:
        """Return what to do about the most frequent reason."""
        reason = self.reasons.most_common(1)[0][0]
        examples = [text for _, _, text in self.examples]
        if "has no time zone" in reason:
            return "Name the zone of the times: `data.timezone`, or `rl convert --timezone`."
        is_epoch = "not a time" in reason and any(_EPOCH.search(text) for text in examples)
        if is_epoch or "is before" in reason:
            return (
                "For seconds or milliseconds since 1970, map `ts: {column: ts, unit: ms}` by "
                "`rl convert --columns`."
            )
        return "Correct the file, or leave it out of `data.path`. Nothing was learned from it."

    def lines(self) -> list[str]:
        """Return a line of text per kind of refusal, the most frequent first, then the examples."""
        counted = [f"{n:,} × {reason}" for reason, n in self.reasons.most_common(8)]
        places = [f"{Path(file).name}:{line}: {reason}" for file, line, reason in self.examples]
        return counted + places

    def report(self) -> RefusedRows:
        """Return what run.json says of them."""
        examples = (
            RefusedRow(Path(file).name, line, reason) for file, line, reason in self.examples
        )
        reasons = dict(self.reasons.most_common())
        return RefusedRows(self.n_rows, self.n_refused, reasons, tuple(examples))


def _kind(reason: str) -> str:
    """Return a reason without the value that it quotes, so that similar ones count together."""
    if reason.startswith("schema version"):
        return reason
    head, _, tail = reason.partition(" is ")
    if tail.startswith(("not ", "in the future", "below", "before ")):
        name = head.split(" ")[0]
        return f"{name} is {tail.partition(':')[0]}"
    if reason.startswith("unknown "):
        return " ".join(reason.split(" ")[:2])
    for what in (" has no time zone", " does not exist in ", " occurs twice in "):
        if reason.startswith("timestamp ") and what in reason:
            return f"timestamp{what}{reason.partition(what)[2]}"
    return reason
