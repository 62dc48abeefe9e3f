"""A study's part of the HTML report, which `rl report` writes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rl_runner.config import load_config
from rl_runner.errors import RunFolderError
from rl_runner.evaluation.report.contents import StudyPart
from rl_runner.evaluation.report.pictures import Picture, svg
from rl_runner.runs.layout import SEED_FOLDERS
from rl_runner.runs.record import RunRecord, read_record
from rl_runner.tuning.report.study_report import StudyReport, load_report
from rl_runner.tuning.study.study_folder import START, StudyFolder

CAPTIONS = {
    "history": "Every trial in its order, and the best so far.",
    "slices": "The score against each hyperparameter; darker trials are earlier ones.",
    "parallel-coordinates": "Each complete trial as a line through its hyperparameters.",
    "learning-curves": "The curves by which trials were compared, and hopeless ones ended early: "
    "the mean over a trial's seeds so far.",
    "importances": "Which hyperparameters made the difference: shares of the score's variance, by "
    "functional ANOVA over a random forest.",
    "pareto-front": "The marked trials are beaten by no other in every objective.",
    "confirmation": "What the search thought of each candidate, and what fresh seeds say.",
}
FIRST = ("confirmation", "history", "importances")  # what most readers want to know


def is_study(path: Path) -> bool:
    """Whether a folder is a study's, also one that has not come to its end."""
    return (path / START).is_file()


def study_part(path: Path) -> StudyPart:
    """Return what a report says of a study.

    :raises StudyError: if the study has not come to its end
    :raises ConfigError: if its start.yaml is damaged
    """
    folder = StudyFolder(path)
    report = load_report(path)
    start = path / START
    return StudyPart(
        label=folder.name,
        config=load_config(start),
        document=report.document,
        start_text=start.read_text(encoding="utf-8"),
        best_text=folder.best.read_text(encoding="utf-8") if folder.best.is_file() else "",
        records=list(_records(path)),
        pictures=tuple(_pictures(report)),
    )


def _pictures(report: StudyReport) -> Iterator[Picture]:
    names = [name for name in FIRST if name in report.figures]
    for name in [*names, *(name for name in report.figures if name not in names)]:
        yield Picture(svg(report.figures[name]), CAPTIONS[name], name.replace("-", " "))


def _records(path: Path) -> Iterator[RunRecord]:
    """Yield what every run of the study says of itself, as far as it can be read."""
    for run in sorted(path.glob(f"*/*/{SEED_FOLDERS}")):
        with contextlib.suppress(RunFolderError):  # its summary has the results that matter
            if (record := read_record(run)) is not None:
                yield record
