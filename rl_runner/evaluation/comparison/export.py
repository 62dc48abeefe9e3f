"""A comparison as files: JSON, CSV, LaTeX, and plots as PNG and SVG."""

import csv
import functools
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rl_runner.evaluation.comparison.caveats import caveats
from rl_runner.evaluation.comparison.compare import Comparison, Row
from rl_runner.evaluation.comparison.confidence_bands import band_of, curves_of
from rl_runner.evaluation.comparison.pairs import verdict
from rl_runner.evaluation.statistics.summary import Estimate
from rl_runner.runs.disk import write_aside, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STATISTICS = ("mean", "median", "interquartile_mean")
PICTURE_FORMATS = ("png", "svg")
LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "_%&#${}"},
}


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write a comparison into a folder, which is created if necessary.

    ``comparison.json`` holds all of it; ``experiments.csv``, ``pairs.csv`` and ``runs.csv`` are its
    tables; ``comparison.tex`` is the first of them. ``curves.csv`` and ``curves_by_seed.csv`` are
    the learning curves. Each plot is written as PNG and as SVG.

    :return: the files written
    :raises RunFolderError: if the folder cannot be written
    """
    texts = {
        "comparison.json": to_json(comparison),
        "experiments.csv": _to_csv(list(_experiment_records(comparison))),
        "pairs.csv": _to_csv(list(_pair_records(comparison))),
        "runs.csv": _to_csv(list(_run_records(comparison))),
        **curve_tables(comparison),
        "comparison.tex": to_latex(comparison),
    }
    # Everything is computed before the first file is written.
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, text in texts.items():
        _write_text(folder / name, text)
        files.append(folder / name)
    return [*files, *write_pictures(comparison, folder)]


def write_pictures(comparison: Comparison, folder: Path) -> list[Path]:
    """Write every plot of a comparison into an existing folder."""
    import matplotlib as mpl

    from rl_runner.evaluation.pictures.comparison_plots import draw_all

    files = []
    # SVG text stays text, and a fixed salt makes the same comparison give the same file.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rl_runner"}):
        for name, figure in draw_all(comparison):
            for kind in PICTURE_FORMATS:
                place = folder / f"{name}.{kind}"
                write_aside(place, functools.partial(_save, figure, kind))
                files.append(place)
                figure.set_layout_engine("none")  # the first layout is kept for the other format
    return files


def to_json(comparison: Comparison) -> str:
    """Return the comparison and its caveats as one JSON document."""
    return json.dumps(to_document(comparison), indent=2, ensure_ascii=False) + "\n"


def to_document(comparison: Comparison) -> dict[str, object]:
    """Return the comparison, its verdicts and its caveats as plain values."""
    document = comparison.to_dict()
    for described, pair in zip(document["pairs"], comparison.pairs, strict=True):
        described["verdict"] = verdict(pair)
    return {**document, "caveats": caveats(comparison)}


def to_latex(comparison: Comparison) -> str:
    """Return the table of experiments in LaTeX, which needs the package booktabs."""
    unit = "exact" if comparison.measure == "exact" else "held-out"
    lines = [
        f"% Mean {unit} return of the {comparison.agent} agent over seeds, 95 % intervals.",
        *(f"% {' '.join(text.split())}" for text in caveats(comparison)),  # one line each
        r"\begin{tabular}{lrrrr}",
        r"\toprule",
        r"Experiment & Seeds & Mean & Median & Interquartile mean \\",
        r"\midrule",
        *(_latex_row(row) for row in comparison.rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _latex_row(row: Row) -> str:
    label = _latex_text(row.label)
    if row.aggregates is None:
        return f"{label} & 0 & -- & -- & -- \\\\"
    cells = (_latex_estimate(getattr(row.aggregates, name)) for name in STATISTICS)
    return f"{label} & {row.aggregates.n} & {' & '.join(cells)} \\\\"


def _latex_text(text: str) -> str:
    """Return any text as one line of LaTeX that prints it and does nothing else."""
    return "".join(LATEX_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _latex_estimate(estimate: Estimate) -> str:
    if estimate.ci95 is None:
        return f"${_short(estimate.value)}$"
    low, high = estimate.ci95
    return f"${_short(estimate.value)}$ \\small $[{_short(low)}, {_short(high)}]$"


def _short(value: float) -> str:
    return f"{value:.{3 if abs(value) < 10 else 1}f}"


def _experiment_records(comparison: Comparison) -> Iterator[dict[str, object]]:
    for row in comparison.rows:
        record: dict[str, object] = {
            "experiment": row.label,
            "algo": row.experiment.config.algo.name,
            "total_timesteps": row.experiment.config.train.total_timesteps,
            "seeds": len(row.scores),
            "missing_seeds": len(row.experiment.missing),
        }
        for name in STATISTICS:
            estimate = None if row.aggregates is None else getattr(row.aggregates, name)
            record |= _flat(name, estimate)
        record |= _flat("normalized_mean", row.normalized)
        reached = row.reached
        yield record | {
            "reached": None if reached is None else reached.n,
            "timesteps_to_threshold": None if reached is None else reached.median_timesteps,
            "seconds_to_threshold": None if reached is None else reached.median_seconds,
            "selection_optimism": row.selection_optimism,
            "best_mean_reward": row.best_mean_reward,
            "median_seconds": row.median_seconds,
        }


def _pair_records(comparison: Comparison) -> Iterator[dict[str, object]]:
    for pair in comparison.pairs:
        yield {
            "first": pair.first,
            "second": pair.second,
            **_flat("difference", Estimate(pair.difference, pair.ci95)),
            "p_value": pair.p_value,
            "p_adjusted": pair.p_adjusted,
            **_flat("probability_of_improvement", pair.probability_of_improvement),
            "decided": pair.is_decided,
            "seeds_needed": pair.seeds_needed,
        }


def _run_records(comparison: Comparison) -> Iterator[dict[str, object]]:
    for row in comparison.rows:
        for run in row.experiment.runs:
            result = run.result(comparison.agent)
            yield {
                "experiment": row.label,
                "seed": run.seed,
                "status": run.status,
                "mean_reward": None if result is None else result.mean_reward,
                "exact_mean_reward": None if result is None else result.exact_mean_reward,
                "selection_optimism": run.selection_optimism,
                "timesteps": run.timesteps,
                "seconds": run.seconds,
                "problem": run.problem,
            }


def curve_tables(comparison: Comparison) -> dict[str, str]:
    """Return the learning curves as CSV, by file name: over seeds with intervals, and by seed."""
    return {
        "curves.csv": _to_csv(list(_band_records(comparison))),
        "curves_by_seed.csv": _to_csv(list(_curve_records(comparison))),
    }


def _band_records(comparison: Comparison) -> Iterator[dict[str, object]]:
    for row in comparison.rows:
        band = band_of(row.experiment, comparison.bounds)
        if band is None:
            continue
        n = len(curves_of(row.experiment))
        for x, value, low, high in zip(band.x, band.value, band.low, band.high, strict=True):
            ends = None if np.isnan(low) else (float(low), float(high))
            yield {
                "experiment": row.label,
                "timesteps": int(x),
                "runs": n,
                **_flat("interquartile_mean", Estimate(float(value), ends)),
            }


def _curve_records(comparison: Comparison) -> Iterator[dict[str, object]]:
    for row in comparison.rows:
        for run in row.experiment.finished:
            if run.curve is not None:
                for timesteps, value in zip(run.curve.timesteps, run.curve.returns, strict=True):
                    yield {
                        "experiment": row.label,
                        "seed": run.seed,
                        "timesteps": int(timesteps),
                        "return": float(value),
                    }


def _flat(name: str, estimate: Estimate | None) -> dict[str, object]:
    low, high = (estimate.ci95 if estimate is not None else None) or (None, None)
    value = None if estimate is None else estimate.value
    return {name: value, f"{name}_low": low, f"{name}_high": high}


def _to_csv(records: Sequence[dict[str, object]]) -> str:
    text = io.StringIO()
    if records:
        writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
    return text.getvalue()


def _write_text(place: Path, text: str) -> None:
    write_aside(place, lambda path: path.write_text(text, encoding="utf-8"))


def _save(figure: "Figure", kind: str, path: Path) -> None:
    metadata = {"Date": None} if kind == "svg" else {}
    figure.savefig(path, format=kind, dpi=150, metadata=metadata)
