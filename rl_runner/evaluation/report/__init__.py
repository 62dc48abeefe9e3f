"""The report: one HTML file about any number of experiments, which needs no network.

- :mod:`.parts`: what a report consists of, as data
- :mod:`.contents`: that data, gathered from experiment folders
- :mod:`.pictures`: its pictures, as data URIs
- :mod:`.write`: the page, from the templates report.html and study.html
"""

from rl_runner.evaluation.report.write import check_report_path, write_report

__all__ = ["check_report_path", "write_report"]
