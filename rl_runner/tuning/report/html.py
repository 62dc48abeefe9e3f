"""A study's part of the HTML report that `rl report` writes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from rl_runner.config import load_config
from rl_runner.errors import RunFolderError
from rl_runner.evaluation.pictures.plot_style import PHONE
from rl_runner.evaluation.report.parts import StudyPart
from rl_runner.evaluation.report.pictures import Picture, svg
from rl_runner.layout import SEED_FOLDERS, STUDY_START
from rl_runner.runs.record import RunRecord, read_record
from rl_runner.tuning.report.figures import draw_figures
from rl_runner.tuning.report.study_report import StudyReport, load_report
from rl_runner.tuning.study.study_folder import StudyFolder

CAPTIONS = {
    "history": "The score of each trial in order, and the best so far.",
    "slices": "The score against each hyperparameter; darker trials are earlier ones.",
    "parallel-coordinates": "Each complete trial as a line through its hyperparameters.",
    "learning-curves": "The curves by which trials were compared and hopeless ones were pruned: "
    "the mean over a trial's seeds so far.",
    "importances": "How much each hyperparameter matters: its share of the score's variance, by "
    "functional ANOVA over a random forest.",
    "pareto-front": "No other trial dominates the marked ones.",
    "confirmation": "The score of each candidate in the search and on fresh seeds.",
}
FIRST = ("confirmation", "history", "importances")  # the pictures that most readers need


def is_study(path: Path) -> bool:
    """Whether a folder is a study's, finished or not."""
    return (path / STUDY_START).is_file()


def study_part(path: Path) -> StudyPart:
    """Return the part of a report that is about a study.

    :raises StudyError: if the study is not finished
    :raises ConfigError: if its start.yaml is damaged
    """
    folder = StudyFolder(path)
    report = load_report(path)
    start = path / STUDY_START
    return StudyPart(
        label=folder.name,
        config=load_config(start),
        document=report.summary,
        start_text=start.read_text(encoding="utf-8"),
        best_text=folder.best.read_text(encoding="utf-8") if folder.best.is_file() else "",
        records=list(_records(path)),
        pictures=tuple(_pictures(report)),
    )


def _pictures(report: StudyReport) -> Iterator[Picture]:
    names = [name for name in FIRST if name in report.figures]
    narrow = dict(draw_figures(report.summary, PHONE))
    for name in [*names, *(name for name in report.figures if name not in names)]:
        description = name.replace("-", " ")
        sources = svg(report.figures[name]), svg(narrow[name])
        yield Picture(sources[0], CAPTIONS[name], description, sources[1])


def _records(path: Path) -> Iterator[RunRecord]:
    """Yield the record of every run of the study that can be read."""
    for run in sorted(path.glob(f"*/*/{SEED_FOLDERS}")):
        with contextlib.suppress(RunFolderError):  # the results are in the summary
            if (record := read_record(run)) is not None:
                yield record
