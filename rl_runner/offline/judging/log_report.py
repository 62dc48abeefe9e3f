"""The part of the HTML report that is about an experiment on logs."""

from dataclasses import replace
from pathlib import Path

from rl_runner.config import dump_config, load_config
from rl_runner.errors import ConfigError
from rl_runner.evaluation.pictures.plot_style import PHONE
from rl_runner.evaluation.report.parts import LogPart
from rl_runner.evaluation.report.pictures import Picture, svg
from rl_runner.layout import CONFIG, seed_number
from rl_runner.offline.judging.judgement_plot import draw_judgement
from rl_runner.redaction import redacted_yaml
from rl_runner.runs.find import find_runs
from rl_runner.runs.folder import RunFolder
from rl_runner.runs.record import RunRecord

CAPTION = (
    "Seed {seed}: estimates of the reward of a recommendation under the learned policy, from "
    "held-out interactions, with 95 % intervals; the logging policy is the orange band. Beside "
    "them the importance weights of these interactions."
)


def learned_from_logs(path: Path) -> bool:
    """Whether a folder is an experiment that learned from logs."""
    if not (path / CONFIG).is_file():
        return False
    try:
        return load_config(path / CONFIG).data is not None
    except ConfigError:  # refused where it is loaded as an experiment
        return False


def log_part(path: Path) -> LogPart:
    """Return the part of a report that is about an experiment on logs.

    :raises RunnerError: if it has no runs, or its files are damaged
    """
    config = load_config(path / CONFIG)
    records = {seed_number(place.name): _record(place) for place in find_runs(path)}
    pictures = {
        seed: pictures
        for seed, record in records.items()
        if record.is_finished and (pictures := _pictures(seed, record))
    }
    text = redacted_yaml(dump_config(config))
    return LogPart(config.name, path.resolve().name, config, text, records, pictures)


def _record(place: Path) -> RunRecord:
    """Return a run's record; one that says "running" without a process was interrupted."""
    run = RunFolder(place)
    record = run.read_record() or RunRecord()
    is_lost = record.status == "running" and not run.is_claimed()
    return replace(record, status="interrupted") if is_lost else record


def _pictures(seed: int, record: RunRecord) -> list[Picture]:
    judgement = None if record.results is None else record.results.judgement
    if judgement is None:
        return []
    figures = svg(draw_judgement(judgement)), svg(draw_judgement(judgement, PHONE))
    return [Picture(figures[0], CAPTION.format(seed=seed), "estimates from the log", figures[1])]
