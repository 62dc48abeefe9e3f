"""Experiments side by side, as data and as files.

- :mod:`.experiments`: what is on disk: every seed of an experiment, or why it has no result
- :mod:`.scores`: one number per run; :mod:`.scales`: the returns that mean 0 and 1
- :mod:`.compare`: the comparison; :mod:`.pairs`: each pair, and the rule that decides it
- :mod:`.caveats`: the limits of the comparison, as sentences
- :mod:`.confidence_bands`: learning curves and performance profiles, as numbers
- :mod:`.export`: JSON, CSV, LaTeX and the plots, as files
"""
