"""Judging a policy by a log."""
