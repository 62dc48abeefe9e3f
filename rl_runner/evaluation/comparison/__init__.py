"""Experiments side by side, as data and as files."""
