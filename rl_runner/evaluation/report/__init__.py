"""One HTML file on any number of experiments, which needs no network and prints well."""

from rl_runner.evaluation.report.write import check_report_path, write_report

__all__ = ["check_report_path", "write_report"]
