"""Writes a report as one HTML file."""

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from rl_runner.errors import ConfigError, Problem
from rl_runner.evaluation.comparison.experiments import AgentName, load_experiments
from rl_runner.evaluation.report.contents import gather
from rl_runner.evaluation.report.parts import LogPart, Report, StudyPart
from rl_runner.evaluation.statistics import Interval
from rl_runner.runs.disk import write_aside

TEMPLATE = "report.html"
STYLE = "report.css"


def check_report_path(path: Path) -> None:
    """Refuse a file name that cannot be written as a report, before anything is read.

    :raises ConfigError: if it does not end with .html, or its folder does not exist
    """
    if path.suffix not in {".html", ".htm"}:
        what = f"A report is an HTML file, but `{path.name}` does not end with `.html`."
        raise ConfigError(Problem(what, f"--out {path}", f"Write `--out {path.stem}.html`."))
    if not path.absolute().parent.is_dir():
        raise ConfigError(Problem("There is no such folder.", str(path.absolute().parent)))


def write_report(
    paths: Sequence[Path],
    out: Path,
    *,
    agent: AgentName = "last",
    with_pictures: bool = True,
    studies: Sequence[StudyPart] = (),
    logs: Sequence[LogPart] = (),
) -> Report:
    """Write a report about experiments into one file, and return its data.

    :param with_pictures: play an episode per experiment for pictures of its agent
    :param studies: the searches of the report, see :mod:`rl_runner.tuning.report.html`
    :param logs: its experiments on logs, see :mod:`rl_runner.offline.judging.log_report`
    :raises RunnerError: if an experiment does not exist, or the file cannot be written
    """
    check_report_path(out)
    experiments = load_experiments(paths)
    report = gather(
        experiments, agent=agent, with_pictures=with_pictures, studies=studies, logs=logs
    )
    html = render(report)
    write_aside(out, lambda path: path.write_text(html, encoding="utf-8"))
    return report


def render(report: Report) -> str:
    """Return the HTML of a report."""
    import jinja2

    # Names, tracebacks and configs are escaped; a misspelt name in a template is an error.
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FunctionLoader(_read),
    )
    environment.filters |= {
        "number": number,
        "count": lambda value: "–" if value is None else f"{value:,.0f}",
        "duration": duration,
        "interval": interval,
        "estimate": lambda estimate: "–" if estimate is None else number(estimate.value),
        "ci": lambda estimate: interval(None if estimate is None else estimate.ci95),
        "settings": settings,
        "percent": lambda value: "–" if value is None else f"{value:.1%}",
        "signed": lambda value: "–" if value is None else f"{value:+.3f}".replace("-", "−"),
        "exactly": lambda value: "–" if value is None else f"{value:,.4f}",
    }
    return environment.get_template(TEMPLATE).render(
        report=report, style=_read(STYLE), format_number=number
    )


def number(value: float | None) -> str:
    """Format a number: three decimals below 10, one above; what would look like 0 in full."""
    if value is None:
        return "–"
    if 0 < abs(value) < 0.001:
        return f"{value:.3g}".replace("-", "−")
    text = f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return text.replace("-", "−")


def settings(values: Mapping[str, Any]) -> str:
    """Format hyperparameters on one line, with four significant digits."""
    short = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in values.items()}
    return ", ".join(f"{name}={value}" for name, value in short.items()) or "unchanged"


def interval(ends: Interval | None) -> str:
    """Format an interval as ``low to high``; empty without one."""
    return "" if ends is None else f"{number(ends[0])} to {number(ends[1])}"


def duration(seconds: float | None) -> str:
    """Format seconds as 12 s, 4 min 5 s or 2 h 3 min."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
